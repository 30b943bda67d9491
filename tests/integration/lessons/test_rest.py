"""L9, L20, L22: order, what is left behind, and a newer release beside this one."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

from service.domain.commands.chat import SendMessage
from service.domain.parts import TextPart
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)
from tests.builders import OWNER
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import PATIENCE_S, Stack
from tests.integration.agent.crew import Gated, Watch, hand, rests, texts
from tests.integration.api import driving as d
from tests.integration.api.conftest import Api


async def test_l09_a_clock_that_runs_backwards_changes_no_order(api: Api) -> None:
    chat = await d.at_rest(api, "0")
    for number in range(1, 6):
        earlier = api.stack.now() - timedelta(days=number)
        await chat.execute(
            SendMessage(
                now=earlier,
                sender_id=OWNER,
                parts=(TextPart(text=str(number)),),
                busy_behavior="queue",
            )
        )
        await chat.acquire()
        await d.answer(chat, f"to {number}")
    await api.project()
    page = (await api.get(d.path(chat, "messages"))).json()
    said = [m["content"][0]["text"] for m in reversed(page["messages"])]
    expected = [text for n in range(1, 6) for text in (str(n), f"to {n}")]
    assert said == ["0", "hi", *expected]


async def test_l20_followers_that_leave_leave_nothing_behind(stack: Stack) -> None:
    chats = [await ChatByHand.create(stack) for _ in range(5)]
    # the listener waits in a task that comes and goes
    before = Counter(map(_deed, asyncio.all_tasks())) | Counter({"Queue.get": 1})
    for _ in range(3):
        async with AsyncExitStack() as following:
            clients = [
                await following.enter_async_context(stack.follow(chat.id, after="0"))
                for chat in chats * 4
            ]
            for client in clients:
                await client.until(lambda c: bool(c.named("caught_up")))
            assert stack.hub.followers == len(clients)
    async with asyncio.timeout(PATIENCE_S):
        while more := Counter(map(_deed, asyncio.all_tasks())) - before:
            left = [task for task in asyncio.all_tasks() if _deed(task) in more]
            await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
    assert stack.hub.followers == 0
    assert stack.hub.ring_bytes == 0
    assert not stack.hub.followed()


def _deed(task: asyncio.Task[Any]) -> str:
    """What a task does, whichever one it is."""
    coroutine = task.get_coro()
    return getattr(coroutine, "__qualname__", str(coroutine))


async def test_l20_a_worker_that_has_no_room_writes_nothing(
    stack: Stack, watch: Watch
) -> None:
    """A refusal is no event, so it wakes nobody who would refuse in turn."""
    gated = Gated()
    async with hand(stack, provider=gated, slots=1, poll_interval_s=0.05):
        chats = [await ChatByHand.create(stack) for _ in range(6)]
        await gated.asked.wait()
        versions = [(await stack.chats.load(chat.id)).version for chat in chats]
        # created and said; one of them is taken and has begun its attempt
        assert sorted(versions) == [2, 2, 2, 2, 2, 4]
        gated.gate.set()
        for chat in chats:
            assert texts(await watch.until(chat.id, rests)) == ["well then"]


async def test_l22_what_a_newer_release_wrote_stops_that_chat_alone(api: Api) -> None:
    """A type that is not known here, and one of a later shape: 503, and no harm."""
    strange, later, known = [await d.at_rest(api) for _ in range(3)]
    for chat, event in (
        (strange, NewEvent("hologram_projected", 1, {})),
        (later, NewEvent("message_appended", 99, {"what": "is this"})),
    ):
        stream = StreamName("chat", chat.id)
        append = StreamAppend(stream, ANY, (event,))
        await api.stack.appender.append(
            AppendRequest((append,), str(uuid4()), b"h" * 32)
        )
    for chat in (strange, later):
        assert (await api.get(d.path(chat))).status_code == 503
        sent = await api.post(d.path(chat, "messages"), {"content": [_text("more")]})
        assert sent.status_code == 503
    assert (await api.get(d.path(known))).status_code == 200
    sent = await api.post(d.path(known, "messages"), {"content": [_text("more")]})
    assert sent.status_code in (200, 201), sent.text


def _text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}
