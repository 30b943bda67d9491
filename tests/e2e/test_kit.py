"""The test kit, used as its users do: fixtures, a scripted model, waiting for turns."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from service.client.client import ApiError
from service.client.view import ChatView, Turn
from service.errors import SetupError
from service.testing.model import Call, Failure, Pause, Reasoning
from service.testing.parley import Parley, StartParley


async def test_a_chat_is_answered_by_the_script(parley: Parley) -> None:
    parley.model.answer("It is four.")
    chat = await parley.create("two and two?")
    view = await parley.turn_finished(chat)
    assert view.answer == "It is four."
    assert view.turns == [Turn(2, "finished")]
    assert parley.model.left == 0
    (asked,) = parley.model.requests
    assert asked.messages[-1].role == "user"


async def test_a_turn_of_two_steps_calls_a_tool(parley: Parley) -> None:
    call = Call("clock", {"timezone": "UTC"})
    parley.model.answer([Reasoning("look it up"), "Let me see.", call], "It is late.")
    view = await parley.turn_finished(await parley.create("what time is it?"))
    roles = [message["role"] for message in view.messages.values()]
    assert roles == ["user", "assistant", "tool", "assistant"]
    (result,) = [*view.messages.values()][2]["content"]
    assert result["result"]["timezone"] == "UTC"
    assert view.answer == "Let me see.\nIt is late."
    assert [len(request.messages) for request in parley.model.requests] == [1, 3]


async def test_a_failure_ends_the_turn(parley: Parley) -> None:
    parley.model.answer(["I begin", Failure("content_filter", "not this")])
    view = await parley.turn_finished(await parley.create("hello"))
    assert view.status == "error"
    assert view.error is not None
    assert (view.error["kind"], view.error["message"]) == ("content_filter", "not this")


async def test_a_pause_holds_the_model_until_the_test_lets_go(parley: Parley) -> None:
    pause = Pause()
    parley.model.answer(["one ", pause, "two"])
    chat = await parley.create("count")
    view = await parley.shows(chat, lambda v: v.preview and v.preview.text == "one ")
    assert view.status == "running"
    pause.release()
    assert (await parley.turn_finished(chat)).answer == "one two"


async def test_what_was_said_is_kept_when_a_turn_is_interrupted(parley: Parley) -> None:
    parley.model.answer(["I could go on", Pause(), " for ever"])
    chat = await parley.create("tell me")
    await parley.shows(chat, _says("I could go on"))
    await parley.interrupt(chat)
    view = await parley.turn_finished(chat)
    assert view.answer == "I could go on"
    assert view.turns == [Turn(2, "interrupted")]


async def test_without_steps_the_built_in_script_plays(parley: Parley) -> None:
    view = await parley.turn_finished(await parley.create("count 3"))
    assert view.answer == "1 2 3"


async def test_a_second_message_and_the_events_of_a_chat(parley: Parley) -> None:
    parley.model.answer("first", "second")
    chat = await parley.create("hello")
    await parley.turn_finished(chat)
    await parley.send(chat, "and?")
    assert (await parley.turn_finished(chat)).answer == "second"
    events = await parley.events(chat)
    assert [event["version"] for event in events] == [*range(1, len(events) + 1)]
    assert [event["type"] for event in events].count("turn_finished") == 2


async def test_users_do_not_see_each_other(parley: Parley) -> None:
    chat = await parley.create("count 1")
    async with parley.client(parley.new_token()) as stranger:
        with pytest.raises(ApiError, match="404"):
            await stranger.get(chat)
    async with parley.client() as client:
        assert (await client.get(chat))["id"] == chat["id"]


def test_a_plain_test_runs_its_own_loop(parley: Parley) -> None:
    async def talk() -> str:
        return (await parley.turn_finished(await parley.create("count 2"))).answer

    assert asyncio.run(talk()) == "1 2"


def test_what_still_runs_is_stopped_after_the_test(parley: Parley) -> None:
    pause = Pause()
    parley.model.answer([pause, "never"], [pause, "never either"])

    async def leave() -> dict[str, object]:
        chat = await parley.create("hello")
        await parley.send(chat, "and another")
        return {**chat}

    chat = asyncio.run(leave())
    parley.settle()

    async def status() -> ChatView:
        return await parley.turn_finished(chat, timeout_s=1)

    assert asyncio.run(status()).status == "waiting"


async def test_a_fresh_one_has_an_empty_log_and_its_own_settings(
    start_parley: StartParley,
) -> None:
    with start_parley(cors_origins="https://example.org") as parley:
        async with await psycopg.AsyncConnection.connect(parley.database_url) as c:
            cursor = await c.execute("SELECT count(*) FROM es.events")
            assert await cursor.fetchone() == (0,)
        assert (await parley.turn_finished(await parley.create("count 2"))).answer
        gone = parley.database_url
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        await psycopg.AsyncConnection.connect(gone)


def test_a_wrong_setting_is_told(start_parley: StartParley) -> None:
    with pytest.raises(SetupError, match="PARLEY_LEASE_S"), start_parley(lease_s=-1):
        pass


def _says(text: str):  # type: ignore[no-untyped-def]
    return lambda view: view.preview is not None and view.preview.text == text
