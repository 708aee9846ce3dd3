"""How checks are run: shared, kept for a while, and never waited for too long."""

import asyncio
import logging
from datetime import UTC, datetime

import anyio
import pytest

from powerstrip import HealthCheck, OwnedCheck, SystemClock
from powerstrip_health.service import HealthService
from powerstrip_health.settings import HealthSettings


class Host:
    """A host with some checks."""

    step = "serving"
    generation = 3
    started_at = datetime(2026, 1, 1, tzinfo=UTC)
    version = "1.0"
    debug = False
    last_reload = None

    def __init__(self, *checks):
        self.unavailable = {}
        self.checks = [OwnedCheck("plugin", check) for check in checks]


class Counted:
    """A check that counts its runs, and waits in each until it is told to go on."""

    def __init__(self):
        self.runs = 0
        self.go_on = asyncio.Event()

    async def __call__(self):
        self.runs += 1
        await self.go_on.wait()
        return {"run": self.runs}


def service_of(*checks, clock=None, **settings):
    return HealthService(Host(*checks), HealthSettings.model_validate(settings), clock or SystemClock())


async def results_of(service):
    return {result.name: result for result in (await service.report()).results}


async def hang():
    await anyio.sleep_forever()


async def test_a_thousand_callers_share_one_run():
    counted = Counted()
    service = service_of(HealthCheck("a", counted))
    reports = [asyncio.create_task(service.report()) for _ in range(500)]
    reports += [asyncio.create_task(service.readiness()) for _ in range(500)]
    await asyncio.sleep(0.01)

    counted.go_on.set()
    await asyncio.gather(*reports)

    assert counted.runs == 1


async def test_a_caller_that_leaves_does_not_end_the_run_of_the_others():
    counted = Counted()
    service = service_of(HealthCheck("a", counted))
    leaving, staying = (asyncio.create_task(service.report()) for _ in range(2))
    await asyncio.sleep(0.01)

    leaving.cancel()
    counted.go_on.set()

    assert (await staying).status == "healthy"
    assert counted.runs == 1


async def test_a_result_is_kept_for_the_time_that_is_set(fake_clock):
    counted = Counted()
    counted.go_on.set()
    service = service_of(HealthCheck("a", counted), clock=fake_clock, cache_ttl=10)

    await service.report()
    fake_clock.advance(9)
    await service.report()
    assert counted.runs == 1

    fake_clock.advance(2)
    assert (await results_of(service))["a"].facts == {"run": 2}


async def test_a_failure_is_kept_as_long(fake_clock):
    runs = []

    async def fail():
        runs.append(1)
        raise OSError

    service = service_of(HealthCheck("a", fail), clock=fake_clock, cache_ttl=10)
    for _ in range(3):
        await service.report()

    assert len(runs) == 1


async def test_without_a_time_nothing_is_kept():
    counted = Counted()
    counted.go_on.set()
    service = service_of(HealthCheck("a", counted), cache_ttl=0)

    await service.report()
    await service.report()

    assert counted.runs == 2


async def test_checks_run_at_the_same_time():
    meeting = asyncio.Barrier(3)

    async def meet():
        await meeting.wait()

    service = service_of(*(HealthCheck(name, meet) for name in "abc"))

    assert (await service.report()).status == "healthy"


async def test_a_hung_check_fails_at_its_timeout_and_delays_nothing_more():
    counted = Counted()
    counted.go_on.set()
    service = service_of(HealthCheck("hung", hang, timeout=0.1), HealthCheck("fine", counted))

    with anyio.fail_after(1):
        results = await results_of(service)

    assert (results["hung"].error, results["hung"].message) == ("TimeoutError", "no answer within 0.1 s")
    assert results["fine"].error is None


async def test_the_operator_can_shorten_every_timeout():
    service = service_of(HealthCheck("hung", hang, timeout=60), max_check_timeout=0.1)

    with anyio.fail_after(1):
        assert (await results_of(service))["hung"].error == "TimeoutError"


async def test_a_check_that_ignores_its_cancellation_hangs_alone_and_once():
    release, runs = asyncio.Event(), []

    async def stubborn():
        runs.append(1)
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    service = service_of(HealthCheck("stubborn", stubborn, timeout=0.05), cache_ttl=0)

    with anyio.fail_after(1):
        first, second = await results_of(service), await results_of(service)

    assert first["stubborn"].message == "no answer within 0.05 s"
    assert second["stubborn"].message == "the run before has not ended yet"
    assert len(runs) == 1
    release.set()
    await asyncio.sleep(0)
    assert (await results_of(service))["stubborn"].error is None


async def test_readiness_does_not_wait_for_checks_that_are_not_critical():
    service = service_of(HealthCheck("hung", hang, critical=False, timeout=60), max_check_timeout=60)

    with anyio.fail_after(1):
        assert (await service.readiness()).status == "healthy"


@pytest.mark.parametrize("step", ["starting", "draining", "stopped"])
async def test_readiness_is_red_in_every_other_step_and_asks_no_check(step):
    counted = Counted()
    service = service_of(HealthCheck("a", counted))
    service.host.step = step

    readiness = await service.readiness()

    assert (readiness.status, readiness.reasons, readiness.generation) == ("unhealthy", (f"the server is {step}",), 3)
    assert counted.runs == 0


async def cancel_itself():
    raise asyncio.CancelledError


async def give_text():
    return "fine"


def not_async():
    return {}


def raise_at_once():
    raise LookupError("gone")


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (cancel_itself, "CancelledError"),
        (give_text, "ValueError"),
        (not_async, "TypeError"),
        (raise_at_once, "LookupError"),
    ],
)
async def test_a_check_that_misbehaves_fails_and_harms_nothing_else(check, error):
    counted = Counted()
    counted.go_on.set()

    results = await results_of(service_of(HealthCheck("odd", check), HealthCheck("fine", counted)))

    assert results["odd"].error == error
    assert results["fine"].error is None


async def test_facts_that_are_no_json_are_shown_by_their_type():
    async def odd():
        return {"socket": object(), "when": datetime(2026, 1, 1, tzinfo=UTC), 5: {1}}

    facts = (await results_of(service_of(HealthCheck("odd", odd))))["odd"].facts

    assert facts == {"socket": "object", "when": "2026-01-01T00:00:00Z", "5": [1]}


async def test_changes_are_logged_and_nothing_else(fake_clock, caplog):
    caplog.set_level(logging.INFO, "powerstrip_health")
    broken = [True]

    async def check():
        if broken:
            raise OSError("gone")

    service = service_of(HealthCheck("a", check), clock=fake_clock)
    for _ in range(3):
        await service.report()
        fake_clock.advance(10)
    broken.clear()
    for _ in range(3):
        await service.report()
        fake_clock.advance(10)

    assert [(record.message, record.check, record.plugin) for record in caplog.records] == [
        ("health check failed", "a", "plugin"),
        ("health check succeeds again", "a", "plugin"),
    ]


async def test_nothing_runs_after_the_service_is_closed():
    ended = []

    async def check():
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    service = service_of(HealthCheck("a", check, timeout=60), max_check_timeout=60)
    asking = asyncio.create_task(service.report())
    await asyncio.sleep(0.01)

    with anyio.fail_after(0.5):
        await service.close()

    assert ended == [True]
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_closing_does_not_wait_long_for_a_check_that_ignores_its_cancellation():
    release = asyncio.Event()

    async def stubborn():
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    service = service_of(HealthCheck("a", stubborn, timeout=60), max_check_timeout=60)
    asking = asyncio.create_task(service.report())
    await asyncio.sleep(0.01)

    with anyio.fail_after(3):
        await service.close()

    release.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
