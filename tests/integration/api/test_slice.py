"""Create, get, send, interrupt, list, messages: what a client gets back."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from service.api.shapes import ChatPage, ChatShape, MessagePage, Sent
from service.domain.ids import UserId, derive_chat_id
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, said


async def test_create_gives_a_running_chat_that_get_finds_at_once(api: Api) -> None:
    chat = await api.create("one two three four five six seven", client_type="ui")
    ChatShape.model_validate(chat)
    assert chat["status"] == "running"
    assert chat["title"].startswith("one two three four five six")
    assert chat["owner_id"] == str(api.user_id)
    assert chat["client_type"] == "ui"
    found = await api.get(f"/api/v1/chats/{chat['id']}")
    assert found.status_code == 200
    extras = {"has_unread": False, "pin_order": 0, "children": []}
    assert found.json() == chat | extras


async def test_create_without_a_key_makes_another_chat_each_time(api: Api) -> None:
    assert (await api.create())["id"] != (await api.create())["id"]


async def test_create_keeps_labels_and_hides_the_system_prompt(api: Api) -> None:
    chat = await api.create(labels={"team": "red"}, system_prompt="  be brief\u200b ")
    assert chat["labels"] == {"team": "red"}
    await api.project()
    page = (await api.get(f"/api/v1/chats/{chat['id']}/messages")).json()
    assert [m["role"] for m in page["messages"]] == ["user"]
    state = (await api.stack.chats.load(UUID(chat["id"]))).state
    assert state.messages[0].parts[0].model_dump()["text"] == "be brief"


async def test_send_to_a_busy_chat_is_queued(api: Api) -> None:
    chat = await api.create()
    answer = await api.post(f"/api/v1/chats/{chat['id']}/messages", said("next"))
    assert answer.status_code == 200
    sent = Sent.model_validate(answer.json())
    assert sent.queued
    assert sent.messages == []
    assert sent.message is None
    assert sent.queued_message is not None
    await api.project()
    page = (await api.get(f"/api/v1/chats/{chat['id']}/messages")).json()
    assert [m["id"] for m in page["queued_messages"]] == [sent.queued_message.id]


async def test_send_to_a_chat_at_rest_goes_into_history(api: Api) -> None:
    chat = await _at_rest(api)
    answer = await api.post(f"/api/v1/chats/{chat.id}/messages", said("next"))
    sent = Sent.model_validate(answer.json())
    assert not sent.queued
    assert sent.message is not None
    assert sent.messages == [sent.message]
    got = (await api.get(f"/api/v1/chats/{chat.id}")).json()
    assert got["status"] == "running"


async def test_send_to_a_failed_chat_with_a_queue_promotes_its_head(api: Api) -> None:
    chat = ChatByHand(api.stack, UUID((await api.create())["id"]))
    await chat.send("second")
    await chat.acquire()
    await chat.attempt()
    await chat.fail()
    answer = await api.post(f"/api/v1/chats/{chat.id}/messages", said("third"))
    sent = Sent.model_validate(answer.json())
    assert sent.queued
    assert [m.queued_id is not None for m in sent.messages] == [True]
    assert sent.message is None


async def test_interrupt_flips_a_running_chat_and_then_has_nothing_to_do(
    api: Api,
) -> None:
    chat = await api.create()
    path = f"/api/v1/chats/{chat['id']}/interrupt"
    answer = await api.http.post(path)
    assert answer.status_code == 200
    assert ChatShape.model_validate(answer.json()).status == "interrupting"
    again = await api.http.post(path)
    assert again.status_code == 409
    assert again.json()["type"] == "/problems/nothing-to-interrupt"


async def test_interrupt_of_a_chat_at_rest_is_409(api: Api) -> None:
    chat = await _at_rest(api)
    answer = await api.http.post(f"/api/v1/chats/{chat.id}/interrupt")
    assert answer.status_code == 409


async def test_queue_full_is_429(api: Api) -> None:
    chat = await api.create()
    path = f"/api/v1/chats/{chat['id']}/messages"
    for _ in range(20):
        assert (await api.post(path, said())).status_code == 200
    refused = await api.post(path, said())
    assert refused.status_code == 429
    assert refused.json()["type"] == "/problems/queue-full"


async def test_list_pages_through_the_callers_chats(api: Api) -> None:
    made = [(await api.create(f"chat {n}"))["id"] for n in range(5)]
    await api.project()
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        answer = await api.get("/api/v1/chats", params=query)
        page = ChatPage.model_validate(answer.json())
        seen += [str(chat.id) for chat in page.chats]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_messages_page_newest_first_and_oldest_first_after_an_id(
    api: Api,
) -> None:
    chat = await _at_rest(api)
    await api.project()
    path = f"/api/v1/chats/{chat.id}/messages"
    first = MessagePage.model_validate((await api.get(path)).json())
    assert [m.role for m in first.messages] == ["assistant", "user"]
    assert not first.has_more
    one = (await api.get(path, params={"limit": "1"})).json()
    assert one["has_more"] is True
    oldest = first.messages[-1].id
    after = (await api.get(path, params={"after_id": str(oldest)})).json()
    assert [m["role"] for m in after["messages"]] == ["assistant"]
    before = (await api.get(path, params={"before_id": str(oldest)})).json()
    assert before["messages"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"limit": "-1"},
        {"before_id": "0"}, {"after_id": "1.5"}, {"before_id": "3", "after_id": "3"},
        {"offset": "3"}, {"limit": "\uff11"},
    ],
)  # fmt: skip
async def test_messages_query_out_of_range_is_400(
    api: Api, query: dict[str, str]
) -> None:
    chat = await api.create()
    answer = await api.get(f"/api/v1/chats/{chat['id']}/messages", params=query)
    assert answer.status_code == 400
    assert set(query) >= {e["field"] for e in answer.json()["errors"]}


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"cursor": "e30"}, {"limit": "0"}, {"q": "x"}]
)
async def test_list_query_that_is_wrong_is_400(api: Api, query: dict[str, str]) -> None:
    assert (await api.get("/api/v1/chats", params=query)).status_code == 400


async def test_a_key_derives_the_chat_id(api: Api) -> None:
    answer = await api.post("/api/v1/chats", said(), key="k1")
    assert answer.json()["id"] == str(derive_chat_id(UserId(api.user_id), "k1"))


async def _at_rest(api: Api) -> ChatByHand:
    """A chat of the first user after one whole turn."""
    chat = ChatByHand(api.stack, UUID((await api.create())["id"]))
    await chat.acquire()
    await chat.attempt()
    await chat.commit("hi")
    await chat.finish()
    return chat


async def test_fifty_creates_at_once_share_a_small_pool(api: Api) -> None:
    """No connection is held while another one, or an append, is awaited."""
    chats = await asyncio.gather(*(api.create(f"chat {n}") for n in range(50)))
    assert len({chat["id"] for chat in chats}) == 50
    assert api.stack.guard.violations == 0
