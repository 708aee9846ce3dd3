"""What spreadsheets would take for a formula, and how it is kept from being one.

A text that begins with `=`, `+`, `-`, `@`, their full-width and small twins, tab, CR, LF or NUL, also after spaces and
invisible characters, gets an apostrophe in front (OWASP, CSV injection; ASVS 5.0, 1.2.10). So does one that would look
as if it had got one: taking one apostrophe away from whatever `is_guarded` gives every text back as it was.
"""

import re

# Spaces, controls and what has no width: spreadsheets trim some of them, and which of them differs.
_BLANK = "\x00-\x20\x85\xa0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff"
_SIGNS = r"=+\-@＝＋－＠﹢﹣﹦﹫−"  # noqa: RUF001 - they are what is looked for
_FIRST = re.compile(rf"'*[{_BLANK}]*[\t\r\n\0{_SIGNS}]")
POSTGRESQL_PATTERN = "".join(
    character if " " <= character <= "~" else f"\\u{ord(character):04x}"
    for character in rf"^('*[{_BLANK}]*[\t\r\n{_SIGNS}])".replace("\0", "\1")
)
"""The same for PostgreSQL, whose texts hold no NUL; its group is what comes after the apostrophe. It needs an encoding
whose characters have Unicode's numbers."""
RE2_PATTERN = "".join(
    character if " " <= character <= "~" else f"\\x{{{ord(character):x}}}"
    for character in rf"^'*[{_BLANK}]*[\t\r\n\0{_SIGNS}]"
)
"""The same for RE2, which Arrow has."""


def is_formula(text: str) -> bool:
    """Whether a spreadsheet might take the text for a formula."""
    return _FIRST.match(text) is not None


def guarded(text: str) -> str:
    """The text, safe to open."""
    return f"'{text}" if _FIRST.match(text) else text


def is_guarded(text: str) -> bool:
    """Whether a text of a file is another one with an apostrophe in front."""
    return text.startswith("'") and is_formula(text)
