"""What a call costs: exact, rounded up once, and nothing where nobody knows."""

from __future__ import annotations

from decimal import Decimal

import pytest

from service.domain.cost import Prices, cost_micros
from service.domain.events.chat import Usage

PRICES = Prices(
    input=Decimal("3"),
    output=Decimal("15"),
    cache_read=Decimal("0.3"),
    cache_write=Decimal("3.75"),
)


@pytest.mark.parametrize(
    ("usage", "micros"),
    [
        (Usage(input_tokens=1000), 3000),
        (Usage(output_tokens=1000), 15_000),
        (Usage(cache_read_tokens=1000), 300),
        (Usage(cache_creation_tokens=1000), 3750),
        (Usage(input_tokens=1, output_tokens=1), 18),
        # 0.3 is 1 in the end, and so is 0.3 + 0.3 + ..., for it is rounded once
        (Usage(cache_read_tokens=1), 1),
        (Usage(cache_read_tokens=3), 1),
        (Usage(cache_read_tokens=4), 2),
        (Usage(cache_read_tokens=1, cache_creation_tokens=1), 5),
        (Usage(cache_read_tokens=10), 3),
        # thinking is part of what was put out
        (Usage(output_tokens=10, reasoning_tokens=8), 150),
        (Usage(output_tokens=2, total_tokens=1000), 30),
        (Usage(input_tokens=10**12), 3 * 10**12),
    ],
)
def test_a_call_costs_its_tokens_at_their_prices(usage: Usage, micros: int) -> None:
    assert cost_micros(usage, PRICES) == micros


def test_prices_are_decimals_that_add_up_exactly() -> None:
    prices = Prices(input=Decimal("0.1"), output=Decimal("0.2"))
    # 0.1 + 0.2 is more than 0.3 for floats, and would cost 4
    assert cost_micros(Usage(input_tokens=10, output_tokens=10), prices) == 3


@pytest.mark.parametrize(
    ("usage", "prices"),
    [
        (None, PRICES),
        (Usage(input_tokens=1), None),
        (Usage(), PRICES),
        (Usage(input_tokens=0, output_tokens=0), PRICES),
        (Usage(input_tokens=1), Prices()),
        (Usage(input_tokens=1), Prices(output=Decimal("1"))),
        (Usage(total_tokens=10, reasoning_tokens=3), PRICES),
    ],
)
def test_nobody_knows_what_has_no_price_or_was_not_counted(
    usage: Usage | None, prices: Prices | None
) -> None:
    assert cost_micros(usage, prices) is None


def test_a_kind_without_a_price_costs_nothing_beside_one_that_has_one() -> None:
    usage = Usage(input_tokens=10, output_tokens=10)
    assert cost_micros(usage, Prices(output=Decimal("2"))) == 20


def test_a_price_of_nothing_is_a_price() -> None:
    assert cost_micros(Usage(input_tokens=10), Prices(input=Decimal(0))) == 0
