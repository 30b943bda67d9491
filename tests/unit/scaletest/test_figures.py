"""Percentiles, and what is counted."""

from __future__ import annotations

import asyncio

import pytest

from service.scaletest import figures as f
from service.scaletest.conversation import Gate
from service.scaletest.figures import Failure, Figures, Summary, summary


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param([3.0], Summary(1, 3.0, 3.0, 3.0, 3.0), id="one"),
        pytest.param([2.0, 1.0], Summary(2, 1.0, 2.0, 2.0, 2.0), id="two"),
        pytest.param(
            [float(n) for n in range(100, 0, -1)],
            Summary(100, 50.0, 95.0, 99.0, 100.0),
            id="hundred",
        ),
    ],
)
def test_a_percentile_is_a_sample(samples: list[float], expected: Summary) -> None:
    assert summary(samples) == expected


def test_measures_are_kept_by_phase() -> None:
    figures = Figures()
    figures.time(f.CREATE, 0.5)
    figures.time(f.RUNNING, 0.1, "initial")
    figures.time(f.RUNNING, 0.3, "follow_up")
    found = figures.summaries()
    assert found[f.CREATE][None].max == 0.5
    assert found[f.RUNNING]["initial"].p50 == 0.1
    assert found[f.RUNNING]["follow_up"].p99 == 0.3


def test_failures_are_counted_by_stage_and_reason() -> None:
    figures = Figures()
    for reason in ("no", "no", "gone"):
        figures.fail("create_chat", reason)
    assert figures.failures == {
        Failure("create_chat", "no"): 2,
        Failure("create_chat", "gone"): 1,
    }


async def test_a_gate_opens_with_the_last_arrival() -> None:
    gate = Gate(2)
    waiting = asyncio.create_task(gate.opened())
    gate.arrive()
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.arrive()
    async with asyncio.timeout(5):
        await waiting
