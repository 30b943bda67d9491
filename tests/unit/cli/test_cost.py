"""Sums of money in words."""

from __future__ import annotations

import pytest

from service.cli.cost import dollars, told


@pytest.mark.parametrize(
    ("micros", "shown"),
    [(0, "0.000000 USD"), (1, "0.000001 USD"), (12_034_567, "12.034567 USD")],
)
def test_micros_are_shown_as_dollars_to_the_last(micros: int, shown: str) -> None:
    assert dollars(micros) == shown


def test_what_has_no_price_is_said() -> None:
    assert told(5, 1, 0) == "0.000005 USD for 1 model call"
    assert told(0, 3, 2) == "0.000000 USD for 3 model calls, 2 of unknown cost"
