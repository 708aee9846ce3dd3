"""What the plugin does, without a word of HTTP."""

from zoneinfo import ZoneInfo

from powerstrip import Clock
from powerstrip_greeter.domain import Language, greeting
from powerstrip_greeter.errors import UnknownLanguageError


class Greetings:
    """Greets people, and counts them. Other plugins find it as a service."""

    def __init__(self, language: Language, time_zone: str, clock: Clock) -> None:
        self.greeted = 0
        self._language = language
        self._zone = ZoneInfo(time_zone)
        self._clock = clock

    def greet(self, name: str, language: str | None = None) -> tuple[str, Language]:
        """The greeting for one person, and its language. Raises UnknownLanguageError."""
        spoken = self._understood(language) if language else self._language
        local_time = self._clock.now().astimezone(self._zone).time()
        self.greeted += 1
        return greeting(name, spoken, local_time), spoken

    def _understood(self, language: str) -> Language:
        try:
            return Language(language)
        except ValueError:
            raise UnknownLanguageError(language) from None
