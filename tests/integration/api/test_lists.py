"""The list of chats by its filters, a chat with its family, what was asked before."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from service.api.shapes import ChatPage, ChatShape, Prompts
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, bearer, said
from tests.integration.api.driving import (
    CREATE,
    answer,
    at_rest,
    begun,
    fields,
    patch,
    path,
    slug,
    spawned,
)


async def listed(api: Api, query: str = "") -> list[str]:
    """Titles, in the order of the list."""
    answered = await api.get(f"{CREATE}?{query}")
    assert answered.status_code == 200, answered.text
    return [chat.title for chat in ChatPage.model_validate(answered.json()).chats]


async def test_filters_narrow_the_list(api: Api) -> None:
    one = await at_rest(api, "Alpha one", labels={"team": "a", "tier": "1"})
    await at_rest(api, "alpha two", labels={"team": "a", "tier": "2"})
    await begun(api, "Beta 50% off", labels={"team": "b"})
    old = await at_rest(api, "Gamma old", labels={"team": "a"})
    await patch(api, path(old), {"archived": True})
    await api.http.post(path(one, "read"))
    await api.project()
    for query, expected in (
        ("", ["Beta 50% off", "alpha two", "Alpha one"]),
        ("archived=false", ["Beta 50% off", "alpha two", "Alpha one"]),
        ("archived=true", ["Gamma old"]),
        ("label=team:a", ["alpha two", "Alpha one"]),
        ("label=team:a&label=tier:1", ["Alpha one"]),
        ("label=team:a&label=team:a", ["alpha two", "Alpha one"]),
        ("label=team:a&label=team:b", []),
        ("label=team:A", []),
        ("label=team:a&archived=true", ["Gamma old"]),
        ("has_unread=true", ["alpha two"]),
        ("has_unread=false", ["Beta 50% off", "Alpha one"]),
        ("title=ALPHA", ["alpha two", "Alpha one"]),
        ("title=a_pha", ["alpha two", "Alpha one"]),
        ("title=50%25", ["Beta 50% off"]),
        ("title=%27%22\\", []),
        ("search=beta", ["Beta 50% off"]),
        ("search=alpha+-two", ["Alpha one"]),
        ("search=%22alpha+two%22", ["alpha two"]),
        ("search=beta+or+one", ["Beta 50% off", "Alpha one"]),
        ("search=%26+%7C+%21+%28", []),
        ("search=hi&label=team:a&has_unread=true", ["alpha two"]),
        ("limit=1", ["Beta 50% off"]),
    ):
        assert await listed(api, query) == expected, query
    theirs = await api.get(f"{CREATE}?search=alpha", headers=bearer(api.other_token))
    assert theirs.json()["chats"] == []


async def test_what_was_edited_away_is_found_no_more(api: Api) -> None:
    chat = await at_rest(api, "hello")
    await api.post(path(chat, "messages"), said("about platypuses"))
    await answer(chat, "they lay eggs")
    await api.project()
    assert await listed(api, "search=platypuses") == ["hello"]
    assert await listed(api, "search=eggs") == ["hello"]
    message = next(m for m in reversed((await chat.state()).messages) if m.created_by)
    await patch(api, path(chat, "messages", message.id), said("about otters"))
    await api.project()
    assert await listed(api, "search=platypuses") == []
    assert await listed(api, "search=eggs") == []
    assert await listed(api, "search=otters") == ["hello"]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("archived=1", "archived"), ("archived=True", "archived"),
        ("archived=", "archived"), ("archived=true&archived=true", "archived"),
        ("has_unread=yes", "has_unread"), ("has_unread=null", "has_unread"),
        ("label=team", "label"), ("label=:a", "label"), ("label=team:", "label"),
        ("label=-a:x", "label"), ("label=", "label"),
        (f"label={'a' * 65}:x", "label"), (f"label=a:{'x' * 257}", "label"),
        ("label=a:x%00", "label"), ("&".join(["label=a:x"] * 51), "label"),
        ("title=", "title"), ("title=+", "title"), (f"title={'x' * 201}", "title"),
        ("title=a%00", "title"), ("search=", "search"), ("search=%00x", "search"),
        (f"search={'x' * 201}", "search"), ("search=a&title=b", "search"),
        ("limit=0", "limit"), ("limit=201", "limit"), ("limit=1e2", "limit"),
        (f"limit={'9' * 5000}", "limit"), ("offset=1", "offset"), ("q=a", "q"),
        ("Archived=true", "Archived"), ("at_version=1", "at_version"),
    ],
    ids=lambda text: quote(text)[:40],
)  # fmt: skip
async def test_a_wrong_query_is_400(api: Api, query: str, wrong: str) -> None:
    answered = await api.get(f"{CREATE}?{query}")
    assert (answered.status_code, slug(answered)) == (400, "invalid-request")
    assert fields(answered) == [wrong]


async def test_all_that_is_wrong_with_a_query_is_said_at_once(api: Api) -> None:
    query = "limit=0&archived=1&label=x&has_unread=2&title=&colour=red"
    answered = await api.get(f"{CREATE}?{query}")
    assert {*fields(answered)} == {
        "limit", "archived", "label", "has_unread", "title", "colour",
    }  # fmt: skip


async def test_pages_hold_pins_and_the_rest_once(api: Api) -> None:
    chats = [await at_rest(api, f"c{n}") for n in range(5)]
    await api.project()
    for chat in chats[1:3]:
        await patch(api, path(chat), {"pin_order": 1})
        await api.project()
    seen: list[str] = []
    cursor = ""
    while True:
        answered = await api.get(f"{CREATE}?limit=2{cursor}")
        page = ChatPage.model_validate(answered.json())
        seen += [chat.title for chat in page.chats]
        if page.next_cursor is None:
            break
        cursor = f"&cursor={quote(page.next_cursor)}"
    assert seen == ["c1", "c2", "c4", "c3", "c0"]


async def test_a_family_is_shown_with_its_root(api: Api) -> None:
    root = await begun(api, "root")
    first, second = [await spawned(api, root) for _ in range(2)]
    await api.project()
    page = ChatPage.model_validate((await api.get(CREATE)).json())
    (shown,) = page.chats
    assert shown.children is not None
    assert [child.id for child in shown.children] == [second.id, first.id]
    alone = ChatShape.model_validate((await api.get(path(root))).json())
    assert alone == shown
    child = ChatShape.model_validate((await api.get(path(first))).json())
    assert (child.root_chat_id, child.parent_chat_id) == (root.id, root.id)
    assert child.children == []
    assert child in shown.children


async def test_get_one_waits_for_pin_and_family(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.stack.feeds.progress, "_wait_s", 0.05)
    chat = await at_rest(api)
    pinned = await patch(api, path(chat), {"pin_order": 1})
    seen = {"parley-min-version": pinned.headers["parley-version"]}
    early = await api.get(path(chat), headers=seen)
    assert (early.json()["pinned"], early.json()["pin_order"]) == (True, 0)
    assert early.headers["parley-stale"] == "chats, cursors"
    refused = await api.get(path(chat), headers=seen | {"prefer": "wait"})
    assert (refused.status_code, slug(refused)) == (503, "read-model-behind")
    await api.project()
    now = await api.get(path(chat), headers=seen)
    assert (now.json()["pin_order"], "parley-stale" in now.headers) == (1, False)


# prompts


async def prompts(api: Api, chat: ChatByHand, query: str = "") -> Any:
    answered = await api.get(f"{path(chat, 'prompts')}?{query}")
    assert answered.status_code == 200, answered.text
    return [p.text for p in Prompts.model_validate(answered.json()).prompts]


async def test_prompts_are_what_the_user_said_newest_first(api: Api) -> None:
    chat = await at_rest(api, "one", system_prompt="be kind")
    for text in ("two", "three"):
        await api.post(path(chat, "messages"), said(text))
        await answer(chat, "no prompt")
    await api.project()
    assert await prompts(api, chat) == ["three", "two", "one"]
    assert await prompts(api, chat, "limit=0") == ["three", "two", "one"]
    assert await prompts(api, chat, "limit=2") == ["three", "two"]
    assert await prompts(api, chat, "limit=2000") == ["three", "two", "one"]
    for wrong in ("limit=2001", "limit=-1", "limit=x", "offset=1", "limit=1&limit=1"):
        answered = await api.get(f"{path(chat, 'prompts')}?{wrong}")
        assert answered.status_code == 400, wrong
