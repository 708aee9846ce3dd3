"""What an operator can set, under `plugins: greeter:`."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from powerstrip import PluginSettings
from powerstrip_greeter.domain import Language


class GreeterSettings(PluginSettings):
    """How people are greeted."""

    language: Language = Language.ENGLISH
    """The language of greetings whose caller asks for none."""

    time_zone: str = "UTC"
    """Where the people are, as an IANA name (`Europe/Paris`): it decides what is morning."""

    signature: str | None = Field(default=None, pattern=r"^[ -~]{1,100}$")
    """Printable ASCII, sent as `X-Greeter` with every response; not sent when not stated."""

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, ZoneInfoNotFoundError):
            raise ValueError("is no time zone of the IANA database; write it like 'Europe/Paris'") from None
        return name
