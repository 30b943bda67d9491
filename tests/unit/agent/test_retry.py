"""How long a retry waits, and when there is none."""

from __future__ import annotations

import math

import pytest

from service.agent.retry import LONGEST_ASKED_S, RetryPolicy

POLICY = RetryPolicy()


def test_the_pause_doubles_up_to_a_minute() -> None:
    delays = [POLICY.delay_s(attempt) for attempt in range(1, 10)]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_twenty_fifth_attempt_is_the_last() -> None:
    assert POLICY.delay_s(24) == 60
    assert POLICY.delay_s(25) is None
    assert POLICY.delay_s(10_000) is None


@pytest.mark.parametrize(
    ("asked_s", "delay_s"),
    [
        (None, 4.0),
        (0.0, 4.0),
        (-5.0, 4.0),
        (3.0, 4.0),
        (90.0, 90.0),
        (math.nan, 4.0),
        (math.inf, LONGEST_ASKED_S),
    ],
)
def test_a_vendor_may_ask_for_more_and_not_for_less(
    asked_s: float | None, delay_s: float
) -> None:
    assert POLICY.delay_s(3, asked_s=asked_s) == delay_s
