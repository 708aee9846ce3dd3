"""The generation that serves, and how it came to be."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic

from powerstrip.contract.clock import Clock
from powerstrip.contract.errors import FindingsError, PowerstripError
from powerstrip.contract.health import ReloadOutcome
from powerstrip.host.application import inspect_again
from powerstrip.host.building import Builder
from powerstrip.host.calls import Leases, only_brief
from powerstrip.host.composition import Composition, Skipped, compose
from powerstrip.host.config.config import Config, read_config
from powerstrip.host.config.files import Files, KeptFiles, Sighting
from powerstrip.host.config.settings import ServerSettings
from powerstrip.host.discovery import Discovery, discover_plugins
from powerstrip.host.endpoints import forget_endpoints
from powerstrip.host.generation import Generation, Lineage, MustRestartError
from powerstrip.host.installations import Installations
from powerstrip.host.planning import ReloadPlan, Transition, describe_api, describe_plan, plan_transition
from powerstrip.host.probing import probe
from powerstrip.host.staying import Switch, switch_over

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """A generation's number and the files of its config, for processes that must have the same."""

    number: int
    contents: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True)
class Prepared:
    """The next generation, started beside the one that serves and ready to take its place. `plan` is None at first."""

    generation: Generation
    plan: ReloadPlan | None
    began: float
    switches: Mapping[str, Switch] = field(default_factory=dict)


