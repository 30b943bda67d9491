"""Run a scale test: all chats, what they cost, and whether they are whole."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx2

from service.client.client import Client
from service.client.http import TIMEOUT_S
from service.errors import ParleyError
from service.scaletest.compare import differences, pages
from service.scaletest.conversation import Conversation, Gate, Shared
from service.scaletest.figures import Figures
from service.scaletest.plan import Plan
from service.scaletest.vitals import Costs, NoMetrics, Vitals

CLIENTS = 64
"""Pools of connections: one looks through all that it has at every request, so one
pool for thousands of streams would be slower than the service."""
AT_ONCE = 16
"""Chats that are compared at a time: after the test, so it need not be fast."""
LABEL = "scaletest"
"""Of every chat, with a value of this run."""


Wrap = Callable[[httpx2.AsyncBaseTransport], httpx2.AsyncBaseTransport]


class Difference(NamedTuple):
    """A chat that is not whole."""

    chat_id: str
    what: str


@dataclass
class Report:
    """What came of it."""

    plan: Plan
    label: str
    figures: Figures
    seconds: float = 0.0
    completed: int = 0
    """Chats whose turns all ended well."""
    compared: int = 0
    costs: Costs | None = None
    """None: the metrics could not be read."""
    no_costs: str = ""
    """Why."""
    repeated: int = 0
    """Requests that were sent once more."""
    differences: list[Difference] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """No message was lost, came twice or out of order, as far as it was seen."""
        return not self.differences

    @property
    def passed(self) -> bool:
        """All chats had all their turns, and are whole."""
        chats = self.plan.chats
        return self.whole and self.completed == self.compared == chats


async def run(
    plan: Plan,
    *,
    on_turn: Callable[[int], None] = lambda _: None,
    wrap: Wrap = lambda transport: transport,
) -> Report:
    """Run it; `on_turn` hears how many turns are completed.

    `wrap` may put something between the chats and the service, which a test of the
    test does.
    """
    report = Report(plan, secrets.token_hex(4), Figures())
    urls = plan.metrics_urls or (f"{plan.url.rstrip('/')}/metrics",)
    async with AsyncExitStack() as stack:
        vitals = await stack.enter_async_context(Vitals(urls, plan.token))
        secure = httpx2.create_ssl_context()
        clients = [
            await stack.enter_async_context(_client(plan, secure, wrap))
            for _ in range(min(CLIENTS, plan.chats))
        ]
        shared = _shared(report, on_turn)
        feeds = itertools.cycle(clients)
        chats = [Conversation(next(feeds), shared) for _ in range(plan.chats)]
        try:
            await vitals.begin()
        except NoMetrics as error:
            report.no_costs = str(error)
        await _converse(chats, report)
        if not report.no_costs:
            try:
                report.costs = await vitals.end(report.figures.turns)
            except NoMetrics as error:
                report.no_costs = str(error)
        await _compare(chats, report)
        _add_tallies(clients, report)
    return report


def _shared(report: Report, on_turn: Callable[[int], None]) -> Shared:
    plan, figures = report.plan, report.figures
    return Shared(
        plan=plan,
        figures=figures,
        requests=asyncio.Semaphore(plan.concurrency),
        follow_ups=Gate(plan.chats),
        labels={LABEL: report.label},
        on_turn=lambda: on_turn(figures.turns),
    )


def _client(plan: Plan, secure: ssl.SSLContext, wrap: Wrap) -> Client:
    """With as many connections as it takes: a stream each, and requests."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    transport = wrap(httpx2.AsyncHTTPTransport(verify=secure, limits=limits))
    http = httpx2.AsyncClient(timeout=TIMEOUT_S, transport=transport)
    return Client(plan.url, plan.token, http=http)


async def _converse(chats: Sequence[Conversation], report: Report) -> None:
    plan, loop = report.plan, asyncio.get_running_loop()
    begun = loop.time()

    async def start(number: int, chat: Conversation) -> None:
        if plan.rate is not None:
            await asyncio.sleep(begun + number / plan.rate - loop.time())
        await chat.run()

    async with asyncio.TaskGroup() as running:
        for number, chat in enumerate(chats):
            running.create_task(start(number, chat))
    report.seconds = loop.time() - begun
    report.completed = sum(chat.completed for chat in chats)


async def _compare(chats: Sequence[Conversation], report: Report) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(chat: Conversation) -> None:
        async with turn:
            try:
                found = await _found(chat, report.plan)
            except (ParleyError, TimeoutError) as error:
                what = str(error) or "the read models do not catch up"
                report.figures.fail("comparison", what)
                return
        report.compared += 1
        report.differences += found

    async with asyncio.TaskGroup() as comparing:
        for chat in chats:
            if chat.chat_id is not None:
                comparing.create_task(one(chat))


async def _found(chat: Conversation, plan: Plan) -> list[Difference]:
    chat_id = chat.chat_id
    assert chat_id is not None  # noqa: S101  others are not compared
    faults = [f"stream: {fault}" for fault in chat.view.faults]
    if chat.completed:
        async with asyncio.timeout(plan.timeout_s):
            events = [event async for event in chat.client.events(chat_id)]
            paged = await pages(chat.client, chat_id, at_least=events[-1]["version"])
        faults += differences(chat.view.seen, paged, events, chat.asked)
        if plan.archive:
            await chat.client.update(chat_id, archived=True)
    return [Difference(chat_id, fault) for fault in faults]


def _add_tallies(clients: Sequence[Client], report: Report) -> None:
    for client in clients:
        tally = client.tally
        report.repeated += tally.repeated
        for _ in range(tally.unopened):
            report.figures.fail("stream_open", "did not open at the first attempt")
        for _ in range(tally.broken):
            report.figures.fail("stream_ended_early", "ended without bye, resumed")
