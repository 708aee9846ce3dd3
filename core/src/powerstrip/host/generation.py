"""One built and started composition."""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from powerstrip.contract.clock import Clock, SystemClock
from powerstrip.contract.errors import PowerstripError, StartError
from powerstrip.contract.events import EventBus
from powerstrip.contract.health import HostStatus, HostStep, OwnedCheck, ReloadOutcome
from powerstrip.contract.plugin import AnyPlugin
from powerstrip.host.application import Assembly, assemble, build_application, telemetry_listens
from powerstrip.host.calls import Leases, end_calls, wait_for_calls
from powerstrip.host.composition import Composition, Member, compose
from powerstrip.host.config.config import read_config
from powerstrip.host.config.settings import ServerSettings
from powerstrip.host.discovery import Discovery, discover_plugins
from powerstrip.host.lifecycle import Lifecycle, Limits, RunningPlugin, Startable
from powerstrip.host.registrations import Registrations, implementation
from powerstrip.host.services import InProcessEventBus, ServiceRegistry, stated_services
from powerstrip.host.staying import adapted, switch_over
from powerstrip.host.views import PluginView

logger = logging.getLogger(__name__)

HOST_SERVICES = "powerstrip"


class Lineage:
    """What all generations of one process have in common."""

    def __init__(self, clock: Clock | None = None, listens_with: ServerSettings | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.events: EventBus = InProcessEventBus()
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        self.last_reload: ReloadOutcome | None = None
        self.provided: dict[type[AnyPlugin], frozenset[type]] = {}
        """The types of the services that plugins provided when they ran."""
        self.listens_with = listens_with
        """What the server was made with, if need be by the first generation: some of it stays true until a restart."""


class MustRestartError(PowerstripError):
    """A running plugin was to be kept, and would find a service that it had looked for in vain."""

    def __init__(self, plugin: str, reason: str) -> None:
        super().__init__(f"plugin '{plugin}' has to be restarted: {reason}")
        self.plugin = plugin
        self.reason = reason


@dataclass(frozen=True)
class Inheritance:
    """What a generation takes over from the one that serves: running plugins, and those of them that must adapt."""

    running: Mapping[str, RunningPlugin] = field(default_factory=dict)
    adapting: frozenset[str] = frozenset()


class Generation(HostStatus):
    """One composition on its way through the steps: build → start → serve → drain → stop.

    1. `Generation(number, composition)` builds the application; nothing runs.
    2. `start()` enters the plugins' lifespans, dependencies first. A plugin that fails is skipped
       with what requires it if its section says so; else what had started is stopped again and
       StartError is raised.
    3. It serves. Each call leases it until its response ends: `leases`.
    4. `drain()` waits until none is left; `drain_out()` for those that may need a plugin that stops, and ends
       those of such plugins.
    5. `stop()` leaves the lifespans, dependants first. It may be called at any time, also twice.

    A reload makes the next one of a composition whose members are the same objects where they are kept. Between
    `start()` and `succeed()` both have them, and the older one owns them.
    """

    def __init__(
        self,
        number: int,
        composition: Composition,
        clock: Clock | None = None,
        *,
        lineage: Lineage | None = None,
        previous: "Generation | None" = None,
    ) -> None:
        """With a `lineage` it is one of several, and takes what it can from the `previous` one."""
        self._number = number
        self._lineage = lineage or Lineage(clock)
        if self._lineage.listens_with is None:
            self._lineage.listens_with = composition.config.server
        self.application: FastAPI = build_application(composition, previous.assembly if previous else None, lineage)
        self.entry: ASGIApp = self.application
        """What a server calls; it expects `scope["app"]` to be the application."""
        self.leases = Leases()
        self.services = ServiceRegistry()
        self._step: HostStep = "starting"
        self._started_at = self._lineage.clock.now()
        self._lifecycle = self._new_lifecycle()
        self._switches: list[Callable[[], None]] = []

    @property
    def assembly(self) -> Assembly:
        assembly: Assembly = self.application.state.powerstrip
        return assembly

    @property
    def registrations(self) -> Registrations:
        return self.assembly.registrations

    @property
    def composition(self) -> Composition:
        return self.assembly.composition

    @property
    def running(self) -> Mapping[str, RunningPlugin]:
        """The plugins that have started, dependencies first."""
        return self._lifecycle.running

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
    def docs(self) -> bool:
        return self.composition.config.app.docs_enabled

    @property
    def checks(self) -> Sequence[OwnedCheck]:
        return [OwnedCheck(entry.plugin, entry.value) for entry in self.registrations.health_checks]

    @property
    def unavailable(self) -> Mapping[str, str]:
        return {name: skipped.reason for name, skipped in self.composition.skipped.items()}

    def provides(self, plugin_class: type[AnyPlugin]) -> frozenset[type] | None:
        """The types of the services that a plugin provided when it ran the last time, or says that it will.

        None when it has never run here, and leaves that open.
        """
        if plugin_class in self._lineage.provided:
            return self._lineage.provided[plugin_class]
        lifespan = getattr(plugin_class, "lifespan", None)
        return frozenset() if lifespan is None else stated_services(lifespan)

    @property
    def listens_with(self) -> ServerSettings:
        """What the server was started with."""
        return self._lineage.listens_with or self.composition.config.server

    @property
    def last_reload(self) -> ReloadOutcome | None:
        return self._lineage.last_reload

    async def start(self, only: Collection[str] | None = None, inheritance: Inheritance | None = None) -> None:
        """Start every plugin; raises StartError for the first that fails and may not be skipped.

        With `only`, start none but these: the others still answer hooks, which is all that a command needs of them.

        With an `inheritance`, those of it run already; MustRestartError tells that one of them can't be kept.
        """
        lineage = self._lineage
        self.services = ServiceRegistry()
        self._lifecycle = self._new_lifecycle()
        self.services.provide(HOST_SERVICES, (self, lineage.clock, lineage.events, self.registrations))
        self._step = "starting"
        try:
            await self._start_members(only, inheritance or Inheritance())
        except BaseException:
            await self.stop()
            raise
        self.assembly.index.services = self.services
        self._started_at = lineage.clock.now()
        self.entry = _entry(self.application)
        self._step = "serving"

    def _new_lifecycle(self) -> Lifecycle:
        server = self.composition.config.server
        return Lifecycle(self.services, Limits(start=server.start_timeout, stop=server.stop_timeout))

    async def _start_members(self, only: Collection[str] | None, inheritance: Inheritance) -> None:
        composition = self.composition
        for member in self.composition.members:
            if member.name in composition.skipped or (only is not None and member.name not in only):
                continue
            running = inheritance.running.get(member.name)
            try:
                if running is not None:
                    await self._invite(member, running, adapts=member.name in inheritance.adapting)
                else:
                    await self._lifecycle.start(self._startable(member), PluginView(self))
                    self._lineage.provided[type(member.plugin)] = self.services.kinds_of(member.name)
            except StartError as error:
                if member.section.on_failure != "skip" or running is not None:
                    raise
                logger.exception("plugin skipped: it failed to start", extra={"plugin": member.name})
                composition = composition.skip(member.name, error.reason)
        if composition is not self.composition:
            assembly = self.assembly
            assemble(self.application, composition, assembly.registrations, assembly.overrides, assembly.made)

    async def _invite(self, member: Member, running: RunningPlugin, *, adapts: bool) -> None:
        for kind in running.view.missed:
            for provider in self.services.providers(kind):
                raise MustRestartError(member.name, f"it looked for what '{provider}' provides now")
        if adapts:
            view = PluginView(self)
            switch = await adapted(member, view, self.composition.config.server.start_timeout)
            self._switches += [lambda: running.view.merge(view), partial(switch_over, member.name, switch)]
        self._lifecycle.invite(running)

    def _startable(self, member: Member) -> Startable:
        registrations = self.registrations
        tasks = [entry.value for entry in registrations.tasks if entry.plugin == member.name]
        return Startable(member.name, implementation(registrations.manager, member.plugin, "lifespan"), tasks)

    def succeed(self, previous: "Generation") -> None:
        """Own what was inherited from now on. It is called at the swap, and waits for nothing."""
        kept = [running for name, running in self.running.items() if previous.running.get(name) is running]
        self._lifecycle.take_over()
        previous._lifecycle.hand_over(kept)  # noqa: SLF001 - of the same class
        for switch in self._switches:
            switch()
        self._switches.clear()
        for running in kept:
            running.view.move(self)

    def announce_drain(self) -> None:
        """Turn readiness red; requests are still served."""
        if self._step == "serving":
            self._step = "draining"

    async def drain(self) -> bool:
        """Wait until no lease is left, for `server.drain_timeout` at most; tells whether none is."""
        self.announce_drain()
        timeout = self.composition.config.server.drain_timeout
        return await wait_for_calls([self.leases], self.running.keys(), timeout)

    async def drain_out(self, earlier: Sequence[Leases] = ()) -> None:
        """Let go of what no later generation keeps, so that it can be stopped.

        Its calls have `server.drain_timeout` to end; then those that such a plugin answers are ended, `earlier` ones
        included. WebSockets and streams of plugins that are kept live on.
        """
        self.announce_drain()
        leaving = frozenset(self.running)
        if leaving:
            server = self.composition.config.server
            everywhere = (*earlier, self.leases)
            await wait_for_calls(everywhere, leaving, server.drain_timeout)
            left = [call for leases in everywhere for call in leases.of(leaving)]
            await end_calls([*left, *self.leases.unrouted()], server.stop_timeout)

    async def stop(self) -> None:
        """Stop what has started, dependants first. Failures are logged; nothing is left running."""
        await self._lifecycle.stop()
        if not len(self.leases):
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
