"""Titles that a model gives, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx2
import pytest

from service.api.shapes import ChatShape
from service.domain.cost import Prices
from service.domain.events.chat import (
    ChatEvent,
    ModelRef,
    Purpose,
    Usage,
    UsageRecorded,
)
from service.providers.models import Model
from service.providers.provider import (
    Delta,
    ModelRequest,
    ProviderError,
    TextDelta,
    UsageReport,
)
from tests.builders import chat_archived, title_changed
from tests.fixtures.byhand import ChatByHand
from tests.integration.agent.crew import history
from tests.integration.api.conftest import PATIENCE_S, Api, bearer
from tests.integration.api.driving import append, at_rest, begun, path, slug

USAGE = Usage(input_tokens=100, output_tokens=3)
REF = ModelRef(provider="told", model="m", model_config_id=UUID(int=1))


class Titles:
    """`Models` with one that says what a test wants, and a provider of it."""

    name = "told"

    def __init__(self, *said: str | Exception) -> None:
        self.said = list(said) or ["Sorted lists"]
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.requests: list[ModelRequest] = []
        self.guard: Any = None

    async def resolve(
        self, *, owner_id: UUID, model_config_id: UUID | None, purpose: Purpose = "turn"
    ) -> Model:
        assert purpose == "title"
        return Model(self, REF, prices=Prices(input=Decimal(2), output=Decimal(10)))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        self.guard.check("a model call")
        self.asked.set()
        await self.gate.wait()
        said = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        yield UsageReport(USAGE)
        if isinstance(said, Exception):
            raise said
        yield TextDelta(said)


@pytest.fixture
def titles(api: Api) -> Titles:
    """The models that the API asks."""
    told = Titles()
    told.guard = api.stack.guard
    api.models.now = told
    return told


async def regenerate(
    api: Api, chat: ChatByHand, *, key: str | None = None
) -> httpx2.Response:
    return await api.post(path(chat, "title", "regenerate"), {}, key=key)


async def propose(api: Api, chat: ChatByHand) -> httpx2.Response:
    return await api.post(path(chat, "title", "propose"), {})


async def taken(api: Api, chat: ChatByHand) -> list[UsageRecorded]:
    events: list[ChatEvent] = await history(api.stack, chat.id)
    return [event for event in events if isinstance(event, UsageRecorded)]


async def test_the_chat_gets_the_title_and_its_price_is_recorded(
    api: Api, titles: Titles
) -> None:
    chat = await at_rest(api, "sort this")
    answered = await regenerate(api, chat)
    assert answered.status_code == 200, answered.text
    shown = ChatShape.model_validate(answered.json())
    assert shown.title == "Sorted lists"
    state = await chat.state()
    assert (state.title, state.title_source) == ("Sorted lists", "model")
    assert answered.headers["parley-version"] == f"{chat.id}:{state.version}"
    (recorded,) = await taken(api, chat)
    assert (recorded.purpose, recorded.asked) == ("title", REF)
    assert (recorded.usage, recorded.cost_micros) == (USAGE, 230)
    assert recorded.runtime_ms is not None
    assert recorded.actor == f"user:{api.user_id}"
    said = [part.text for part in titles.requests[0].messages[0].parts]  # type: ignore[union-attr]
    assert said[0] == "sort this"
    assert "Assistant: hi" in said[1]


async def test_a_proposal_is_recorded_but_not_kept(api: Api, titles: Titles) -> None:
    chat = await at_rest(api)
    before = (await chat.state()).title
    answered = await propose(api, chat)
    assert (answered.status_code, answered.json()) == (200, {"title": "Sorted lists"})
    state = await chat.state()
    assert state.title == before
    assert answered.headers["parley-version"] == f"{chat.id}:{state.version}"
    assert len(await taken(api, chat)) == 1


async def test_a_turn_that_runs_is_not_disturbed(api: Api, titles: Titles) -> None:
    chat = await begun(api)
    await chat.attempt()
    assert (await regenerate(api, chat)).status_code == 200
    await chat.commit("hi")
    assert (await chat.state()).title == "Sorted lists"


async def test_an_archived_chat_gets_one_too(api: Api, titles: Titles) -> None:
    chat = await at_rest(api)
    await append(api, chat, chat_archived())
    assert (await regenerate(api, chat)).json()["title"] == "Sorted lists"


async def test_who_renamed_the_chat_meanwhile_wins(api: Api, titles: Titles) -> None:
    chat = await at_rest(api)
    titles.gate.clear()
    asking = asyncio.create_task(regenerate(api, chat))
    async with asyncio.timeout(PATIENCE_S):
        await titles.asked.wait()
    await append(api, chat, title_changed("mine"))
    titles.gate.set()
    answered = await asking
    assert (answered.status_code, slug(answered)) == (409, "title-changed")
    assert (await chat.state()).title == "mine"
    assert len(await taken(api, chat)) == 1, "what it took is paid for all the same"


async def test_the_same_title_again_is_no_conflict(api: Api, titles: Titles) -> None:
    chat = await at_rest(api)
    assert (await regenerate(api, chat)).status_code == 200
    assert (await regenerate(api, chat)).status_code == 200
    assert len(await taken(api, chat)) == 2


async def test_a_repeated_key_asks_no_model(api: Api, titles: Titles) -> None:
    titles.said = ["First one", "Second one"]
    chat = await at_rest(api)
    first = await regenerate(api, chat, key="k1")
    again = await regenerate(api, chat, key="k1")
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert len(titles.requests) == 1
    assert len(await taken(api, chat)) == 1
    other = await api.post(path(chat, "interrupt"), {}, key="k1")
    assert slug(other) == "idempotency-key-reused"


async def test_a_key_of_something_else_is_refused(api: Api, titles: Titles) -> None:
    chat = await begun(api)
    await api.post(path(chat, "interrupt"), {}, key="k1")
    answered = await regenerate(api, chat, key="k1")
    assert (answered.status_code, slug(answered)) == (422, "idempotency-key-reused")
    assert titles.requests == []


@pytest.mark.parametrize(
    ("said", "detail"),
    [
        (ProviderError("overloaded", "the model is busy"), "the model is busy"),
        ("x " * 9, "the model said nothing that makes a title"),
    ],
    ids=["fails", "rambles"],
)
async def test_a_model_that_gives_none_is_a_problem_and_may_be_asked_again(
    api: Api, titles: Titles, said: str | Exception, detail: str
) -> None:
    titles.said = [said, "Sorted lists"]
    chat = await at_rest(api)
    answered = await regenerate(api, chat, key="k1")
    assert (answered.status_code, slug(answered)) == (503, "no-title")
    assert answered.json()["detail"] == detail
    assert len(await taken(api, chat)) == 1, "what it took was counted"
    assert (await regenerate(api, chat, key="k1")).status_code == 200


async def test_without_a_model_there_is_no_title(api: Api) -> None:
    chat = await at_rest(api)
    for answered in (await regenerate(api, chat), await propose(api, chat)):
        assert (answered.status_code, slug(answered)) == (409, "no-model")
    assert await taken(api, chat) == []


async def test_only_the_owner_may(api: Api, titles: Titles) -> None:
    chat = await at_rest(api)
    for what in ("regenerate", "propose"):
        answered = await api.post(
            path(chat, "title", what), {}, headers=bearer(api.other_token)
        )
        assert (answered.status_code, slug(answered)) == (404, "chat-not-found")
    assert titles.requests == []


async def test_a_new_chat_is_told_what_the_operator_says(api: Api) -> None:
    api.prompt.now = (False, " be\u200b brief\r\n")
    chat = await begun(api)
    state = await chat.state()
    assert (state.default_prompt, state.deployment_prompt) == (0, "be brief")


@pytest.mark.parametrize(
    "said", [(True, ""), (True, "\u200b"), OSError("away")], ids=["n", "unseen", "away"]
)
async def test_a_new_chat_is_told_our_prompt_whatever_happens(
    api: Api, said: Any
) -> None:
    api.prompt.now = said
    state = await (await begun(api)).state()
    assert (state.default_prompt, state.deployment_prompt) == (1, "")