class Supervisor:
    """Keeps one current generation; `reload()` makes the next, and the first start is a reload from nothing."""

    def __init__(
        self,
        paths: Sequence[Path | str],
        overrides: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        *,
        discover: Callable[[], Discovery] = discover_plugins,
        clock: Clock | None = None,
        first: Snapshot | None = None,
        listens_with: ServerSettings | None = None,
        on_import: Callable[[], None] = lambda: None,
        on_swap: Callable[[Config], None] = lambda _config: None,
    ) -> None:
        """`first` stands in for the disk at the first start; `listens_with` is what the server was made with, where
        that is not what the first config says; `on_import` is called at the first start, when the plugins' code is in
        memory and nothing is made of it yet; `on_swap` is told the config of each new generation."""
        self.current: Generation | None = None
        self.files: Sighting = {}
        """What the config was read from, or tried to be, the last time."""
        self._sources = (paths, overrides, environ)
        self._first = first
        self._on_import = on_import
        self._on_swap = on_swap
        self._lineage = Lineage(clock, listens_with)
        self._installations = Installations(discover)
        self._builder = Builder(ServerSettings().start_timeout)  # until a config says another
        self._reloading = asyncio.Lock()  # held from the start of a preparation to its end, whatever that is
        self._prepared: Prepared | None = None
        self._preparation: asyncio.Task[object] | None = None
        self._retired: list[Leases] = []  # of earlier generations that still have calls
        self._retirement: asyncio.Task[None] | None = None

    @property
    def last_reload(self) -> ReloadOutcome | None:
        return self._lineage.last_reload

    @property
    def is_retiring(self) -> bool:
        """Whether something that no generation needs any more has still to stop."""
        return self._retirement is not None and not self._retirement.done()

    async def retired(self) -> None:
        """Returns when all that no generation needs any more has stopped."""
        if self._retirement is not None:
            await asyncio.shield(self._retirement)

    async def reload(self) -> Generation:
        """load → discover → compose → build → start → probe → swap; then what stops is drained and stopped beside.

        Any failure is raised and leaves the current generation as it is: ConfigError, CompositionError, BuildError with
        findings, StartError with the plugin's name.
        """
        return self.swap(await self.prepare())

    async def plan(self, snapshot: Snapshot | None = None) -> ReloadPlan:
        """What `reload()` would do, found out by its steps up to build. Raises as it does."""
        async with self._reloading:
            try:
                current = self.current
                transition, following = await self._build(*await self._load(snapshot), {})
                plan = self._described(transition, following)
                if current is None:
                    return plan
                return await self._builder.run(partial(describe_api, plan, current, following))
            finally:
                self._go_on()

    async def prepare(self, snapshot: Snapshot | None = None) -> Prepared:
        """Everything up to the swap. Then it waits for `swap` or `abandon`, and so does any other reload.

        A `snapshot` stands in for the disk, for whoever has several processes to keep alike.
        """
        await self._reloading.acquire()
        began = monotonic()
        try:
            self._preparation = asyncio.current_task()
            self._prepared = await self._prepare(snapshot, began)
        except BaseException as error:
            self._reloading.release()
            self._go_on()
            if isinstance(error, Exception) and self.current is not None:
                self._note(began, self.current, error)
            raise
        finally:
            self._preparation = None
        return self._prepared

    def swap(self, prepared: Prepared) -> Generation:
        """Make the prepared generation the current one, at once; what it does not keep retires in the background."""
        retired, self.current = self.current, prepared.generation
        if retired is not None:
            self.current.succeed(retired)
            for plugin, switch in prepared.switches.items():
                switch_over(plugin, switch)
            if retired.step == "draining":  # the server is about to stop, whatever serves until then
                self.current.announce_drain()
            self._retire(retired)
            self._note(prepared.began, self.current, plan=prepared.plan)
        self._on_swap(self.current.composition.config)
        self._prepared = None
        self._reloading.release()
        composition = self.current.composition
        for finding in composition.findings:
            logger.warning("%s", finding.message, extra={"code": finding.code, "hint": finding.hint})
        names = [member.name for member in composition.members]
        logger.info("serving", extra={"generation": self.current.generation, "plugins": names})
        return self.current

    async def abandon(self, prepared: Prepared, reason: str) -> None:
        """Stop what was started for a generation that will not serve."""
        await prepared.generation.stop()
        self._go_on()
        self._prepared = None
        self._reloading.release()
        if self.current is not None:
            self._note(prepared.began, self.current, PowerstripError(reason))

    async def give_up(self, reason: str) -> None:
        """End a reload that is under way, however far it has come. What it has started is stopped."""
        if self._preparation is not None:
            self._preparation.cancel()
        if self._prepared is not None:
            await self.abandon(self._prepared, reason)

    async def only_brief(self, seconds: float) -> None:
        """Wait until no call of any generation is left that is meant to stay open, or for so long."""
        await only_brief([*self._retired, *([self.current.leases] if self.current else [])], seconds)

    async def close(self) -> None:
        """Stop serving: give up a reload that is under way, then drain and stop the current generation."""
        await self.give_up("the server stops")
        async with self._reloading:
            retired, self.current = self.current, None
        await self.retired()  # what stops there may use what stops here
        if retired is not None:
            await retired.drain()
            await retired.stop()

    async def _prepare(self, snapshot: Snapshot | None, began: float) -> Prepared:
        current = self.current
        config, number = await self._load(snapshot or (self._first if current is None else None))
        forced: dict[str, str] = {}
        while True:
            transition, following = await self._build(config, number, forced)
            plan = None if current is None else self._described(transition, following)
            try:
                await following.start(inheritance=transition.inheritance)
            except MustRestartError as error:
                forced[error.plugin] = error.reason
            else:
                break
        if current is not None:
            try:
                await probe(following, following.running.keys() - transition.inheritance.running.keys())
            except BaseException:
                await following.stop()
                raise
        return Prepared(following, plan, began, transition.switches)

    async def _load(self, snapshot: Snapshot | None) -> tuple[Config, int]:
        """The config and the number of the next generation."""
        config = await self._builder.run(partial(self._read, snapshot))
        self._builder.limit = config.server.start_timeout
        if snapshot is not None:
            return config, snapshot.number
        return config, self.current.generation + 1 if self.current else 1

    async def _build(self, config: Config, number: int, forced: Mapping[str, str]) -> tuple[Transition, Generation]:
        """Built off the event loop, decided upon in it. Plugins that can't be built may be skipped: then once more."""
        current = self.current
        lost: dict[str, Skipped] = {}
        while True:
            composition = await self._builder.run(partial(self._compose, config, lost))
            transition = plan_transition(current, composition, forced)
            build = partial(Generation, number, transition.composition, lineage=self._lineage, previous=current)
            following = await self._builder.run(build)
            skipped = following.composition.skipped
            newly_lost = {name: skipped[name] for name in skipped if name not in composition.skipped}
            if not newly_lost or current is None:
                self._installations.note_imported(following.composition)
                return transition, following
            lost |= newly_lost

    def _read(self, snapshot: Snapshot | None) -> Config:
        files = KeptFiles(snapshot.contents) if snapshot else Files()
        try:
            return read_config(*self._sources, files)
        finally:
            self.files = files.seen

    def _compose(self, config: Config, lost: Mapping[str, Skipped]) -> Composition:
        discovery = self._installations.discover()
        is_first = self.current is None
        composition = compose(config, discovery, self._on_import) if is_first else compose(config, discovery)
        for name, skipped in lost.items():
            if name not in composition.skipped:
                composition = composition.skip(name, skipped.reason, skipped.findings)
        return composition

    def _described(self, transition: Transition, following: Generation) -> ReloadPlan:
        if self.current is None:
            raise PowerstripError("nothing is served yet")
        upgraded = self._installations.upgraded(change.plugin for change in transition.changes)
        return describe_plan(self.current, following, transition, upgraded)

    def _go_on(self) -> None:
        """The current generation serves on, after another was built."""
        if self.current is not None:
            inspect_again(self.current.assembly)

    def _retire(self, generation: Generation) -> None:
        self._retired = [leases for leases in self._retired if len(leases)]
        before, earlier = self._retirement, list(self._retired)
        self._retired.append(generation.leases)
        name = f"powerstrip:retire:{generation.generation}"
        self._retirement = asyncio.create_task(_retire(generation, earlier, before), name=name)

    def _note(
        self, began: float, serving: Generation, error: Exception | None = None, plan: ReloadPlan | None = None
    ) -> None:
        outcome = ReloadOutcome(
            ended_at=self._lineage.clock.now(),
            duration=round(monotonic() - began, 3),
            succeeded=error is None,
            generation=serving.generation,
            error=type(error).__name__ if error else None,
            reason=str(error) if error else None,
            restart_needed=plan.restart_needed if plan else (),
        )
        self._lineage.last_reload = outcome
        if error is not None:
            findings = [finding.to_dict() for finding in error.findings] if isinstance(error, FindingsError) else []
            extra = {"generation": serving.generation, "error": outcome.error, "findings": findings}
            logger.error("reload failed, the generation before goes on: %s", outcome.reason, extra=extra)
        elif plan is not None:
            logger.info("reloaded", extra={"seconds": outcome.duration, **plan.summary()})
            if plan.restart_needed:
                logger.warning("a restart is needed for: %s", "; ".join(plan.restart_needed))


async def _retire(generation: Generation, earlier: Sequence[Leases], before: "asyncio.Task[None] | None") -> None:
    try:
        await generation.drain_out(earlier)
        if before is not None:
            await before  # what stops there may use what stops here
        await generation.stop()
        forget_endpoints()
        logger.info("retired", extra={"generation": generation.generation})
    except Exception:
        logger.exception("a generation failed to retire", extra={"generation": generation.generation})
