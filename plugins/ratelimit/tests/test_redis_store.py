"""What the store on Redis promises beyond the rules that all stores follow."""

import asyncio
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from powerstrip_ratelimit.domain.decisions import Count
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.errors import StoreUnavailableError
from powerstrip_ratelimit.stores.redis import RedisStore, limits_script
from powerstrip_redis import RedisConnections
from powerstrip_redis.settings import RedisSettings
from powerstrip_redis.testing import Valkey

SLIDING = Policy("sliding", Algorithm.SLIDING, 100, 3600 * SECOND)
GCRA = Policy("gcra", Algorithm.GCRA, 1, 3600 * SECOND, 100)
LEASES = Policy("leases", Algorithm.CONCURRENT, 100, 3600 * SECOND)
WIDE = Policy("wide", Algorithm.SLIDING, 100_000, 3600 * SECOND)
MANY = 300


@pytest.fixture
def make_store(valkey):
    """Makes stores in this process, each with a pool of its own, and closes them."""
    return lambda **options: Opened(valkey.url, **options)


class Opened:
    """`async with Opened(url) as store: ...`"""

    def __init__(self, url, **options):
        self.connections = RedisConnections(RedisSettings(url=url, timeout=30, **options))

    async def __aenter__(self):
        self.store = RedisStore(self.connections, within=30)
        return self.store

    async def __aexit__(self, *_error):
        await self.store.close()
        await self.connections.close()


def calls(server, command):
    """How often the server has run a command since it was started or told to forget."""
    found = re.search(rf"cmdstat_{command}:calls=(\d+)", server.command("INFO", "commandstats").decode())
    return int(found[1]) if found else 0


async def admitted_of(stores, counts, tasks):
    """How many of so many requests at once are admitted."""
    decisions = await asyncio.gather(*(stores[number % len(stores)].decide(counts) for number in range(tasks)))
    return sum(decision.allowed for decision in decisions)


@pytest.mark.parametrize("policy", [SLIDING, GCRA], ids=lambda policy: policy.name)
async def test_requests_at_once_on_several_workers_get_the_limit_and_no_more(make_store, policy):
    async with make_store(pool_size=1) as one, make_store(pool_size=1) as other:
        assert await admitted_of([one, other], [Count(policy, "ann")], MANY) == 100


async def test_leases_at_once_get_the_limit_and_no_more(make_store):
    async with make_store() as store:
        decisions = await asyncio.gather(*(store.decide([Count(LEASES, "ann", 1, str(n))]) for n in range(MANY)))

        assert sum(decision.allowed for decision in decisions) == 100


async def test_several_policies_at_once_get_the_tightest(make_store):
    counts = [Count(SLIDING, "ann"), Count(GCRA, "ann"), Count(WIDE, "ann")]
    async with make_store() as store:
        assert await admitted_of([store], counts, MANY) == 100

        # What was refused was counted for none of them.
        [verdict] = await store.peek([Count(WIDE, "ann")])
        assert verdict.remaining == WIDE.limit - 100


async def test_all_policies_of_a_request_are_one_call(make_store, valkey):
    counts = [Count(SLIDING, "ann"), Count(GCRA, "ann"), Count(LEASES, "ann", 1, "x"), Count(WIDE, "ann")]
    async with make_store() as store:
        await store.decide(counts)
        valkey.command("CONFIG", "RESETSTAT")
        await store.decide(counts)

    assert calls(valkey, "evalsha") == 1
    assert calls(valkey, "eval") == 0


async def test_requests_that_come_together_go_together(make_store, valkey):
    async with make_store() as store:
        await store.decide([Count(WIDE, "ann")])
        valkey.command("CONFIG", "RESETSTAT")
        await asyncio.gather(*(store.decide([Count(WIDE, "ann")]) for _ in range(100)))
        [reads] = re.findall(rb"total_reads_processed:(\d+)", valkey.command("INFO", "stats"))

    assert calls(valkey, "evalsha") == 100
    assert int(reads) < 20


