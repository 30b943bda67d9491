"""Options of `parley model`: what a config may have, checked before it is written."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

import typer

from service import wire
from service.errors import SetupError
from service.providers.models import EFFORTS
from service.providers.options import OptionsRefused, parse_options

MAX_INT = 2**31 - 1
"""What the columns hold."""

MAX_PRICE = 1_000_000
"""Dollars per million tokens: a dollar for each."""

UNSETTABLE = (
    "max_output_tokens", "temperature", "reasoning_effort", "max_reasoning_effort",
    "price_input", "price_output", "price_cache_read", "price_cache_write",
)  # fmt: skip


def _price(text: str) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise typer.BadParameter(f"{text!r} is no number") from error
    if not price.is_finite() or not 0 <= price <= MAX_PRICE:
        raise typer.BadParameter(f"expected a price from 0 to {MAX_PRICE:,}")
    return price


def _effort(text: str) -> str:
    if text not in EFFORTS:
        raise typer.BadParameter(f"expected one of {', '.join(EFFORTS)}")
    return text


def _price_option(what: str) -> Any:
    return typer.Option(
        help=f"Dollars per million tokens of {what}.", show_default=False,
        parser=_price, metavar="<dollars>",
    )  # fmt: skip


Model = Annotated[str, typer.Argument(help="Its id or name.", show_default=False)]
Name = Annotated[str | None, typer.Option(help="What people see.", show_default=False)]
ContextLimit: Any = typer.Option(
    min=1, max=MAX_INT, help="Tokens of a prompt and its answer.", show_default=False
)
Threshold: Any = typer.Option(
    min=0, max=100,
    help="Percent of it from which histories are shortened; 100: never.",
)  # fmt: skip
MaxOutput = Annotated[
    int | None,
    typer.Option("--max-output-tokens", min=1, max=MAX_INT, help="Of one answer.",
                 show_default=False),
]  # fmt: skip
Temperature = Annotated[
    float | None,
    typer.Option(min=0, max=2, help="As the vendor has it by default.",
                 show_default=False),
]  # fmt: skip
Effort = Annotated[
    str | None,
    typer.Option("--reasoning-effort", parser=_effort, metavar="<effort>",
                 help=f"How much it thinks: {', '.join(EFFORTS)}.", show_default=False),
]  # fmt: skip
MaxEffort = Annotated[
    str | None,
    typer.Option("--max-reasoning-effort", parser=_effort, metavar="<effort>",
                 help="No chat gets more than this.", show_default=False),
]  # fmt: skip
Options = Annotated[
    str | None,
    typer.Option("--options", metavar="<json>", show_default=False,
                 help="What only some vendors know, a JSON object: {\"top_p\": 0.9}."),
]  # fmt: skip
PriceInput = Annotated[Decimal | None, _price_option("prompts")]
PriceOutput = Annotated[Decimal | None, _price_option("answers")]
PriceCacheRead = Annotated[Decimal | None, _price_option("prompts read from cache")]
PriceCacheWrite = Annotated[Decimal | None, _price_option("prompts put into cache")]


def given(**columns: object) -> dict[str, object]:
    """The columns that options were given for."""
    return {name: value for name, value in columns.items() if value is not None}


def emptied(names: list[str]) -> dict[str, object]:
    """The columns that are to be empty. Raises SetupError for others."""
    columns = [name.replace("-", "_") for name in names]
    if unknown := sorted(set(columns) - set(UNSETTABLE)):
        known = ", ".join(UNSETTABLE)
        raise SetupError(f"--unset: {unknown[0]!r} is not one of {known}")
    return dict.fromkeys(columns)


def parsed(text: str | None) -> Mapping[str, Any] | None:
    """Options of vendors, as they are stored. Raises SetupError, naming the wrong."""
    if text is None:
        return None
    try:
        return parse_options(wire.loads(text))
    except wire.JSONDecodeError as error:
        raise SetupError("--options: expected a JSON object") from error
    except OptionsRefused as error:
        raise SetupError(f"--options: {error}") from error
