"""Names of files, as headers carry them."""

import re
import unicodedata
from datetime import datetime
from urllib.parse import quote

_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f"\\/:*?<>|%;\u2028\u2029\u202a-\u202e\u2066-\u2069]')
_LONGEST = 150  # bytes, of the 255 that file systems take


def file_name(title: str, at: datetime, ending: str) -> str:
    """`users-20261126.csv`: without anything that a file system, a shell or a header could take for something else."""
    safe = _UNSAFE.sub("_", unicodedata.normalize("NFC", title)).strip(" .")
    name = safe.encode(errors="replace")[:_LONGEST].decode(errors="ignore") or "export"
    return f"{name}-{at:%Y%m%d-%H%M%S}.{ending}"


def content_disposition(name: str) -> str:
    """The header for a file to be saved (RFC 6266), its name also as RFC 8187 writes it where ASCII does not do.

    Clients that know only ASCII, like curl, get letters without their accents, and `_` for what is left.
    """
    safe = _UNSAFE.sub("_", name)
    bare = "".join(
        character for character in unicodedata.normalize("NFKD", safe) if not unicodedata.combining(character)
    )
    plain = _UNSAFE.sub("_", bare.encode("ascii", errors="replace").decode("ascii"))
    header = f'attachment; filename="{plain}"'
    return header if plain == safe else f"{header}; filename*=UTF-8''{quote(safe, safe='!#$&+^`')}"
