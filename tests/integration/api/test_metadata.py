"""PATCH of a chat, its place among the pins, and the read cursor."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from service.api.shapes import ChatShape
from tests.builders import OWNER
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, said
from tests.integration.api.driving import (
    CREATE,
    Projecting,
    answer,
    at_rest,
    begun,
    break_state,
    fields,
    patch,
    path,
    projected,
    slug,
    spawned,
)

EVERYTHING: dict[str, Any] = {
    "title": " Trip to\u200b Lisbon ",
    "labels": {"team": "sales"},
    "pin_order": 1,
    "plan_mode": "plan",
    "workspace_id": None,
    "model_config_id": None,
    "mcp_server_ids": [],
}


async def update(
    api: Api, chat: ChatByHand, *, key: str | None = None, **body: Any
) -> httpx2.Response:
    return await patch(api, path(chat), body, key=key)


async def shown(api: Api, chat: ChatByHand) -> ChatShape:
    return ChatShape.model_validate((await api.get(path(chat))).json())


async def test_everything_changes_in_one_append(api: Api) -> None:
    chat = await begun(api)
    before = (await chat.state()).version
    answered = await update(api, chat, **EVERYTHING)
    assert (answered.status_code, answered.content) == (204, b"")
    state = await chat.state()
    assert answered.headers["parley-version"] == f"{chat.id}:{state.version}"
    assert state.version == before + 4
    now = await shown(api, chat)
    assert now.title == "Trip to Lisbon"
    assert now.labels == {"team": "sales"}
    assert (now.pinned, now.plan_mode) == (True, "plan")
    # a turn that runs is not disturbed
    await answer(chat)


async def test_nothing_to_change_is_204_and_no_event(api: Api) -> None:
    chat = await at_rest(api)
    before = await api.positions()
    assert (await update(api, chat)).status_code == 204
    title = (await chat.state()).title
    assert (await update(api, chat, title=title, pin_order=0)).status_code == 204
    assert await api.positions() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""), ("title", " \u200b "), ("title", "x" * 201), ("title", None),
        ("title", 1), ("title", "a\0"),
        ("labels", None), ("labels", {"-": "x"}), ("labels", {"a": ""}),
        ("labels", {f"l{n}": "x" for n in range(51)}), ("labels", []),
        ("archived", None), ("archived", "true"), ("archived", 1),
        ("pin_order", -1), ("pin_order", None), ("pin_order", "1"),
        ("pin_order", 1.5), ("pin_order", 2**31), ("pin_order", True),
        ("plan_mode", None), ("plan_mode", "on"),
        ("workspace_id", str(uuid4())), ("workspace_id", 1), ("workspace_id", ""),
        ("model_config_id", str(uuid4())),
        ("mcp_server_ids", [str(uuid4())]), ("mcp_server_ids", None),
        ("mcp_server_ids", ["x"]),
        ("colour", "red"), ("status", "waiting"), ("owner_id", str(OWNER)),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)  # fmt: skip
async def test_one_wrong_field_changes_nothing(
    api: Api, field: str, value: Any
) -> None:
    chat = await at_rest(api)
    before = await api.positions()
    answered = await update(api, chat, **(EVERYTHING | {field: value}))
    assert answered.status_code == 400, answered.text
    assert [name.partition(".")[0] for name in fields(answered)] == [field]
    assert await api.positions() == before


async def test_all_that_is_wrong_is_said_at_once(api: Api) -> None:
    chat = await at_rest(api)
    answered = await update(
        api, chat, title="", labels={"a": "", "?": "x"}, pin_order=-1, colour="red"
    )
    assert fields(answered) == [
        "title", "labels.a", "labels.?", "pin_order", "colour",
    ]  # fmt: skip


async def test_a_title_may_be_as_long_as_200_characters(api: Api) -> None:
    chat = await at_rest(api)
    title = "\U0001f600" * 200
    assert (await update(api, chat, title=f"  {title}\n")).status_code == 204
    assert (await shown(api, chat)).title == title


async def test_a_patch_is_replayed(api: Api) -> None:
    chat = await at_rest(api)
    first = await update(api, chat, key="p", title="one")
    await update(api, chat, title="two")
    again = await update(api, chat, key="p", title="one")
    assert (first.status_code, again.status_code) == (204, 204)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["parley-version"] == first.headers["parley-version"]
    assert (await shown(api, chat)).title == "two"
    for other in ({"title": "three"}, {"title": "one", "workspace_id": None}):
        refused = await update(api, chat, key="p", **other)
        assert (refused.status_code, slug(refused)) == (422, "idempotency-key-reused")


async def test_a_chat_goes_to_the_archive_and_comes_back(api: Api) -> None:
    chat = await at_rest(api)
    assert (await update(api, chat, pin_order=1)).status_code == 204
    away = await update(api, chat, archived=True, title="old", key="a")
    assert away.status_code == 204
    now = await shown(api, chat)
    assert (now.archived, now.pinned, now.title) == (True, False, "old")
    again = await update(api, chat, archived=True, title="old", key="a")
    assert again.headers["idempotent-replayed"] == "true"
    twice = await update(api, chat, archived=True)
    assert (twice.status_code, slug(twice)) == (400, "already-archived")
    assert (await update(api, chat, archived=False, pin_order=1)).status_code == 204
    twice = await update(api, chat, archived=False)
    assert (twice.status_code, slug(twice)) == (400, "not-archived")
    assert (await shown(api, chat)).pinned


async def test_an_archived_chat_takes_names_and_nothing_else(api: Api) -> None:
    chat = await at_rest(api)
    message = (await chat.state()).messages[0].id
    await update(api, chat, archived=True)
    assert (await update(api, chat, title="new", labels={"a": "b"})).status_code == 204
    refusals = [
        await update(api, chat, pin_order=1),
        await update(api, chat, plan_mode="plan"),
        await update(api, chat, title="other", plan_mode="plan"),
        await api.post(path(chat, "messages"), said()),
        await patch(api, path(chat, "messages", message), said()),
        await api.http.delete(path(chat, "queue", 3)),
        await api.http.post(path(chat, "queue", 3, "promote")),
        await api.http.post(path(chat, "interrupt")),
        await api.post(
            path(chat, "tool-results"),
            {"results": [{"tool_call_id": "c", "output": 1}]},
        ),
        await api.http.post(path(chat, "compact")),
    ]
    for refused in refusals:
        assert (refused.status_code, slug(refused)) == (400, "chat-archived")
    assert (await shown(api, chat)).title == "new"


async def test_an_active_chat_stays(api: Api) -> None:
    chat = await begun(api)
    refused = await update(api, chat, archived=True, title="old")
    assert (refused.status_code, slug(refused)) == (409, "chat-active")
    assert (await shown(api, chat)).title == "hello"
    broken = await at_rest(api)
    await break_state(api, broken)
    refused = await update(api, broken, archived=True)
    assert (refused.status_code, slug(refused)) == (409, "invalid-state")


async def test_a_family_goes_together(api: Api) -> None:
    root = await begun(api)
    child = await spawned(api, root)
    await answer(root)
    refused = await update(api, root, archived=True)
    assert (refused.status_code, slug(refused)) == (409, "chat-active")
    await child.acquire()
    await answer(child)
    for body in ({"archived": True}, {"pin_order": 1}):
        alone = await update(api, child, **body)
        assert (alone.status_code, slug(alone)) == (400, "not-a-root")
    assert (await update(api, root, archived=True)).status_code == 204
    assert (await child.state()).archived
    alone = await update(api, child, archived=False)
    assert (alone.status_code, slug(alone)) == (400, "not-a-root")
    assert (await update(api, root, archived=False)).status_code == 204
    assert not (await child.state()).archived


# pins


async def order(api: Api) -> list[str]:
    """Titles of the pinned chats, by their ranks."""
    await projected(api)
    page = (await api.get(CREATE)).json()["chats"]
    ranks = {chat["pin_order"]: chat["title"] for chat in page if chat["pin_order"]}
    assert sorted(ranks) == [*range(1, len(ranks) + 1)]
    pinned = [ranks[rank] for rank in sorted(ranks)]
    assert [chat["title"] for chat in page][: len(pinned)] == pinned
    return pinned


async def test_pins_are_a_dense_order(api: Api) -> None:
    chats = {name: await at_rest(api, name) for name in "abcd"}

    async def pin(name: str, place: int) -> None:
        answered = await update(api, chats[name], pin_order=place)
        assert (answered.status_code, "parley-stale" in answered.headers) == (204, 0)

    async with Projecting(api):
        # the number of a new pin counts for nothing
        for name, place in (("a", 9), ("b", 1), ("c", 2), ("d", 1)):
            await pin(name, place)
        assert await order(api) == ["a", "b", "c", "d"]
        for name, place, expected in (
            ("d", 1, "dabc"), ("d", 2, "adbc"), ("a", 4, "dbca"), ("b", 99, "dcab"),
            ("c", 2, "dcab"), ("a", 0, "dcb"), ("a", 1, "dcba"),
        ):  # fmt: skip
            await pin(name, place)
            assert await order(api) == list(expected), (name, place)
        before = await api.positions()
        await pin("c", 2)
        assert await api.positions() == before


async def test_pins_at_once_are_a_dense_order_too(api: Api) -> None:
    chats = [await at_rest(api, name) for name in "abcdef"]
    async with Projecting(api):
        await asyncio.gather(*(update(api, chat, pin_order=1) for chat in chats))
        assert sorted(await order(api)) == list("abcdef")
        await asyncio.gather(*(update(api, chat, pin_order=2) for chat in chats))
        assert sorted(await order(api)) == list("abcdef")


async def test_a_pin_without_a_projector_says_that_its_place_is_uncertain(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.stack.feeds.progress, "_wait_s", 0.05)
    chat = await at_rest(api)
    answered = await update(api, chat, pin_order=1)
    assert (answered.status_code, answered.headers["parley-stale"]) == (204, "chats")
    assert (await shown(api, chat)).pinned


# the read cursor


async def read(
    api: Api, chat: ChatByHand, body: Any = None, *, key: str | None = None
) -> httpx2.Response:
    return await api.post(path(chat, "read"), body or {}, key=key)


async def test_the_read_cursor_moves_forward_only(api: Api) -> None:
    chat = await at_rest(api)
    first, spoken = (m.id for m in (await chat.state()).messages)
    assert (await shown(api, chat)).has_unread
    assert (await read(api, chat, {"message_id": first})).status_code == 204
    now = await shown(api, chat)
    assert (now.last_read_message_id, now.has_unread) == (first, True)
    answered = await api.http.post(path(chat, "read"))
    assert (answered.status_code, answered.content) == (204, b"")
    now = await shown(api, chat)
    assert (now.last_read_message_id, now.has_unread) == (spoken, False)
    assert answered.headers["parley-version"] == f"{chat.id}:{now.version}"
    back = await read(api, chat, {"message_id": first})
    assert back.status_code == 204
    assert (await shown(api, chat)).last_read_message_id == spoken


async def test_reading_is_replayed_and_disturbs_no_turn(api: Api) -> None:
    chat = await begun(api)
    first = await read(api, chat, key="r")
    again = await read(api, chat, key="r")
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["parley-version"] == first.headers["parley-version"]
    await answer(chat)
    assert (await shown(api, chat)).has_unread


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"message_id": 9999}', 404),
        (b'{"message_id": 1}', 404),
        (b'{"message_id": 0}', 400),
        (b'{"message_id": -1}', 400),
        (b'{"message_id": "2"}', 400),
        (b'{"message_id": 1.5}', 400),
        (b'{"message_id": 1%b}' % (b"0" * 30), 400),
        (b'{"id": 2}', 400),
        (b"[]", 400),
    ],
    ids=[
        "unknown", "no message", "zero", "negative", "text", "float", "giant", "field",
        "list",
    ],
)  # fmt: skip
async def test_what_cannot_be_read(api: Api, body: bytes, status: int) -> None:
    chat = await at_rest(api)
    before = await api.positions()
    refused = await api.post(path(chat, "read"), content=body)
    assert refused.status_code == status
    assert await api.positions() == before
