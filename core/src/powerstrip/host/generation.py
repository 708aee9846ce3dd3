"""One built and started composition."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from starlette.types import ASGIApp

from powerstrip.contract.clock import Clock, SystemClock
from powerstrip.contract.errors import StartError
from powerstrip.contract.health import HostStatus, HostStep, OwnedCheck
from powerstrip.host.application import Assembly, assemble, build_application, telemetry_listens
from powerstrip.host.composition import Composition, Member, compose
from powerstrip.host.config.config import read_config
from powerstrip.host.discovery import Discovery, discover_plugins
from powerstrip.host.lifecycle import Lifecycle, Limits, Startable
from powerstrip.host.registrations import implementation
from powerstrip.host.services import InProcessEventBus, ServiceRegistry

logger = logging.getLogger(__name__)

HOST_SERVICES = "powerstrip"


class Generation(HostStatus):
    """One composition on its way through the steps: build → start → serve → drain → stop.

    1. `Generation(number, composition)` builds the application; nothing runs.
    2. `start()` enters the plugins' lifespans, dependencies first. A plugin that fails is skipped
       with what requires it if its section says so; else what had started is stopped again and
       StartError is raised.
    3. It serves. Each request leases it: `acquire()` before, `release()` after its response ends.
    4. `drain()` waits until no lease is left.
    5. `stop()` leaves the lifespans, dependants first. It may be called at any time, also twice.
    """

    def __init__(self, number: int, composition: Composition, clock: Clock | None = None) -> None:
        self._number = number
        self._clock = clock or SystemClock()
        self.application: FastAPI = build_application(composition)
        self.entry: ASGIApp = self.application
        """What a server calls; it expects `scope["app"]` to be the application."""
        self._step: HostStep = "starting"
        self._started_at = self._clock.now()
        server = composition.config.server
        self._limits = Limits(start=server.start_timeout, stop=server.stop_timeout)
        self._lifecycle: Lifecycle | None = None
        self._leases = 0
        self._idle = asyncio.Event()  # set while draining, when the last lease ends

    @property
    def assembly(self) -> Assembly:
        assembly: Assembly = self.application.state.powerstrip
        return assembly

    @property
    def composition(self) -> Composition:
        return self.assembly.composition

    @property
    def generation(self) -> int:
        return self._number

    @property
    def step(self) -> HostStep:
        return self._step

    @property
    def started_at(self) -> datetime:
        return self._started_at

    @property
    def version(self) -> str:
        return self.composition.config.app.version

    @property
    def debug(self) -> bool:
        return self.composition.config.app.debug

    @property
    def checks(self) -> Sequence[OwnedCheck]:
        return [OwnedCheck(entry.plugin, entry.value) for entry in self.assembly.registrations.health_checks]

    @property
    def unavailable(self) -> Mapping[str, str]:
        return {name: skipped.reason for name, skipped in self.composition.skipped.items()}

    async def start(self, only: Collection[str] | None = None) -> None:
        """Start every plugin; raises StartError for the first that fails and may not be skipped.

        With `only`, start none but these: the others still answer hooks, which is all that a command needs of them.
        """
        services = ServiceRegistry()
        services.provide(HOST_SERVICES, (self, self._clock, InProcessEventBus(), self.assembly.registrations))
        lifecycle = self._lifecycle = Lifecycle(services, self._limits)
        self._step = "starting"
        try:
            await self._start_members(lifecycle, only)
        except BaseException:
            await self.stop()
            raise
        self.assembly.index.services = services
        self._started_at = self._clock.now()
        self.entry = _entry(self.application)
        self._step = "serving"

    async def _start_members(self, lifecycle: Lifecycle, only: Collection[str] | None) -> None:
        composition = self.composition
        for member in self.composition.members:
            if member.name in composition.skipped or (only is not None and member.name not in only):
                continue
            try:
                await lifecycle.start(self._startable(member))
            except StartError as error:
                if member.section.on_failure != "skip":
                    raise
                logger.exception("plugin skipped: it failed to start", extra={"plugin": member.name})
                composition = composition.skip(member.name, error.reason)
        if composition is not self.composition:
            assemble(self.application, composition, self.assembly.registrations)

    def _startable(self, member: Member) -> Startable:
        registrations = self.assembly.registrations
        tasks = [entry.value for entry in registrations.tasks if entry.plugin == member.name]
        return Startable(member.name, implementation(registrations.manager, member.plugin, "lifespan"), tasks)

    def acquire(self) -> None:
        self._leases += 1

    def release(self) -> None:
        self._leases -= 1
        if not self._leases and self._step == "draining":
            self._idle.set()

    def announce_drain(self) -> None:
        """Turn readiness red; requests are still served."""
        if self._step == "serving":
            self._step = "draining"

    async def drain(self) -> bool:
        """Wait until no lease is left, for `server.drain_timeout` at most; tells whether none is."""
        self.announce_drain()
        try:
            async with asyncio.timeout(self.composition.config.server.drain_timeout):
                while self._leases:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Stop what has started, dependants first. Failures are logged; nothing is left running."""
        lifecycle, self._lifecycle = self._lifecycle, None
        if lifecycle is not None:
            await lifecycle.stop()
            self.assembly.index.services = None
        self._step = "stopped"


def _entry(application: FastAPI) -> ASGIApp:
    # The application's own __call__ only looks whether OpenTelemetry listens, in two more awaits per request.
    return application if telemetry_listens() else application.middleware_stack or application


def create_app(
    *paths: Path | str,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    discovery: Discovery | None = None,
    clock: Clock | None = None,
) -> FastAPI:
    """Load, discover, compose and build: a FastAPI application for any ASGI server or test client.

    `paths` are config files, later ones win (default: `config/config.yaml`); `overrides` are
    `KEY=VALUE` as after `--set`; `environ` stands in for the process environment, `discovery` for what
    is installed, `clock` for the machine's. The plugins start and stop with the application's
    lifespan. Raises ConfigError, CompositionError or BuildError with every finding.
    """
    config = read_config(paths or ("config/config.yaml",), overrides, environ)
    generation = Generation(1, compose(config, discovery or discover_plugins()), clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await generation.start()
        try:
            yield
        finally:
            await generation.stop()

    generation.application.router.lifespan_context = lifespan
    return generation.application
