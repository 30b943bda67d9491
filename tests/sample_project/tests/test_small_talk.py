"""Tests of a program that talks to Parley. The fixture `parley` comes with Parley."""

from __future__ import annotations

import asyncio

from small_talk import Reply, ask

from service.testing.model import Call, Failure, Pause
from service.testing.parley import Parley


async def test_an_answer(parley: Parley) -> None:
    parley.model.answer("Fine, thank you.")
    async with parley.client() as client:
        assert await ask(client, "How are you?") == Reply("Fine, thank you.")
    (request,) = parley.model.requests
    assert [message.role for message in request.messages] == ["user"]


async def test_a_follow_up_after_a_call_of_a_tool(parley: Parley) -> None:
    parley.model.answer(["Let me look.", Call("clock")], "Late.", "Good night.")
    async with parley.client() as client:
        assert await ask(client, "What time is it?", follow_up="Bye") == Reply(
            "Good night."
        )


async def test_a_model_that_fails(parley: Parley) -> None:
    parley.model.answer(Failure("content_filter", "not a nice question"))
    async with parley.client() as client:
        reply = await ask(client, "...", follow_up="never sent")
    assert reply.failed == "not a nice question"


async def test_somebody_interrupts(parley: Parley) -> None:
    pause = Pause()
    parley.model.answer(["One, two", pause, ", three"])
    chat = await parley.create("Count")
    await parley.shows(chat, lambda view: view.preview)
    await parley.interrupt(chat)
    view = await parley.turn_finished(chat)
    assert view.turns[-1].outcome == "interrupted"
    assert view.answer == "One, two"


def test_without_a_loop_of_its_own(parley: Parley) -> None:
    async def talk() -> Reply:
        async with parley.client() as client:
            return await ask(client, "count 3")  # the built-in script counts

    assert asyncio.run(talk()) == Reply("1 2 3")


async def test_a_database_of_its_own(fresh_parley: Parley) -> None:
    chat = await fresh_parley.create("count 1")
    await fresh_parley.turn_finished(chat)
    events = await fresh_parley.events(chat)
    assert events[0]["type"] == "chat_created"
    assert events[-1]["type"] == "turn_finished"
