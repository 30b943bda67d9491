"""L7, L11, L12, L13, L19, L25: one decider, one log, and nothing beside them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.auth.bearer import hash_token, new_token
from service.auth.policy import EVERY_SCOPE
from service.db.guard import Guard
from service.db.pool import Database
from service.domain.chat.state import ChatState
from service.domain.commands.chat import SendMessage, UpdateChat
from service.domain.parts import TextPart
from service.errors import Rejection
from service.platform.tokens import insert_token
from service.testing.model import Pause
from service.testing.parley import Parley
from tests.builders import OWNER
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.api import driving as d
from tests.integration.api.conftest import OTHER_USER, Api, bearer, said
from tests.integration.lessons.waits import speaking


async def test_l07_what_is_about_a_chat_does_not_make_its_turn_stale(
    parley: Parley,
) -> None:
    pause = Pause()
    parley.model.answer(["half ", pause, "whole"])
    chat = await parley.create("hello")
    await speaking(parley, chat)
    async with parley.client() as client:
        await client.update(chat, title="noon", labels={"a": "b"}, pin_order=1)
        await client.update(chat, plan_mode="plan", mcp_server_ids=[])
        await client.read(chat)
    pause.release()
    assert (await parley.turn_finished(chat)).answer == "half whole"
    events = [event["type"] for event in await parley.events(chat)]
    assert events.count("generation_attempt_started") == 1
    assert events.count("step_committed") == 1


REFUSALS = {"chat-archived", "already-archived"}

REFUSED: list[tuple[str, tuple[str, ...], Any]] = [
    ("POST", ("messages",), said("more")),
    ("PATCH", ("messages", "2"), said("other")),
    ("POST", ("interrupt",), {}),
    ("POST", ("queue", "QUEUED", "promote"), {}),
    ("DELETE", ("queue", "QUEUED"), None),
    ("POST", ("compact",), {}),
    ("POST", ("tool-results",), {"results": [{"tool_call_id": "c1", "output": 1}]}),
    ("PATCH", (), {"pin_order": 1}),
    ("PATCH", (), {"plan_mode": "plan"}),
    ("PATCH", (), {"archived": True}),
]


async def test_l11_an_archived_chat_refuses_whatever_would_make_it_go_on(
    api: Api,
) -> None:
    chat = await d.begun(api)
    (waiting,) = await d.queued(api, chat, "later")
    await chat.attempt()
    await chat.fail()
    archived = await d.patch(api, d.path(chat), {"archived": True})
    assert archived.status_code == 204, archived.text
    version = (await chat.state()).version
    for method, steps, body in REFUSED:
        path = d.path(chat, *(str(waiting) if s == "QUEUED" else s for s in steps))
        answer = await api.http.request(method, path, json=body)
        assert d.slug(answer) in REFUSALS, (method, steps, answer.text)
    assert (await chat.state()).version == version


async def test_l11_a_child_is_not_pinned(api: Api) -> None:
    child = await d.spawned(api, await d.begun(api))
    answer = await d.patch(api, d.path(child), {"pin_order": 1})
    assert d.slug(answer) == "not-a-root", answer.text


async def _auditor(api: Api) -> str:
    token = new_token()
    async with api.stack.pool.connection() as connection:
        await insert_token(
            connection,
            token_hash=hash_token(token),
            user_id=OTHER_USER,
            name="auditor",
            scopes=EVERY_SCOPE,
        )
    return token


async def test_l12_who_may_read_everything_spends_nobody_elses_tokens(
    api: Api,
) -> None:
    chat = await d.begun(api)
    (waiting,) = await d.queued(api, chat, "later")
    version = (await chat.state()).version
    headers = bearer(await _auditor(api))
    seen = await api.get("/api/v1/events", headers=headers)
    assert str(chat.id) in seen.text
    for method, steps, body in REFUSED:
        path = d.path(chat, *(str(waiting) if s == "QUEUED" else s for s in steps))
        answer = await api.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == 404, (method, steps, answer.text)
    fork = await api.post(d.path(chat, "fork"), {}, headers=headers)
    assert fork.status_code == 404
    assert (await chat.state()).version == version


async def test_l13_a_rename_takes_no_lock_that_a_worker_has(parley: Parley) -> None:
    """Renames at once during a turn: none is refused, no lease moves."""
    pause = Pause()
    parley.model.answer(["half ", pause, "whole"])
    chat = await parley.create("hello")
    await speaking(parley, chat)
    async with parley.client() as client:
        await asyncio.gather(
            *(client.update(chat, title=f"title {n}") for n in range(10))
        )
    pause.release()
    assert (await parley.turn_finished(chat)).answer == "half whole"
    events = [event["type"] for event in await parley.events(chat)]
    assert events.count("run_acquired") == 1
    assert events.count("title_changed") == 10


async def test_l13_a_title_that_was_thought_of_for_long_undoes_no_rename(
    stack: Stack,
) -> None:
    chat = await ChatByHand.create(stack)
    update = {"now": stack.now(), "actor": "test"}
    await chat.execute(UpdateChat(title="mine", **update))
    with pytest.raises(Rejection):
        await chat.execute(
            UpdateChat(
                title="thought of",
                title_source="model",
                expected_title="hello",
                **update,
            )
        )
    assert (await chat.state()).title == "mine"


async def test_l19_a_cache_that_heard_of_nothing_decides_nothing(
    database: Database, guard: Guard
) -> None:
    """Another process archives; this one is deaf, and has the old state cached."""
    async with (
        Stack(database, guard, deaf=True, poll_interval_s=3600.0) as deaf,
        Stack(database, guard) as other,
    ):
        chat = await ChatByHand.create(deaf)
        await chat.acquire()
        await chat.attempt()
        await chat.commit("so")
        await chat.finish()
        archive = UpdateChat(now=other.now(), actor="test", archived=True)
        await other.chats.execute_family(chat.id, archive, actor="test")
        with pytest.raises(Rejection, match="archived"):
            await chat.send("more")
        state: ChatState = await chat.state()
        assert state.archived


async def test_l25_a_send_that_is_repeated_everywhere_counts_once(
    database: Database, guard: Guard
) -> None:
    """The same key from two processes, many times at once, and again much later."""
    async with Stack(database, guard) as one, Stack(database, guard) as two:
        chat = await ChatByHand.create(one)

        async def send(stack: Stack) -> int:
            command = SendMessage(
                now=stack.now(),
                sender_id=OWNER,
                parts=(TextPart(text="once"),),
                busy_behavior="queue",
            )
            handled = await stack.chats.execute(
                chat.id, command, actor="test", key="k", request_hash=b"h" * 32
            )
            return handled.events[0][0]

        at_once = await asyncio.gather(*(send(s) for s in (one, two) * 8))
        await chat.acquire()
        await chat.attempt()
        await chat.commit("so")
        await chat.finish()
        assert {*at_once, await send(two)} == {3}
        state = await chat.state()
    assert [m.role for m in state.messages] == ["user", "assistant", "user"]
