"""What the headers say, in the syntax of draft-ietf-httpapi-ratelimit-headers-11."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerstrip_ratelimit.domain.decisions import Verdict
from powerstrip_ratelimit.domain.policies import SECOND, Algorithm, Policy
from powerstrip_ratelimit.domain.rendering import Entry, Label, ratelimit, tightest, x_ratelimit

# RFC 9651, 3.3: a list of strings with parameters.
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_ITEM = re.compile(rf'({_STRING})((?:;[a-z]+=(?:[0-9]+|"[ -!#-~]*"))*)')


def items(field):
    """The items of a list: names and their parameters; fails for what the syntax doesn't allow."""
    text, found = field.decode("ascii"), []
    while text:
        item = _ITEM.match(text)
        assert item, text
        found.append((item[1], dict(part.split("=", 1) for part in item[2].split(";")[1:])))
        text = text[item.end() :]
        assert not text or text.startswith(", "), text
        text = text.removeprefix(", ")
    return found


def entry(verdict, title="default", algorithm=Algorithm.SLIDING, limit=60, seconds=60):
    policy = Policy(title, algorithm, limit, seconds * SECOND, 6)
    return Entry(Label(title, policy), policy, verdict)


@given(st.text(min_size=1), st.integers(1, 10**9), st.integers(1, 10**7), st.data())
def test_every_field_is_a_list_of_strings_whose_standing_never_promises_more_than_the_policy(title, q, w, data):
    left = data.draw(st.integers(1, q))
    made = ratelimit([entry(Verdict(True, left, 0, w * SECOND), title, limit=q, seconds=w)])

    ((name, offer),) = items(dict(made)[b"ratelimit-policy"])
    ((same, standing),) = items(dict(made)[b"ratelimit"])
    assert name == same
    assert offer == {"q": str(q), "w": str(w)}
    assert int(standing["r"]) == left
    assert int(standing["t"]) * q >= left * w


def test_the_time_for_what_is_left_is_rounded_up_from_the_fraction_of_a_microsecond():
    verdict = Verdict(True, 1, 0, 5_362_045 * SECOND)

    (_, (_, field)) = ratelimit([entry(verdict, limit=1_340_511, seconds=5_362_045)])

    assert field == b'"default";r=1;t=5'


def test_with_nothing_left_it_tells_when_a_unit_is_free():
    (_, (_, field)) = ratelimit([entry(Verdict(True, 0, 2_000_001, 60 * SECOND))])

    assert field == b'"default";r=0;t=3'


def test_a_refusal_that_left_some_tells_what_it_has_to_wait_for():
    (_, (_, field)) = ratelimit([entry(Verdict(False, 5, 7 * SECOND, 60 * SECOND))])

    assert field == b'"default";r=5;t=7'


def test_leases_are_told_as_concurrent_requests_without_a_window():
    made = dict(ratelimit([entry(Verdict(True, 3, 0, 0), "uploads", Algorithm.CONCURRENT, 4)]))

    assert made == {b"ratelimit-policy": b'"uploads";q=4;qu="concurrent-requests"', b"ratelimit": b'"uploads";r=3'}


def test_the_tightest_is_what_refused_longest_else_what_has_least_left():
    wide, narrow = entry(Verdict(True, 50, 0, 0), "wide"), entry(Verdict(True, 2, 0, 0), "narrow")
    short, long = entry(Verdict(False, 0, 5, 9), "short"), entry(Verdict(False, 3, 70, 9), "long")
    lease = entry(Verdict(True, 0, SECOND, 0), "lease", Algorithm.CONCURRENT)

    assert tightest([wide, narrow, lease]) is narrow
    assert tightest([narrow, short, long]) is long
    assert tightest([lease]) is None


@pytest.mark.parametrize(("reset_after", "reset"), [(0, b"100"), (500_000, b"101"), (1_000_000, b"101")])
def test_x_ratelimit_reset_is_the_unix_second_by_which_all_is_there_again(reset_after, reset):
    made = dict(x_ratelimit(entry(Verdict(True, 7, 0, reset_after)), 100.0))

    assert made == {b"x-ratelimit-limit": b"60", b"x-ratelimit-remaining": b"7", b"x-ratelimit-reset": reset}
