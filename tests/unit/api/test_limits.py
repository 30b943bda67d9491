"""How often a token may ask: a minute's worth at once, then at its rate."""

from __future__ import annotations

from uuid import UUID

import pytest

from service.api import limits as module
from service.api.limits import Limits
from service.api.problems import answer
from service.errors import Rejection, TooMany

ONE, TWO = UUID(int=1), UUID(int=2)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def spent(limits: Limits, token: UUID = ONE) -> int:
    """How many more requests this token may make now."""
    for count in range(1000):
        try:
            limits.request(token)
        except TooMany:
            return count
    raise AssertionError("no limit")


def test_a_minutes_worth_may_come_at_once_and_then_its_rate(clock: Clock) -> None:
    limits = Limits(per_minute=60, clock=clock)
    assert spent(limits) == 60
    clock.now += 5
    assert spent(limits) == 5
    clock.now += 1000
    assert spent(limits) == 60


def test_a_refusal_says_when_to_come_back_and_costs_nothing(clock: Clock) -> None:
    limits = Limits(per_minute=6, clock=clock)
    assert spent(limits) == 6
    with pytest.raises(TooMany) as refused:
        limits.request(ONE)
    assert refused.value.code == "rate-limited"
    assert refused.value.retry_after_s == 10
    assert limits.rate_limited == 2
    clock.now += refused.value.retry_after_s
    assert spent(limits) == 1


def test_tokens_do_not_pay_for_each_other(clock: Clock) -> None:
    limits = Limits(per_minute=3, clock=clock)
    assert (spent(limits, ONE), spent(limits, TWO)) == (3, 3)


def test_zero_is_no_limit(clock: Clock) -> None:
    limits = Limits(clock=clock)
    for _ in range(10_000):
        limits.request(ONE)


def test_only_so_many_tokens_are_remembered(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    limits = Limits(per_minute=1, clock=clock)
    for number in range(3):
        limits.request(UUID(int=number))
    assert spent(limits, UUID(int=2)) == 0
    assert spent(limits, UUID(int=0)) == 1


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        pytest.param(TooMany("rate-limited", "x", retry_after_s=7), "7", id="told"),
        pytest.param(Rejection("queue-full", "x"), "1", id="not_told"),
    ],
)
def test_every_429_says_when_to_come_back(error: Rejection, seconds: str) -> None:
    response = answer(error)
    assert response.status_code == 429
    assert response.headers["retry-after"] == seconds