async def test_a_server_that_has_forgotten_the_script_is_told_again_and_counts_nothing_twice(make_store, valkey):
    async with make_store() as store:
        await admitted_of([store], [Count(WIDE, "ann")], 10)
        valkey.command("SCRIPT", "FLUSH")

        assert await admitted_of([store], [Count(WIDE, "ann")], 50) == 50
        [verdict] = await store.peek([Count(WIDE, "ann")])
        assert verdict.remaining == WIDE.limit - 60


async def test_a_restarted_server_is_taken_up_again(make_store, valkey):
    async with make_store() as store:
        await admitted_of([store], [Count(WIDE, "ann")], 10)
        valkey.stop()
        valkey.start()

        assert (await store.decide([Count(WIDE, "ann")])).allowed


async def test_a_caller_who_leaves_takes_nobody_along(make_store):
    async with make_store() as store:
        tasks = [asyncio.create_task(store.decide([Count(WIDE, "ann")])) for _ in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)

        assert all(outcome.allowed for outcome in outcomes[1::2])
        assert (await store.decide([Count(WIDE, "ann")])).allowed


async def test_the_clock_of_the_machine_that_asks_changes_nothing(make_store, monkeypatch):
    short = Policy("short", Algorithm.SLIDING, 5, 3600 * SECOND)
    async with make_store() as store:
        admitted = 0
        for hours in (0, 1, -1, 24, -24):
            shifted = time.time() + hours * 3600
            monkeypatch.setattr("time.time", lambda shifted=shifted: shifted)
            monkeypatch.setattr("time.time_ns", lambda shifted=shifted: int(shifted * 10**9))
            admitted += await admitted_of([store], [Count(short, "ann"), Count(GCRA, "ann")], 5)

    assert admitted == 5


async def test_a_server_whose_clock_is_set_back_gives_nothing_away_and_locks_nobody_out(timed_store, moment):
    hour, minute = 3600 * SECOND, 60 * SECOND
    window = Count(Policy("window", Algorithm.SLIDING, 3, minute), "ann")
    smooth = Count(Policy("smooth", Algorithm.GCRA, 60, minute, 3), "ann")
    async with timed_store() as store:
        for count in (window, smooth):
            moment.at = 2 * hour
            assert [(await store.decide([count])).allowed for _ in range(4)] == [True] * 3 + [False]
            moment.at = hour
            assert [(await store.decide([count])).allowed for _ in range(4)] == [False] * 4
            moment.at = hour + minute + 1

            assert (await store.decide([count])).allowed


async def test_keys_do_not_stay_beyond_their_use(make_store, valkey):
    minute = Policy("minute", Algorithm.SLIDING, 10, 60 * SECOND)
    smooth = Policy("smooth", Algorithm.GCRA, 10, 60 * SECOND, 10)
    leases = Policy("few", Algorithm.CONCURRENT, 10, 60 * SECOND)
    async with make_store() as store:
        await store.decide([Count(minute, "ann"), Count(smooth, "ann"), Count(leases, "ann", 1, "x")])
        keys = await store._connections.client.keys("*")
        left = [await store._connections.client.pttl(key) for key in keys]

    assert len(keys) == 3
    assert all(0 < milliseconds <= 60_000 for milliseconds in left)


async def test_the_period_that_a_changed_rate_shortens_does_not_cut_leases_short(make_store):
    long, short = (Policy("few", Algorithm.CONCURRENT, 2, seconds * SECOND) for seconds in (3600, 1))
    async with make_store() as store:
        await store.decide([Count(long, "ann", 1, "x")])
        await store.decide([Count(short, "ann", 1, "y")])
        [key] = await store._connections.client.keys("*")

        assert await store._connections.client.pttl(key) > 3_000_000


async def test_an_error_of_the_server_is_the_stores(make_store, valkey):
    async with make_store() as store:
        await store.decide([Count(SLIDING, "ann")])
        [key] = await store._connections.client.keys("*")
        await store._connections.client.delete(key)
        await store._connections.client.rpush(key, "something else")

        with pytest.raises(StoreUnavailableError, match="WRONGTYPE"):
            await store.decide([Count(SLIDING, "ann")])
        outcomes = await asyncio.gather(
            *(store.decide([Count(SLIDING, name)]) for name in ("ann", "bob", "ann", "eve")), return_exceptions=True
        )
        assert [isinstance(outcome, StoreUnavailableError) for outcome in outcomes] == [True, False, True, False]


