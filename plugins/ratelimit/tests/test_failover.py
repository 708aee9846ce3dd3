"""The server of the counters stops, freezes, forgets and comes back; requests go on as the operator wants."""

import asyncio
import logging
import re
from contextlib import asynccontextmanager

import pytest

from powerstrip import ServiceUnavailable
from powerstrip_ratelimit.domain.decisions import Count
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.errors import StoreUnavailableError
from powerstrip_ratelimit.stores.denials import Denials
from powerstrip_ratelimit.stores.failover import FailoverStore
from powerstrip_ratelimit.stores.memory import MemoryStore
from powerstrip_ratelimit.stores.redis import RedisStore
from powerstrip_redis import RedisConnections
from powerstrip_redis.settings import RedisSettings

FEW = Policy("few", Algorithm.SLIDING, 3, 3600 * SECOND)
MANY = Policy("many", Algorithm.SLIDING, 100_000, 3600 * SECOND)
LEASES = Policy("leases", Algorithm.CONCURRENT, 1, 3600 * SECOND)
ANN = [Count(FEW, "ann")]
PATIENCE = 30.0


@pytest.fixture
def opened(valkey, moment):
    """`async with opened("local") as store: ...`; `store.changes` is what an observer was told."""

    @asynccontextmanager
    async def do(on_failure, within=PATIENCE, **settings):
        connections = RedisConnections(RedisSettings(url=valkey.url, timeout=PATIENCE, **settings))
        changes = []

        def tell(*, is_available):
            changes.append(is_available)

        remote = RedisStore(connections, within=within)
        store = FailoverStore(remote, MemoryStore(moment, 1000), on_failure, denials=Denials(moment), tell=tell)
        store.changes = changes
        try:
            yield store
        finally:
            await remote.close()
            await connections.close()

    return do


def asked(server):
    """How often the script was run."""
    found = re.search(rb"cmdstat_evalsha:calls=(\d+)", server.command("INFO", "commandstats"))
    return int(found[1]) if found else 0


async def fails(store):
    """Return when the store knows that the server is away."""
    async with asyncio.timeout(PATIENCE):
        while store._is_available:
            await store.decide([Count(MANY, "prober")])


async def answers(store):
    """Return when the server counts again."""
    async with asyncio.timeout(PATIENCE):
        while not store._is_available:
            await store.decide([Count(MANY, "prober")])
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", ["stop", "freeze"])
async def test_allow_lets_everything_pass(opened, valkey, fault):
    async with opened("allow", within=0.3) as store:
        getattr(valkey, fault)()

        assert [(await store.decide(ANN)).allowed for _ in range(10)] == [True] * 10
        assert await store.peek(ANN) == ()


@pytest.mark.parametrize("fault", ["stop", "freeze"])
async def test_local_counts_in_this_process(opened, valkey, fault):
    async with opened("local", within=0.3) as store:
        getattr(valkey, fault)()

        assert [(await store.decide(ANN)).allowed for _ in range(5)] == [True] * 3 + [False] * 2
        assert [verdict.remaining for verdict in await store.peek([Count(FEW, "bob")])] == [3]


@pytest.mark.parametrize("fault", ["stop", "freeze"])
async def test_deny_answers_503_and_when_to_come_back(opened, valkey, fault):
    async with opened("deny", within=0.3) as store:
        getattr(valkey, fault)()

        for question in (store.decide, store.decide, store.peek):
            with pytest.raises(ServiceUnavailable) as refusal:
                await question(ANN)
        assert (refusal.value.status, refusal.value.headers) == (503, {"Retry-After": "5"})


@pytest.mark.parametrize("fault", ["stop", "freeze"])
async def test_all_recovers_by_itself(opened, valkey, fault):
    async with opened("local", within=0.3) as store:
        await store.decide(ANN)
        getattr(valkey, fault)()
        await fails(store)
        valkey.resume()
        valkey.start()
        await answers(store)

        assert store.is_available
        assert (await store.decide([Count(FEW, "bob")])).verdicts[0].remaining == 2
        assert store.changes[:2] == [False, True]


async def test_an_outage_costs_nobody_more_than_the_time_to_notice(opened, valkey):
    async with opened("local", within=0.3, longest_pause=3600) as store:
        await store.decide(ANN)
        valkey.freeze()
        await fails(store)

        async with asyncio.timeout(60):  # at 0.3 s each they would take five minutes
            for number in range(1000):
                assert (await store.decide([Count(FEW, f"client {number}")])).allowed


