"""Greetings, without HTTP and without a clock."""

from datetime import time
from enum import StrEnum
from types import MappingProxyType


class Language(StrEnum):
    """A language that greetings are known in, by its ISO 639-1 code."""

    ENGLISH = "en"
    FRENCH = "fr"
    GERMAN = "de"


_NOON = time(12)
_EVENING = time(18)

# For each language: until noon, until the evening, after it.
_WORDS = MappingProxyType(
    {
        Language.ENGLISH: ("Good morning", "Good afternoon", "Good evening"),
        Language.FRENCH: ("Bonjour", "Bonjour", "Bonsoir"),
        Language.GERMAN: ("Guten Morgen", "Guten Tag", "Guten Abend"),
    }
)


def greeting(name: str, language: Language, at: time) -> str:
    """What one says to somebody at a local time of day."""
    morning, afternoon, evening = _WORDS[language]
    words = morning if at < _NOON else afternoon if at < _EVENING else evening
    return f"{words}, {name}!"
