"""What a model call costs: millionths of a dollar, rounded up, once.

A price is in dollars per million tokens, so tokens times price is in micro-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal

from service.domain.events.chat import Usage


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars per million tokens; None: this kind has no price."""

    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


def cost_micros(usage: Usage | None, prices: Prices | None) -> int | None:
    """Micro-dollars; None when no kind of token has both a count and a price.

    Reasoning is part of the output. A kind without a price costs nothing.
    """
    if usage is None or prices is None:
        return None
    kinds = (
        (usage.input_tokens, prices.input),
        (usage.output_tokens, prices.output),
        (usage.cache_read_tokens, prices.cache_read),
        (usage.cache_creation_tokens, prices.cache_write),
    )
    priced = [tokens * price for tokens, price in kinds if tokens and price is not None]
    if not priced:
        return None
    return int(sum(priced, Decimal()).to_integral_value(ROUND_CEILING))