async def test_while_the_server_is_away_it_says_so_at_once(make_store, valkey):
    async with make_store(longest_pause=3600) as store:
        await store.decide([Count(WIDE, "ann")])
        valkey.stop()
        with pytest.raises(StoreUnavailableError):
            await store.decide([Count(WIDE, "ann")])

        before = time.process_time()
        outcomes = await asyncio.gather(
            *(store.decide([Count(WIDE, "ann")]) for _ in range(100)), return_exceptions=True
        )
        assert all(isinstance(outcome, StoreUnavailableError) for outcome in outcomes)
        assert time.process_time() - before < 1


async def test_a_server_that_does_not_answer_is_given_up_in_time(valkey):
    connections = RedisConnections(RedisSettings(url=valkey.url, timeout=60))
    store = RedisStore(connections, within=0.2)
    try:
        await store.decide([Count(WIDE, "ann")])
        valkey.freeze()
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(
                *(store.decide([Count(WIDE, "ann")]) for _ in range(100)), return_exceptions=True
            )
        assert all(isinstance(outcome, StoreUnavailableError) for outcome in outcomes)
    finally:
        await store.close()
        await connections.close()


async def test_in_a_cluster_all_policies_of_all_subjects_are_decided_together():
    server = Valkey("--cluster-enabled", "yes")
    try:
        server.start()
        server.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        while b"cluster_state:ok" not in server.command("CLUSTER", "INFO"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        async with Opened(server.url.replace("redis://", "redis+cluster://").removesuffix("/0")) as store:
            counts = [Count(SLIDING, "ann"), Count(GCRA, "address:::1"), Count(WIDE, "everybody")]
            assert await admitted_of([store], counts, MANY) == 100
            server.command("SCRIPT", "FLUSH")
            assert (await store.peek(counts))[2].remaining == WIDE.limit - 100
    finally:
        server.close()


SUBJECTS = ("a", "b")
fixed = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
policies = st.builds(
    Policy,
    st.sampled_from(["p", "q", "r"]),
    st.sampled_from(Algorithm),
    st.sampled_from([1, 2, 3, 10, 128, 129, 300]),
    st.sampled_from([1, 7, 100, 1000, 12_800]),
    st.sampled_from([1, 2, 5]),
    st.booleans(),
)


@st.composite
def conversations(draw):
    """Steps of a pause, what is asked, and for which policies; leases are renewed and released after they began."""
    known = draw(st.lists(policies, min_size=1, max_size=3, unique_by=lambda policy: policy.name))
    steps = []
    for number in range(draw(st.integers(1, 25))):
        verb = draw(st.sampled_from(["decide", "decide", "decide", "peek", "renew", "release"]))
        asked = [policy for policy in known if verb not in ("renew", "release") or policy.algorithm == "concurrent"]
        lease = str(number if verb == "decide" else draw(st.integers(0, number)))
        counts = []
        for policy in asked:
            most = policy.burst if policy.algorithm is Algorithm.GCRA else policy.limit
            counts.append(Count(policy, draw(st.sampled_from(SUBJECTS)), draw(st.integers(1, most)), lease))
        pause = draw(st.one_of(st.sampled_from([0, 1, 6, 7, 99, 100, 101, 999, 1000]), st.integers(0, 30_000)))
        steps.append((pause, verb, counts))
    return steps


@fixed
@given(conversations())
def test_it_answers_as_the_rules_say(make_reference, timed_store, valkey, moment, conversation):
    moment.at = 0
    valkey.command("FLUSHALL")
    reference = make_reference(moment)

    async def compare():
        async with timed_store() as store:
            for pause, verb, counts in conversation:
                moment.at += pause
                got, expected = await getattr(store, verb)(counts), await getattr(reference, verb)(counts)
                if verb == "decide":
                    got, expected = (got.allowed, list(got.verdicts)), (expected.allowed, list(expected.verdicts))
                elif verb == "peek":
                    got, expected = list(got), list(expected)
                assert got == expected

    asyncio.run(compare())


def test_the_script_is_shipped():
    assert "redis.call" in limits_script()
