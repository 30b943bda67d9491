"""parley scaletest: many chats against a running service."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated

import typer

from service.cli.bars import Bar
from service.cli.options import (
    DEFAULT_URL,
    AsJson,
    Token,
    Url,
    need_token,
    print_json,
    run,
)
from service.cli.scaled import print_report, report_json
from service.cli.serve import raise_file_limit
from service.scaletest import run as running
from service.scaletest.fake_openai import Pace, fake_openai
from service.scaletest.plan import PROMPT, Plan
from service.scaletest.run import Report

NOT_PASSED = 1
"""Exit code when a message was lost or doubled, or a chat did not have its turns."""

PACE = Pace()


Chats = Annotated[int, typer.Option("--chats", "-n", min=1, help="At the same time.")]
Turns = Annotated[int, typer.Option(min=1, help="Of each chat.")]
Prompt = Annotated[
    str, typer.Option(help="What is said in each turn; `count 50` counts.")
]
Concurrency = Annotated[int, typer.Option(min=1, help="Requests in flight at a time.")]
Rate = Annotated[
    float | None,
    typer.Option(min=0.001, help="New chats a second.", show_default="all at once"),
]
Delay = Annotated[
    float,
    typer.Option(min=0, help="Seconds from the last first turn to the next ones."),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds that a turn may take.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option(
        help="Metrics of a process; give one for each.", show_default="URL/metrics"
    ),
]
Archive = Annotated[
    bool, typer.Option("--archive", help="Archive the chats in the end.")
]
FakePort = Annotated[
    int | None,
    typer.Option(
        "--fake-openai", min=0, max=65535, help="Port to play a model at.",
        show_default=False,
    ),
]  # fmt: skip
Latency = Annotated[float, typer.Option(min=0, help="Seconds until that model begins.")]
PartsPerSecond = Annotated[float, typer.Option(min=0.01, help="Of that model.")]
Parts = Annotated[int, typer.Option(min=1, help="Of an answer of that model.")]


def scaletest(
    chats: Chats = 100,
    turns: Turns = 10,
    prompt: Prompt = PROMPT,
    concurrency: Concurrency = 100,
    rate: Rate = None,
    turn_start_delay: Delay = 0.0,
    timeout: Timeout = 120.0,
    metrics: Metrics = None,
    archive: Archive = False,
    fake_port: FakePort = None,
    latency: Latency = PACE.latency_s,
    parts_per_second: PartsPerSecond = PACE.parts_per_second,
    parts: Parts = PACE.parts,
    url: Url = DEFAULT_URL,
    token: Token = "",
    as_json: AsJson = False,
) -> None:
    """Talk in many chats at once; see whether all is whole.

    Exit code 1: a message was lost, doubled or out of order in a stream or a list, or a
    chat did not complete its turns. The service's own model answers; with --fake-openai
    start the service with PARLEY_MODEL=openai:fake and
    PARLEY_MODEL_BASE_URL=http://127.0.0.1:PORT/v1.
    """
    plan = Plan(
        url=url,
        token=need_token(token),
        chats=chats,
        turns=turns,
        prompt=prompt,
        concurrency=concurrency,
        rate=rate,
        turn_start_delay_s=turn_start_delay,
        timeout_s=timeout,
        metrics_urls=tuple(metrics or ()),
        archive=archive,
    )
    raise_file_limit()
    report = run(_scaletest(plan, fake_port, Pace(latency, parts_per_second, parts)))
    if as_json:
        print_json(report_json(report))
    else:
        print_report(report)
    if not report.passed:
        raise typer.Exit(NOT_PASSED)


async def _scaletest(plan: Plan, fake_port: int | None, pace: Pace) -> Report:
    async with AsyncExitStack() as stack:
        if fake_port is not None:
            await stack.enter_async_context(fake_openai(fake_port, pace))
        bar = stack.enter_context(Bar("turns", plan.chats * plan.turns))
        return await running.run(plan, on_turn=bar.reach)
