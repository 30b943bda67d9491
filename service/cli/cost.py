"""parley cost, parley chat cost: what was spent on models, over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from service.cli.chat import ChatId
from service.cli.options import (
    DEFAULT_URL,
    AsJson,
    Token,
    Url,
    need_token,
    print_json,
    print_line,
    run,
)
from service.cli.screen import printable
from service.cli.timeline import new_console
from service.client.client import Client
from service.client.shapes import ChatCost, CostSummary

FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

Start = Annotated[
    datetime | None,
    typer.Option(
        "--from", formats=FORMATS, help="From then on, UTC; else 30 days.",
        show_default=False,
    ),
]  # fmt: skip
End = Annotated[
    datetime | None,
    typer.Option(
        "--to", formats=FORMATS, help="Before then, UTC; else now.", show_default=False
    ),
]


def cost(
    start: Start = None,
    end: End = None,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Print what you spent on models: in all, by model, by chat."""

    async def go() -> CostSummary:
        async with Client(url, need_token(token)) as client:
            return await client.cost_summary(start=_utc(start), end=_utc(end))

    spent = run(go())
    if as_json:
        print_json(spent)
        return
    counts = spent["priced_message_count"], spent["unpriced_message_count"]
    print_line(
        f"{spent['start_date'][:16]} to {spent['end_date'][:16]}: "
        + told(spent["total_cost_micros"], sum(counts), counts[1])
    )
    models = [(f"{m['display_name']} ({m['provider']})", m) for m in spent["by_model"]]
    chats = [(_chat(c["root_chat_id"], c["chat_title"]), c) for c in spent["by_chat"]]
    for name, rows in (("model", models), ("chat", chats)):
        if rows:
            new_console().print(_table(name, rows))


def chat_cost(
    chat_id: ChatId, url: Url = DEFAULT_URL, token: Token = "", as_json: AsJson = False
) -> None:
    """Print what a chat and its family cost so far."""

    async def go() -> ChatCost:
        async with Client(url, need_token(token)) as client:
            return await client.chat_cost(chat_id)

    spent = run(go())
    if as_json:
        print_json(spent)
        return
    calls, unpriced = spent["request_count"], spent["unpriced_request_count"]
    print_line(told(spent["total_cost_micros"], calls, unpriced))


def told(micros: int, calls: int, unpriced: int) -> str:
    """A sum in words; what has no price is not in it, and said."""
    words = f"{dollars(micros)} for {calls} model call{'' if calls == 1 else 's'}"
    return words if not unpriced else f"{words}, {unpriced} of unknown cost"


def dollars(micros: int) -> str:
    """Millionths of a dollar as dollars."""
    return f"{micros // 1_000_000}.{micros % 1_000_000:06} USD"


def _table(name: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Table:
    counts = ("cost", "calls", "in", "out")
    table = Table(name, *(Column(c, justify="right", no_wrap=True) for c in counts))
    for shown, row in rows:
        cached = row["total_cache_read_tokens"] + row["total_cache_creation_tokens"]
        table.add_row(
            shown,
            dollars(row["total_cost_micros"]),
            str(row["message_count"]),
            str(row["total_input_tokens"] + cached),
            str(row["total_output_tokens"]),
        )
    return table


def _chat(chat_id: str, title: str | None) -> str:
    return f"{chat_id} {'(deleted)' if title is None else printable(title)}"


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=UTC)
