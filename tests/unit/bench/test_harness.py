"""Percentiles, budgets and the JSON of a result."""

from __future__ import annotations

import pytest

from scripts.benchmarks.harness import (
    Budget,
    Result,
    interleave,
    left_out,
    median,
    percentile,
    rounded,
    table,
)
from service import wire

AT_MOST = Budget("<=", 5)
SIX_TIMES = Budget(">=", 6, "the other way")


def test_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert percentile(values, 50) == 50
    assert percentile(values, 99) == 99
    assert percentile(values, 100) == 100
    assert percentile([7.0], 99) == 7


def test_percentile_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_median_of_an_even_number_is_the_mean_of_the_middle_two() -> None:
    assert median([4.0, 1.0, 3.0, 2.0]) == 2.5


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (0.0, 0.0),
        (float("inf"), None),
        (28_123.4, 28_123.0),
        (0.0123456, 0.01235),
        (1.23456, 1.235),
    ],
)
def test_rounded_keeps_four_digits(value: float | None, shown: float | None) -> None:
    assert rounded(value) == shown


def test_absolute_budget_is_held_against_the_value() -> None:
    within, over = (Result("c", value, "ms", AT_MOST) for value in (5.0, 5.1))
    assert (within.passed, within.ratio) == (True, 1.0)
    assert over.passed is False


def test_relative_budget_is_held_against_the_ratio() -> None:
    enough = Result("c", 60.0, "events/s", SIX_TIMES, baseline=10.0)
    short = Result("c", 59.0, "events/s", SIX_TIMES, baseline=10.0)
    assert (enough.passed, enough.ratio) == (True, 6.0)
    assert short.passed is False


def test_result_without_budget_has_no_verdict() -> None:
    result = Result("c", 60.0, "events/s", baseline=10.0)
    assert (result.passed, result.ratio) == (None, 6.0)


def test_json_has_the_promised_fields() -> None:
    result = Result(
        "c", 1 / 3, "ms", AT_MOST, details={"p99": 2 / 3, "rounds": (1, 2), "at": True}
    )
    assert wire.loads(wire.dumps(result.as_json())) == {
        "case": "c",
        "value": 0.3333,
        "unit": "ms",
        "budget": "<= 5",
        "ratio": 0.06667,
        "pass": True,
        "details": {"p99": 0.6667, "rounds": [1, 2], "at": True},
    }


def test_json_of_a_case_that_was_left_out_says_why() -> None:
    shown = left_out("c", "us", "nginx is not installed", SIX_TIMES).as_json()
    assert (shown["value"], shown["ratio"], shown["pass"]) == (None, None, None)
    assert shown["budget"] == ">= 6 x the other way"
    assert shown["details"] == {"left_out": "nginx is not installed"}


def test_table_has_a_line_for_each_result() -> None:
    lines = table(
        [
            Result("quick", 1.0, "ms", AT_MOST),
            Result("slow", 9.0, "ms", AT_MOST),
            left_out("absent", "us", "why"),
        ]
    ).splitlines()
    assert [line.split()[0] for line in lines] == ["case", "quick", "slow", "absent"]
    assert [line.split()[-1] for line in lines[1:]] == ["pass", "MISSED", "out"]


async def test_interleave_lets_each_scheme_go_first() -> None:
    ran: list[str] = []

    def scheme(name: str):
        async def once() -> float:
            ran.append(name)
            return float(len(ran))

        return once

    async def wait() -> None:
        ran.append("wait")

    schemes = {name: scheme(name) for name in "ab"}
    measured = await interleave(schemes, rounds=2, before=wait, say=lambda _: None)
    assert ran == ["wait", "a", "wait", "b", "wait", "b", "wait", "a"]
    assert measured == {"a": [2.0, 8.0], "b": [4.0, 6.0]}
