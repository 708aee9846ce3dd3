"""Rates as people write them: `100/hour`, `5/second`, `10/15minutes`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

RATE_FORM = r"^[1-9][0-9]{0,8}/([1-9][0-9]{0,7})?(second|minute|hour|day|week)s?$"
LONGEST_PERIOD = 366 * 86400
"""Seconds that a period may have."""

_PARTS = re.compile(r"([0-9]+)/([0-9]*)([a-z]+?)s?")
_SECONDS: Mapping[str, int] = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


@dataclass(frozen=True, slots=True)
class Rate:
    """So many units per period of so many whole seconds."""

    limit: int
    seconds: int

    def __str__(self) -> str:
        """The rate with the largest unit that fits: `100/hour`, `10/15minutes`."""
        fitting = (name for name, length in _SECONDS.items() if self.seconds % length == 0)
        name = max(fitting, key=_SECONDS.__getitem__)
        number = self.seconds // _SECONDS[name]
        return f"{self.limit}/{name}" if number == 1 else f"{self.limit}/{number}{name}s"


def parse_rate(text: str) -> Rate:
    """The rate that a text states; raises ValueError, which says what is wrong, for anything else."""
    found = _PARTS.fullmatch(text) if re.fullmatch(RATE_FORM, text) else None
    if found is None:
        raise ValueError(f"'{text}' is no rate: write a number per period, as 100/hour, 5/second or 10/15minutes")
    rate = Rate(int(found[1]), int(found[2] or 1) * _SECONDS[found[3]])
    if rate.seconds > LONGEST_PERIOD:
        raise ValueError(f"'{text}' has a period longer than 366 days")
    return rate
