"""Runs health checks, so that neither many callers nor a check that hangs can do harm."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextvars import Context, copy_context
from typing import Any

from pydantic_core import to_jsonable_python

from powerstrip import Clock, HealthCheck, HostStatus, OwnedCheck
from powerstrip_health.domain import CheckResult, Readiness, Report, reasons_of
from powerstrip_health.settings import HealthSettings

logger = logging.getLogger(__name__)

# A check that ignores its cancellation may not hold up the stop for longer.
_STOP_TIMEOUT = 1.0


class HealthService:
    """Answers how the generation is that serves."""

    def __init__(self, host: HostStatus, settings: HealthSettings, clock: Clock) -> None:
        self.settings = settings
        self.host = host
        self.clock = clock
        self._runners: dict[OwnedCheck, _CheckRunner] = {}
        # Of the service, not of whoever asks: what a check logs is no part of that request.
        self._context = copy_context()

    async def readiness(self) -> Readiness:
        """Whether requests should come here: the server is serving, and no critical check fails."""
        step, generation = self.host.step, self.host.generation
        if step != "serving":
            return Readiness(step, generation, (f"the server is {step}",))
        results = await self._run(owned for owned in self.host.checks if owned.check.critical)
        return Readiness(step, generation, reasons_of(results))

    async def report(self) -> Report:
        """The results of all checks."""
        host = self.host
        results = await self._run(host.checks)
        readiness = Readiness(host.step, host.generation, reasons_of(results))
        return Report(readiness, host.version, host.started_at, results, host.unavailable, host.last_reload)

    async def close(self) -> None:
        """Cancel the checks that still run."""
        tasks = [task for runner in self._runners.values() for task in runner.cancel()]
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT)

    async def _run(self, checks: Iterable[OwnedCheck]) -> tuple[CheckResult, ...]:
        self._forget_stopped()
        runners = [self._runner(owned) for owned in checks]
        return tuple(await asyncio.gather(*(runner.result() for runner in runners)))

    def _forget_stopped(self) -> None:
        """Let go of checks whose plugins have been stopped or replaced by a reload."""
        current = set(self.host.checks)
        for gone in [owned for owned in self._runners if owned not in current]:
            self._runners.pop(gone).cancel()

    def _runner(self, owned: OwnedCheck) -> "_CheckRunner":
        if owned not in self._runners:
            self._runners[owned] = _CheckRunner(owned, self.settings, self.clock, self._context)
        return self._runners[owned]


class _CheckRunner:
    """One check: at most one run at a time, its result shared by all who ask meanwhile and for a while after."""

    def __init__(self, owned: OwnedCheck, settings: HealthSettings, clock: Clock, context: Context) -> None:
        self._owned = owned
        self._clock = clock
        self._context = context
        self._timeout = min(owned.check.timeout, settings.max_check_timeout)
        self._ttl = settings.cache_ttl
        self._observation: asyncio.Task[CheckResult] | None = None
        self._check: asyncio.Task[dict[str, Any]] | None = None
        self._last: CheckResult | None = None
        self._fresh_until = 0.0

    async def result(self) -> CheckResult:
        """The result of the last run while it is fresh, else of the run that goes on or of a new one."""
        if self._last is not None and self._clock.monotonic() < self._fresh_until:
            return self._last
        if self._observation is None or self._observation.done():
            self._observation = asyncio.create_task(self._observe(), context=self._context)
        # Shielded: a caller that leaves must not take the run away from the others.
        return await asyncio.shield(self._observation)

    def cancel(self) -> Sequence["asyncio.Task[Any]"]:
        """Cancel what is running, and return it."""
        running = [task for task in (self._observation, self._check) if task is not None and not task.done()]
        for task in running:
            task.cancel()
        return running

    async def _observe(self) -> CheckResult:
        started, checked_at = self._clock.monotonic(), self._clock.now()
        facts, error = await self._ask()
        result = CheckResult(
            self._owned.plugin,
            self._owned.check.name,
            self._owned.check.critical,
            checked_at,
            duration_ms=round((self._clock.monotonic() - started) * 1000, 3),
            facts=facts,
            error=type(error).__name__ if error else None,
            message=str(error) if error else None,
        )
        self._log_change(error)
        self._last, self._fresh_until = result, self._clock.monotonic() + self._ttl
        return result

    async def _ask(self) -> tuple[dict[str, Any], BaseException | None]:
        if self._check is not None and not self._check.done():
            # It ignores its cancellation. Another run would only hang beside it.
            return {}, TimeoutError("the run before has not ended yet")
        self._check = check = asyncio.create_task(_call(self._owned.check))
        check.add_done_callback(_mark_as_seen)
        done, _ = await asyncio.wait([check], timeout=self._timeout)
        if not done:
            check.cancel()
            return {}, TimeoutError(f"no answer within {self._timeout:g} s")
        if check.cancelled():
            return {}, asyncio.CancelledError("the check cancelled itself")
        error = check.exception()
        return ({}, error) if error else (check.result(), None)

    def _log_change(self, error: BaseException | None) -> None:
        failed_before = self._last is not None and self._last.error is not None
        where = {"check": self._owned.check.name, "plugin": self._owned.plugin}
        if error is not None and not failed_before:
            logger.warning("health check failed", exc_info=error, extra=where)
        elif error is None and failed_before:
            logger.info("health check succeeds again", extra=where)


async def _call(check: HealthCheck) -> dict[str, Any]:
    facts = await check.check()
    readable = to_jsonable_python(dict(facts or {}), fallback=lambda fact: type(fact).__name__)
    return {str(name): fact for name, fact in readable.items()}


def _mark_as_seen(check: "asyncio.Task[Any]") -> None:
    """Keep asyncio from complaining about the failure of a check that nobody waits for any more."""
    if not check.cancelled():
        check.exception()
