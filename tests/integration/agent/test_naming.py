"""Titles beside turns: they hold nothing up, and overwrite nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from service.agent.runner import Outcome
from service.db.pool import connect
from service.domain.chat.state import ChatState
from service.domain.cost import Prices
from service.domain.events.chat import ModelRef, Purpose, Usage, UsageRecorded
from service.eventstore import store
from service.eventstore.records import StreamName
from service.providers.models import Model
from service.providers.provider import (
    Delta,
    ModelRequest,
    ProviderError,
    TextDelta,
    UsageReport,
)
from service.providers.scripted import Scripted
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.purging import purge
from tests.fixtures.stack import PATIENCE_S, Stack
from tests.integration.agent.crew import Hand, Watch, hand, history, rests

TURN = Model(Scripted(rate=1e6), ModelRef(provider="scripted", model="script"))
USAGE = Usage(input_tokens=100, output_tokens=3)
REF = ModelRef(provider="told", model="small")


class Titles:
    """`Models` of a worker: scripts for turns, and what a test says for titles."""

    name = "told"

    def __init__(self, said: str | Exception = "Counted to three") -> None:
        self.said = said
        self.requests: list[ModelRequest] = []
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()
        prices = Prices(input=Decimal(2), output=Decimal(10))
        self.titles: Model | ProviderError = Model(self, REF, prices=prices)

    async def resolve(
        self, *, owner_id: UUID, model_config_id: UUID | None, purpose: Purpose = "turn"
    ) -> Model:
        if purpose != "title":
            return TURN
        if isinstance(self.titles, ProviderError):
            raise self.titles
        return self.titles

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        self.asked.set()
        try:
            await self.gate.wait()
        finally:
            self.closed.set()
        yield UsageReport(USAGE)
        if isinstance(self.said, Exception):
            raise self.said
        yield TextDelta(self.said)


def named(state: ChatState) -> bool:
    return state.title_source == "model"


async def settled(worker: Hand) -> None:
    """Nothing is under way beside turns."""
    background = worker.worker._bench.means.background
    if tasks := list(background._tasks.values()):
        await asyncio.wait(tasks, timeout=PATIENCE_S)


async def taken(stack: Stack, chat: ChatByHand) -> list[UsageRecorded]:
    events = await history(stack, chat.id)
    return [event for event in events if isinstance(event, UsageRecorded)]


async def test_a_title_outlives_its_turn_and_holds_nothing_up(
    stack: Stack, watch: Watch
) -> None:
    models = Titles()
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack, "count 3")
        over = await watch.until(chat.id, rests)
        assert over.title == "count 3"
        models.gate.set()
        state = await watch.until(chat.id, named)
    assert state.title == "Counted to three"
    (recorded,) = await taken(stack, chat)
    assert (recorded.purpose, recorded.asked, recorded.usage) == ("title", REF, USAGE)
    assert recorded.cost_micros == 230
    assert recorded.runtime_ms is not None
    assert recorded.actor == "worker:w1"
    assert len(models.requests) == 1


async def test_who_names_the_chat_meanwhile_wins(stack: Stack) -> None:
    models = Titles()
    async with hand(stack, models=models) as worker:
        chat = await ChatByHand.create(stack, "count 3")
        async with asyncio.timeout(PATIENCE_S):
            await models.asked.wait()
        await chat.rename("mine")
        models.gate.set()
        await settled(worker)
    assert (await chat.state()).title == "mine"
    (recorded,) = await taken(stack, chat)
    assert recorded.usage == USAGE, "it is paid for all the same"


async def test_what_fails_is_tried_again_in_the_next_turn_and_hurts_no_turn(
    stack: Stack, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    models = Titles(ProviderError("overloaded", "the model is busy"))
    models.gate.set()
    async with hand(stack, models=models) as worker:
        chat = await ChatByHand.create(stack, "count 3")
        for turn in range(1, 5):
            await watch.until(
                chat.id, lambda s, n=turn: rests(s) and len(s.messages) == 2 * n
            )
            await settled(worker)
            await chat.send("count 3")
        state = await watch.until(chat.id, lambda s: rests(s) and len(s.messages) == 10)
    assert state.title == "count 3"
    assert state.last_error is None
    assert len(models.requests) == 3
    assert caplog.text.count("no title came") == 3


async def test_a_chat_that_is_purged_meanwhile_gets_none(stack: Stack) -> None:
    models = Titles()
    async with hand(stack, models=models) as worker:
        chat = await ChatByHand.create(stack, "count 3")
        async with asyncio.timeout(PATIENCE_S):
            await models.asked.wait()
            assert await worker.worker.signals.left.wait() == (chat.id, Outcome.RESTS)
        await purge(stack.database, chat.id)
        models.gate.set()
        await settled(worker)
    async with await connect(stack.database, role="service", name="test") as connection:
        events = await store.read_stream(connection, StreamName("chat", chat.id), 0)
    assert events[-1].type == "stream_purged"


async def test_a_worker_that_stops_asks_no_longer(stack: Stack, watch: Watch) -> None:
    models = Titles()
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack, "count 3")
        await watch.until(chat.id, rests)
        async with asyncio.timeout(PATIENCE_S):
            await models.asked.wait()
    assert models.closed.is_set()
    assert await taken(stack, chat) == []


@pytest.mark.parametrize("away", [True, False], ids=["away", "a script"])
async def test_without_a_model_for_it_no_title_is_asked_for(
    stack: Stack, watch: Watch, away: bool
) -> None:
    models = Titles()
    assert isinstance(models.titles, Model)
    quiet = replace(models.titles, names_chats=False)
    models.titles = ProviderError("config", "no model") if away else quiet
    async with hand(stack, models=models):
        chat = await ChatByHand.create(stack, "count 3")
        state = await watch.until(chat.id, rests)
    assert (state.title, state.last_error) == ("count 3", None)
    assert models.requests == []