@pytest.mark.parametrize("on_failure", ["allow", "local"])
async def test_under_load_an_outage_refuses_nobody_and_fails_nobody(opened, valkey, on_failure):
    async def ask_until(over, store, number):
        while not over.is_set():
            assert (await store.decide([Count(MANY, f"client {number}")])).allowed
            await asyncio.sleep(0.001)

    async with opened(on_failure, within=0.3) as store, asyncio.TaskGroup() as tasks:
        over = asyncio.Event()
        clients = [tasks.create_task(ask_until(over, store, number)) for number in range(50)]
        for fault, repair in (("stop", "start"), ("freeze", "resume"), ("stop", "start")):
            await answers(store)
            await asyncio.to_thread(getattr(valkey, fault))
            await fails(store)
            await asyncio.to_thread(getattr(valkey, repair))
        await answers(store)
        await asyncio.to_thread(valkey.command, "SCRIPT", "FLUSH")
        await asyncio.sleep(0.05)
        over.set()
    assert not any(client.exception() for client in clients)


async def test_an_outage_is_told_once_at_each_end(opened, valkey, caplog):
    caplog.set_level(logging.INFO, logger="powerstrip_ratelimit")
    async with opened("local") as store:
        await store.decide(ANN)
        valkey.stop()
        for number in range(10):
            await store.decide([Count(MANY, str(number))])
        valkey.start()
        await answers(store)

    lines = [record.message for record in caplog.records if record.name.startswith("powerstrip_ratelimit")]
    assert lines == ["the store of rate limits is away", "the store of rate limits is back"]


async def test_health_knows_that_the_server_is_away(opened, valkey):
    async with opened("local", longest_pause=3600) as store:
        await store.decide(ANN)
        assert (store.is_available, store.facts()) == (True, {"store": "redis"})
        valkey.stop()
        await fails(store)

        assert (store.is_available, store.facts()["meanwhile"]) == (False, "local")


async def test_a_refused_client_costs_no_round_trip_until_it_may_come_again(opened, valkey, moment):
    async with opened("local") as store:
        refused = [await store.decide(ANN) for _ in range(4)][-1]
        before = asked(valkey)
        moment.at = SECOND
        again = await store.decide(ANN)

        assert (again.allowed, asked(valkey)) == (False, before)
        assert again.verdicts[0].retry_after == refused.verdicts[0].retry_after - SECOND
        moment.at = 6 * SECOND  # an operator may have reset it, so the server is asked at times
        await store.decide(ANN)
        assert asked(valkey) == before + 1


async def test_a_refusal_says_nothing_about_other_policies_subjects_and_costs(opened):
    async with opened("local") as store:
        while (await store.decide([Count(FEW, "ann", 2)])).allowed:
            pass

        assert (await store.decide([Count(FEW, "bob", 2)])).allowed
        assert (await store.decide([Count(MANY, "ann", 2)])).allowed
        assert (await store.decide([Count(FEW, "ann", 1)])).allowed


async def test_the_end_of_a_lease_is_seen_at_once(opened):
    async with opened("local") as store:
        first, second = (Count(LEASES, "ann", 1, lease) for lease in ("x", "y"))
        assert (await store.decide([first])).allowed
        assert not (await store.decide([second])).allowed
        await store.release([first])

        assert (await store.decide([second])).allowed


async def test_leases_of_an_outage_end_with_their_requests(opened, valkey):
    async with opened("local") as store:
        valkey.stop()
        first, second = (Count(LEASES, "ann", 1, lease) for lease in ("x", "y"))
        assert (await store.decide([first])).allowed
        assert not (await store.decide([second])).allowed
        await store.renew([first])
        await store.release([first])

        assert (await store.decide([second])).allowed


async def test_a_reset_counts_from_the_start(opened):
    async with opened("local") as store:
        while (await store.decide(ANN)).allowed:
            pass

        assert await store.reset(ANN) == 1
        assert (await store.decide(ANN)).allowed


async def test_a_reset_that_can_not_be_done_says_so(opened, valkey):
    async with opened("allow") as store:
        valkey.stop()

        with pytest.raises(StoreUnavailableError):
            await store.reset(ANN)
