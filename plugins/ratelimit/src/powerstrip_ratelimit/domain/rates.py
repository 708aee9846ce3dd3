"""Rates as people write them: `100/hour`, `5/second`, `10/15minutes`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_FORM = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,8})?\s*([a-z]+)\s*", re.ASCII)
_SECONDS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
LONGEST_PERIOD = 366 * 86400


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units per period of so many whole seconds."""

    limit: int
    seconds: int

    def __str__(self) -> str:
        """The rate with the largest unit that fits: `100/hour`, `10/15minutes`."""
        name, length = max(
            ((name, length) for name, length in _SECONDS.items() if self.seconds % length == 0),
            key=lambda unit: unit[1],
        )
        number = self.seconds // length
        return f"{self.limit}/{name}" if number == 1 else f"{self.limit}/{number}{name}s"


def parse_rate(text: str) -> Rate:
    """The rate that a text states; raises ValueError, which says what is wrong, for anything else."""
    found = _FORM.fullmatch(text)
    unit = found[3].removesuffix("s") if found else ""
    if not found or unit not in _SECONDS:
        raise ValueError(f"'{text}' is no rate: write a number per period, as 100/hour, 5/second or 10/15minutes")
    limit, seconds = int(found[1]), int(found[2] or 1) * _SECONDS[unit]
    if not limit or not seconds:
        raise ValueError(f"'{text}' allows nothing: number and period are 1 at least")
    if seconds > LONGEST_PERIOD:
        raise ValueError(f"'{text}' has a period longer than 366 days")
    return Rate(limit, seconds)
