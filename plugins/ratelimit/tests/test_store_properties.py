"""What holds for any sequence of requests at any times."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from powerstrip_ratelimit.domain.decisions import Count
from powerstrip_ratelimit.domain.policies import Algorithm, Policy
from powerstrip_ratelimit.stores.memory import MemoryStore

SUBJECTS = ("a", "b", "c", "d", "e", "f", "g", "h")
PERIODS = st.sampled_from([1, 7, 100, 1000, 12_800])
policies = st.builds(
    Policy,
    st.sampled_from(["p", "q", "r"]),
    st.sampled_from(Algorithm),
    st.sampled_from([1, 2, 3, 10, 128, 129, 300]),
    PERIODS,
    st.sampled_from([1, 2, 5]),
    st.booleans(),
)
# Around the edges of periods and grains, and at any other time.
pauses = st.one_of(st.sampled_from([0, 1, 6, 7, 99, 100, 101, 999, 1000, 12_799, 12_800]), st.integers(0, 30_000))
fixed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def most_in_any_window(admitted, period):
    """The most units within one period, whatever moment it begins at; `admitted` are times and units."""
    return max(
        (sum(units for at, units in admitted if start <= at < start + period) for start, _ in admitted),
        default=0,
    )


@st.composite
def requests(draw, policy, lease):
    most = policy.burst if policy.algorithm is Algorithm.GCRA else policy.limit
    return Count(policy, draw(st.sampled_from(SUBJECTS[:3])), draw(st.integers(1, most)), lease)


@st.composite
def conversations(draw):
    """Steps of a pause, what is asked, and for which policies; leases are renewed and released after they began."""
    known = draw(st.lists(policies, min_size=1, max_size=3, unique_by=lambda policy: policy.name))
    of_leases = [policy for policy in known if policy.algorithm is Algorithm.CONCURRENT]
    steps = []
    for number in range(draw(st.integers(1, 25))):
        verb = draw(st.sampled_from(["decide", "decide", "decide", "peek", "renew", "release", "reset"]))
        asked = of_leases if verb in ("renew", "release") else known
        lease = str(number if verb == "decide" else draw(st.integers(0, number)))
        steps.append((draw(pauses), verb, [draw(requests(policy, lease)) for policy in asked if draw(st.booleans())]))
    return steps


@fixed
@given(conversations())
def test_memory_answers_as_the_rules_say(make_reference, moment, conversation):
    moment.at = 0
    memory, reference = MemoryStore(moment, max_keys=1000), make_reference(moment)

    async def compare():
        for pause, verb, counts in conversation:
            moment.at += pause
            got, expected = await getattr(memory, verb)(counts), await getattr(reference, verb)(counts)
            if verb == "decide":
                got, expected = (got.allowed, list(got.verdicts)), (expected.allowed, list(expected.verdicts))
            assert got == expected

    asyncio.run(compare())


@fixed
@given(
    st.tuples(st.sampled_from([1, 2, 5, 128, 129, 400]), PERIODS),
    st.lists(st.tuples(pauses, st.sampled_from(SUBJECTS), st.integers(1, 200)), max_size=60),
    st.sampled_from([1, 3, 1000]),
)
def test_sliding_never_admits_more_than_the_limit_in_any_window(moment, rate, calls, max_keys):
    """Not for any subject, also while some of them share a budget for want of room."""
    limit, period = rate
    policy = Policy("p", Algorithm.SLIDING, limit, period)
    admitted = run(MemoryStore(moment, max_keys), moment, policy, calls, limit)

    assert max(most_in_any_window(times, period) for times in admitted.values()) <= limit


@fixed
@given(
    st.tuples(st.sampled_from([1, 3, 10, 400]), PERIODS, st.sampled_from([1, 2, 5])),
    st.lists(st.tuples(pauses, st.sampled_from(SUBJECTS), st.integers(1, 5)), max_size=60),
    st.sampled_from([1, 3, 1000]),
)
def test_gcra_never_admits_more_than_its_burst_and_what_the_rate_gives(moment, rate, calls, max_keys):
    limit, period, burst = rate
    policy = Policy("p", Algorithm.GCRA, limit, period, burst)
    admitted = run(MemoryStore(moment, max_keys), moment, policy, calls, burst)

    for window in (1, 50, 1000, 10_000):
        most = max(most_in_any_window(times, window) for times in admitted.values())
        assert most <= burst + (window - 1) // policy.interval


def run(store, moment, policy, calls, most):
    """Times and units of what was admitted, by subject."""
    admitted = {subject: [] for subject in SUBJECTS}
    moment.at = 0

    async def ask():
        for pause, subject, cost in calls:
            moment.at += pause
            units = min(cost, most)
            if (await store.decide([Count(policy, subject, units)])).allowed:
                admitted[subject].append((moment.at, units))

    asyncio.run(ask())
    return admitted


@pytest.mark.parametrize("algorithm", [Algorithm.SLIDING, Algorithm.GCRA])
async def test_a_client_that_asks_at_the_worst_times_for_hours_gets_its_rate(moment, algorithm):
    """Bursts at the edges of windows, where two buckets or a generous burst admit too much."""
    policy = Policy("p", algorithm, 100, 1_000_000, 10)
    store, admitted = MemoryStore(moment, 10), []
    for second in range(20):
        for at in (0, 1, 499_999, 500_000, 999_998, 999_999):
            moment.at = second * 1_000_000 + at
            answers = [await store.decide([Count(policy, "a")]) for _ in range(120)]
            admitted += [(moment.at, 1) for answer in answers if answer.allowed]

    allowed = 100 if algorithm is Algorithm.SLIDING else 110
    assert most_in_any_window(admitted, 1_000_000) <= allowed
    assert len(admitted) >= 0.2 * 100 * 20
