"""Results that are kept: measuring one section again leaves the others as they were."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel

from benchmarks.measurement import Section

MEASURED_LIBRARIES = ("powerstrip", "fastapi", "starlette", "pydantic", "litestar", "redis", "uvicorn", "uvloop")


class Measured(BaseModel):
    """A section, when and on what it was measured."""

    section: Section
    at: datetime
    python: str
    system: str
    cores: int
    load_before: float
    versions: dict[str, str]


class Results(BaseModel):
    """Everything measured so far, by the sections' keys."""

    measured: dict[str, Measured] = {}

    def add(self, section: Section, load_before: float) -> None:
        """Keep a section that was measured just now."""
        self.measured[section.key] = Measured(
            section=section,
            at=datetime.now(UTC).replace(microsecond=0),
            python=f"{platform.python_implementation()} {platform.python_version()}",
            system=f"{platform.system()} {platform.machine()}",
            cores=os.cpu_count() or 1,
            load_before=load_before,
            versions={name: version(name) for name in MEASURED_LIBRARIES},
        )
        self.measured = dict(sorted(self.measured.items()))


def read_results(path: Path) -> Results:
    """What an earlier run has left, if any."""
    return Results.model_validate_json(path.read_bytes()) if path.exists() else Results()
