"""What an operator can set. Times are in seconds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints

from powerstrip import PluginSettings


class Budget(PluginSettings):
    """What one caller may export. `null` is no limit."""

    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows of one export."""

    bytes: Annotated[int, Field(ge=1)] | None = None
    """Bytes of one export, as they are sent or stored."""

    streams: Annotated[int, Field(ge=0, le=1_000)] = 2
    """Streams of one caller at a time, in each worker."""

    downloads: Annotated[int, Field(ge=0, le=1_000)] = 8
    """Files of jobs, or parts of them, that one caller fetches at a time, in each worker."""

    watches: Annotated[int, Field(ge=0, le=1_000)] = 8
    """Event streams about jobs that one caller reads at a time, in each worker."""

    jobs: Annotated[int, Field(ge=0, le=1_000)] = 3
    """Jobs of one caller that wait or run at a time."""


class BucketSettings(PluginSettings):
    """A bucket in S3 or what speaks like it."""

    url: Annotated[str, StringConstraints(pattern=r"^s3://[^/\s]+(/\S*)?$")]
    """`s3://BUCKET` or `s3://BUCKET/PREFIX`: nothing else may be below it."""

    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = None
    """Where it is, unless it is at Amazon's."""

    region: str | None = None
    """Its region."""

    access_key_id: SecretStr | None = None
    """The key; without one the environment has it, as for all of Amazon's tools."""

    secret_access_key: SecretStr | None = None
    """The key's secret."""


class JobSettings(PluginSettings):
    """Exports that become files, to be fetched later."""

    workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Jobs that one process works on at a time; 0 leaves them to other processes."""

    folder: Path = Path("data/exports")
    """Where the files are, from the folder that the process was started in. Machines that work on one database must
    share it."""

    bucket: BucketSettings | None = None
    """Keep the files there instead of in `folder`."""

    keep: Annotated[float, Field(gt=0)] = 86_400
    """How long a file can be fetched."""

    keep_record: Annotated[float, Field(gt=0)] = 604_800
    """How long a job is remembered after it has ended and its file is gone."""

    lease: Annotated[float, Field(ge=0.5, le=3_600)] = 30
    """How long after its worker has stopped a job is begun again by another one."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """How often a job is begun again whose worker stopped, before it counts as failed."""

    poll_interval: Annotated[float, Field(ge=0.05, le=3_600)] = 2
    """How often to look for jobs that other processes have queued."""


class ExportsSettings(PluginSettings):
    """Exports."""

    streams: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Streams at a time, in each worker, of all callers. Each holds a connection to the database for as long as its
    client reads; more are answered 503 with `Retry-After`."""

    stream_timeout: Annotated[float, Field(gt=0, le=86_400)] = 3_600
    """How long a stream may take before it is broken off, whatever its client's speed: until then it holds a
    snapshot of the database."""

    jobs: JobSettings = JobSettings()
    """Exports that become files."""

    mask: Mapping[str, Mapping[str, list[str]]] = Field(default_factory=dict)
    """Columns that are left empty, by source and role: `{users: {moderator: [phone]}}`."""

    budget: Budget = Budget()
    """What callers may export whose roles stand in no line of `budgets`."""

    budgets: Mapping[str, Budget] = Field(default_factory=dict)
    """The same by role; of several roles' budgets the largest counts."""
