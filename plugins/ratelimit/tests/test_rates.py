"""Rates as operators and authors write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from powerstrip_ratelimit.domain.rates import Rate, parse_rate


@pytest.mark.parametrize(
    ("text", "limit", "seconds"),
    [
        ("100/hour", 100, 3600),
        ("5/second", 5, 1),
        ("10/15minutes", 10, 900),
        ("1/1second", 1, 1),
        ("1000/2days", 1000, 172800),
        ("7/week", 7, 604800),
        ("3/hours", 3, 3600),
    ],
)
def test_a_rate_is_a_number_per_period(text, limit, seconds):
    assert parse_rate(text) == Rate(limit, seconds)


@pytest.mark.parametrize(
    "text",
    ["", "100", "100/", "/hour", "-1/hour", "1.5/hour", "0/hour", "5/0seconds", "1/400days", "\u0661/hour"],
)
def test_anything_else_is_refused_with_the_text_itself(text):
    with pytest.raises(ValueError, match=f"'{text}'"):
        parse_rate(text)


@given(st.builds(Rate, st.integers(1, 10**9 - 1), st.integers(1, 99 * 86400)))
def test_a_rate_is_written_as_it_is_read(rate):
    assert parse_rate(str(rate)) == rate
