"""Counters in memory stay within their bound, whoever sprays how many keys, and forget nobody who is limited."""

import gc
from pathlib import Path

import pytest

from powerstrip_ratelimit.domain.decisions import Count
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.stores.memory import MemoryStore

SHARED = 1024
MINUTE = 60 * SECOND


def policy(algorithm=Algorithm.SLIDING, limit=10):
    return Policy("p", algorithm, limit, MINUTE, limit)


def resident():
    """Bytes of memory that this process has now."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_a_million_sprayed_keys_stay_within_the_bound_and_free_no_limited_client(moment):
    store, rule = MemoryStore(moment, max_keys=100_000), policy()
    before = resident()
    victims = [f"address:192.0.2.{number}" for number in range(20)]
    for victim in victims:
        for _ in range(10):
            assert (await store.decide([Count(rule, victim)])).allowed

    for number in range(1_000_000):
        moment.at = number * 50  # all of it within 50 seconds
        await store.decide([Count(rule, f"address:{number}")])
        if number % 50_000 == 0:
            for victim in victims:
                assert not (await store.decide([Count(rule, victim)])).allowed

    assert store.keys <= 100_000 + SHARED
    assert resident() - before < 100_000 * 600
    assert store.facts() == {"store": "memory", "counters": store.keys, "shared": True}


@pytest.mark.parametrize("algorithm", [Algorithm.SLIDING, Algorithm.GCRA])
async def test_sprayed_keys_share_budgets_each_of_one_clients_size(moment, algorithm):
    store, rule = MemoryStore(moment, max_keys=100), policy(algorithm)

    admitted = 0
    for number in range(30_000):
        moment.at += 1
        admitted += (await store.decide([Count(rule, f"k{number}")])).allowed

    assert admitted <= 100 + SHARED * 10


@pytest.mark.parametrize("algorithm", list(Algorithm))
async def test_when_others_have_recovered_newcomers_get_counters_of_their_own_again(moment, algorithm):
    store, rule = MemoryStore(moment, max_keys=50), policy(algorithm)
    for number in range(500):
        await store.decide([Count(rule, f"k{number}", 1, f"lease {number}")])
    assert store.facts()["shared"]

    moment.at += MINUTE
    verdicts = [(await store.decide([Count(rule, f"new{n}", 1, f"new {n}")])).verdicts[0] for n in range(40)]

    assert {verdict.remaining for verdict in verdicts} == {9}
    assert store.facts()["counters"] <= 50 + SHARED


async def test_keys_of_a_quiet_time_go_as_new_ones_come(moment):
    """Without a flood, memory follows how many clients there are in one window."""
    store, rule = MemoryStore(moment, max_keys=1_000_000), policy()
    for window in range(20):
        moment.at = window * MINUTE
        for number in range(1000):
            await store.decide([Count(rule, f"{window}-{number}")])

    assert store.keys <= 2001


async def test_a_client_that_shared_a_budget_takes_its_count_along(moment):
    store, rule = MemoryStore(moment, max_keys=1), policy(limit=3)
    await store.decide([Count(rule, "first")])
    moment.at = 10
    for _ in range(3):
        assert (await store.decide([Count(rule, "second")])).allowed

    moment.at = MINUTE  # the first has recovered, and makes room

    assert not (await store.decide([Count(rule, "second")])).allowed
    moment.at = MINUTE + 10
    assert (await store.decide([Count(rule, "second")])).allowed


async def test_leases_end_wherever_they_were_counted(moment):
    store, rule = MemoryStore(moment, max_keys=1), policy(Algorithm.CONCURRENT, limit=1)
    await store.decide([Count(rule, "first", 1, "a")])
    await store.decide([Count(rule, "second", 1, "b")])
    await store.release([Count(rule, "first", 1, "a")])

    assert not (await store.decide([Count(rule, "second", 1, "c")])).allowed
    await store.release([Count(rule, "second", 1, "b")])
    assert (await store.decide([Count(rule, "second", 1, "d")])).allowed


async def test_a_busy_key_remembers_no_more_marks_than_its_grains(moment):
    store, rule = MemoryStore(moment, max_keys=10), policy(limit=1_000_000)
    before = resident()

    for _ in range(200_000):
        moment.at += 997
        await store.decide([Count(rule, "busy")])

    assert resident() - before < 2_000_000


async def test_policies_that_are_made_up_without_end_stay_within_a_bound(moment):
    """Authors choose the names of what they count, and some will put a client's into them."""
    store = MemoryStore(moment, max_keys=10)

    for number in range(20_000):
        await store.decide([Count(Policy(f"p{number}", Algorithm.SLIDING, 1, MINUTE), "a")])

    assert store.keys <= 4096 + 10 + SHARED
    for name in ("p0", "p19999"):
        assert not (await store.decide([Count(Policy(name, Algorithm.SLIDING, 1, MINUTE), "a")])).allowed


async def test_another_algorithm_under_the_same_name_begins_anew(moment):
    store = MemoryStore(moment, max_keys=10)
    for algorithm in Algorithm:
        decision = await store.decide([Count(policy(algorithm, limit=1), "a", 1, "lease")])
        assert decision.allowed
