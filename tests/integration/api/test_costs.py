"""What chats cost, over HTTP: a family, and a user in a span of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.api.cost_shapes import ChatCost, CostSummary
from service.api.shapes import MessagePage
from service.domain.times import rfc3339
from service.platform.model_configs import insert_model_config
from service.platform.providers import insert_provider
from tests import builders as b
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.purging import purge
from tests.integration.api.conftest import OTHER_USER, Api, bearer
from tests.integration.api.driving import Projecting, append, at_rest, path, slug

SUMMARY = "/api/v1/cost/me/summary"
TOTALS = ("cost_micros", "input_tokens", "output_tokens", "runtime_ms")


def title(cost: int | None, **fields: Any) -> Any:
    """A call for a title; chats take it in any state."""
    usage = b.usage(10, output_tokens=2, cache_read_tokens=4)
    return b.usage_recorded(usage=usage, cost_micros=cost, runtime_ms=5, **fields)


async def happened(api: Api, chat_id: UUID, *events: Any) -> None:
    await append(api, ChatByHand(api.stack, chat_id), *events)


async def spent(api: Api, **span: str) -> dict[str, Any]:
    answered = await api.get(SUMMARY, params=span)
    assert answered.status_code == 200, answered.text
    CostSummary.model_validate(answered.json())
    told: dict[str, Any] = answered.json()
    return told


async def a_child(api: Api, parent: UUID, *events: Any) -> UUID:
    child = uuid4()
    created = b.created(
        owner_id=api.user_id, parent_chat_id=parent, root_chat_id=parent
    )
    await happened(api, child, created, b.user(), *events)
    return child


async def test_a_family_costs_one_sum_whichever_of_it_is_asked(api: Api) -> None:
    chat = await at_rest(api)
    await happened(api, chat.id, title(7), title(None))
    child = await a_child(api, chat.id, title(5))
    await happened(api, (await at_rest(api)).id, title(1000))
    await api.project()
    # the turn that the chat had is a call, too, whose cost nobody knows
    wanted = {
        "chat_id": str(chat.id),
        "total_cost_micros": 12,
        "request_count": 4,
        "unpriced_request_count": 2,
    }
    for chat_id in (chat.id, child):
        answered = await api.get(f"/api/v1/chats/{chat_id}/cost")
        assert (answered.status_code, answered.json()) == (200, wanted)
        ChatCost.model_validate(answered.json())


async def test_the_cost_of_what_one_may_not_see_is_not_there(api: Api) -> None:
    chat = await at_rest(api)
    theirs = bearer(api.other_token)
    answered = await api.get(path(chat, "cost"), headers=theirs)
    assert (answered.status_code, slug(answered)) == (404, "chat-not-found")
    unknown = await api.get(f"/api/v1/chats/{uuid4()}/cost")
    assert answered.json()["detail"] == unknown.json()["detail"]
    refused = await api.get(path(chat, "cost"), params={"limit": "1"})
    assert (refused.status_code, slug(refused)) == (400, "invalid-request")


async def test_a_cost_waits_for_what_one_has_seen(api: Api) -> None:
    chat = await at_rest(api)
    await happened(api, chat.id, title(7))
    seen = f"{chat.id}:{(await chat.state()).version}"
    headers = {"parley-min-version": seen}
    stale = await api.get(path(chat, "cost"), headers=headers)
    assert (stale.json()["request_count"], stale.headers["parley-stale"]) == (
        0,
        "usage_ledger",
    )
    refused = await api.get(path(chat, "cost"), headers=headers | {"prefer": "wait"})
    assert (refused.status_code, slug(refused)) == (503, "read-model-behind")
    async with Projecting(api):
        fresh = await api.get(path(chat, "cost"), headers=headers)
        assert fresh.json()["total_cost_micros"] == 7
        assert fresh.headers["parley-version"] == seen
        assert "parley-stale" not in fresh.headers
        told = await api.get(SUMMARY, headers=headers)
        assert told.json()["total_cost_micros"] == 7


async def a_config(api: Api, name: str) -> UUID:
    async with api.stack.pool.connection() as connection:
        provider = await insert_provider(connection, kind="openai", display_name=name)
        return await insert_model_config(
            connection, provider_id=provider, model="m1", display_name=name,
            context_limit=1000,
        )  # fmt: skip


async def test_a_summary_adds_up_in_all_by_model_and_by_chat(api: Api) -> None:
    config = await a_config(api, "Dear one")
    dear = b.ASKED.model_copy(update={"model_config_id": config})
    first, second = uuid4(), uuid4()
    begun = (b.created(owner_id=api.user_id, title="Tea"), b.user())
    await happened(api, first, *begun, title(500, asked=dear), title(None))
    await happened(api, second, *begun, title(3))
    await a_child(api, first, title(40, asked=dear))
    await happened(api, uuid4(), b.created(owner_id=OTHER_USER), b.user(), title(9999))
    await api.project()
    told = await spent(api)
    assert {name: told[f"total_{name}"] for name in TOTALS} == {
        "cost_micros": 543,
        "input_tokens": 40,
        "output_tokens": 8,
        "runtime_ms": 20,
    }
    assert told["total_cache_read_tokens"] == 16
    assert told["total_cache_creation_tokens"] == 0
    counts = told["priced_message_count"], told["unpriced_message_count"]
    assert counts == (3, 1)
    assert [
        (m["display_name"], m["model_config_id"], m["provider"], m["model"],
         m["total_cost_micros"], m["message_count"])
        for m in told["by_model"]
    ] == [
        ("Dear one", str(config), "vendor", "m1", 540, 2),
        ("m1", str(b.ASKED.model_config_id), "vendor", "m1", 3, 2),
    ]  # fmt: skip
    assert [
        (c["root_chat_id"], c["chat_title"], c["total_cost_micros"], c["message_count"])
        for c in told["by_chat"]
    ] == [(str(first), "Tea", 540, 3), (str(second), "Tea", 3, 1)]


async def test_edits_and_purges_give_no_money_back(api: Api) -> None:
    chat = await at_rest(api)
    await happened(api, chat.id, title(7))
    await chat.edit("rather")
    await api.project()
    before = await spent(api)
    assert before["total_cost_micros"] == 7
    await purge(api.stack.database, chat.id)
    await api.project()
    after = await spent(api)
    (family,) = after["by_chat"]
    assert (family["root_chat_id"], family["chat_title"]) == (str(chat.id), None)
    moment = {"end_date": "", "start_date": ""}
    family["chat_title"] = before["by_chat"][0]["chat_title"]
    assert after | moment == before | moment
    gone = await api.get(path(chat, "cost"))
    assert (gone.status_code, slug(gone)) == (404, "chat-not-found")


async def moments(api: Api, chat: ChatByHand) -> list[datetime]:
    async with api.stack.pool.connection() as connection:
        found = await connection.execute(
            "SELECT at FROM read.usage_ledger WHERE chat_id = %s ORDER BY at", [chat.id]
        )
        return [at for (at,) in await found.fetchall()]


async def test_a_span_has_its_start_and_not_its_end(api: Api) -> None:
    chat = await at_rest(api)
    for cost in (1, 10, 100):
        await happened(api, chat.id, title(cost))
    await api.project()
    _, first, second, third = await moments(api, chat)
    cases = (
        ({"start_date": rfc3339(first), "end_date": rfc3339(third)}, 11),
        ({"start_date": rfc3339(second)}, 110),
        ({"end_date": rfc3339(second)}, 1),
        ({"end_date": rfc3339(first - timedelta(days=1))}, 0),
        ({"start_date": rfc3339(first), "end_date": "9998-01-01T00:00:00-11:59"}, 111),
    )
    for span, cost in cases:
        told = await spent(api, **span)
        assert told["total_cost_micros"] == cost, span
    ended = await spent(api, end_date="2026-03-31T12:00:00+02:00")
    assert (ended["start_date"], ended["end_date"]) == (
        "2026-03-01T10:00:00.000000Z",
        "2026-03-31T10:00:00.000000Z",
    )
    assert (ended["by_model"], ended["by_chat"]) == ([], [])


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "1"},
        {"start_date": "yesterday"},
        {"start_date": "2026-03-01"},
        {"start_date": "2026-03-01T00:00:00"},
        {"start_date": "2026-02-30T00:00:00Z"},
        {"start_date": "0001-01-01T00:00:00Z"},
        {"end_date": "9999-12-31T23:59:59-11:00"},
        {"start_date": "2026-03-01T00:00:00Z", "end_date": "2026-03-01T00:00:00Z"},
        {"start_date": ""},
        {"start_date": "٢٠٢٦-03-01T00:00:00Z"},
    ],
    ids=[
        *("unknown", "word", "date", "no-zone", "no-day", "too-early", "too-late"),
        *("empty-span", "empty", "other-digits"),
    ],
)
async def test_a_span_that_makes_no_sense_is_refused(
    api: Api, query: dict[str, str]
) -> None:
    answered = await api.get(SUMMARY, params=query)
    assert (answered.status_code, slug(answered)) == (400, "invalid-request")


async def test_one_sees_what_oneself_spent_and_nobody_else(api: Api) -> None:
    await happened(api, (await at_rest(api)).id, title(7))
    await api.project()
    mine = await api.get(f"/api/v1/cost/{api.user_id}/summary")
    assert mine.json()["total_cost_micros"] == 7
    for user in (OTHER_USER, uuid4()):
        answered = await api.get(f"/api/v1/cost/{user}/summary")
        assert (answered.status_code, slug(answered)) == (404, "not-found")
    answered = await api.get("/api/v1/cost/you/summary")
    assert (answered.status_code, slug(answered)) == (400, "invalid-id")
    theirs = await api.get(SUMMARY, headers=bearer(api.other_token))
    assert theirs.json()["total_cost_micros"] == 0
    nobody = await api.get(SUMMARY, headers=bearer("x"))
    assert nobody.status_code == 401


async def test_messages_say_what_they_took_and_who_was_asked(api: Api) -> None:
    config = uuid4()
    chat = uuid4()
    answer = b.assistant(epoch=2, attempt=1, usage=b.usage(7), model_config_id=config)
    wish = b.user(settings={"model_config_id": config})
    created = b.created(owner_id=api.user_id)
    await happened(api, chat, created, wish, b.acquired(), b.attempt(2))
    await happened(api, chat, answer, b.committed(2))
    await api.project()
    page = (await api.get(f"/api/v1/chats/{chat}/messages")).json()
    MessagePage.model_validate(page)
    said, asked = page["messages"]
    assert said["usage"] == {"input_tokens": 7}
    assert (said["model_config_id"], asked["model_config_id"]) == (str(config),) * 2
    assert "usage" not in asked
    then = await api.get(f"/api/v1/chats/{chat}/messages", params={"at_version": 6})
    assert then.json()["messages"] == page["messages"]
    shown = (await api.get(f"/api/v1/chats/{chat}")).json()
    listed = (await api.get("/api/v1/chats")).json()["chats"][0]
    assert shown["model_config_id"] == listed["model_config_id"] == str(config)
