"""Titles: what a model is given, what is taken from it, and what it may cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from service.domain.chat.state import Message
from service.domain.events.chat import ModelRef, Usage
from service.domain.parts import FileReferencePart
from service.providers import title as titles
from service.providers.models import Model
from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    Opened,
    ProviderError,
    ReasoningDelta,
    TextDelta,
    UsageReport,
)
from service.providers.title import (
    LONGEST,
    TITLE_INSTRUCTION,
    normalise_title,
    propose_title,
    title_request,
)
from tests.builders import assistant, created, state_of, user

USAGE = Usage(input_tokens=9, output_tokens=3)


class Told:
    """A provider that answers each request by a function."""

    name = "told"

    def __init__(self, answer: Callable[[ModelRequest], Sequence[Delta]]) -> None:
        self._answer = answer
        self.asked: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.asked.append(request)
        for delta in self._answer(request):
            yield delta


def model_of(provider: Told, **fields: object) -> Model:
    return Model(provider, ModelRef(provider="told", model="m"), **fields)  # type: ignore[arg-type]


def saying(*texts: str) -> Told:
    deltas = [
        Opened(),
        ReasoningDelta("hm"),
        *map(TextDelta, texts),
        UsageReport(USAGE),
        Finish("stop"),
    ]
    return Told(lambda _: deltas)


def a_chat(*events: object) -> list[Message]:
    return list(state_of(created(), *events).messages)


def material(messages: list[Message]) -> list[str]:
    (asked,) = title_request(messages, model=model_of(saying())).messages
    return [part.text for part in asked.parts if part.type == "text"]


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Sorting a list", "Sorting a list"),
        (' "Sorting\n a\tlist" ', "Sorting a list"),
        ("`'Sorting'`", "Sorting"),
        ("\u201cSorting\u201d", "Sorting"),
        ("\u201eSortieren\u201c", "Sortieren"),
        ('"Foo" and "bar"', 'Foo" and "bar'),
        ("Users' list", "Users' list"),
        ("Sort\u200bing\x00", "Sorting"),
        ("a" * 100, "a" * 80),
        ("1 2 3 4 5 6 7 8", "1 2 3 4 5 6 7 8"),
        ("1 2 3 4 5 6 7 8 9", None),
        ("", None),
        ('""', None),
        ("...", None),
        ("\u200b", None),
    ],
    ids=[
        "plain", "blanks", "nested quotes", "curly", "low", "two quotes", "apostrophe",
        "unseen", "long", "eight words", "nine words", "empty", "empty quotes", "dots",
        "nothing seen",
    ],
)  # fmt: skip
def test_a_title_is_put_in_order_or_refused(said: str, title: str | None) -> None:
    assert normalise_title(said) == title


async def test_a_title_is_asked_for_in_a_request_of_its_own() -> None:
    provider = saying("Sorting ", "a list")
    config = ModelRef(provider="told", model="big", model_config_id=UUID(int=1))
    model = replace(
        model_of(provider),
        ref=config,
        temperature=0.9,
        default_effort="high",
        options={"api": "chat", "thinking_budget_tokens": 4096, "web_search": True},
    )
    named = await propose_title(model, a_chat(user("sort this")))
    (asked,) = provider.asked
    assert (named.title, named.usage, named.error) == ("Sorting a list", USAGE, None)
    assert asked.system == (TITLE_INSTRUCTION,)
    assert (asked.tools, asked.model) == ((), "big")
    assert (asked.max_output_tokens, asked.temperature) == (256, 0.0)
    assert (asked.reasoning_effort, asked.options) == ("low", {"api": "chat"})


async def test_who_thinks_as_it_likes_is_not_told_how_much() -> None:
    provider = saying("x")
    await propose_title(model_of(provider), a_chat(user()))
    assert provider.asked[0].reasoning_effort is None


def refusing(message: str, status: int = 400) -> Told:
    def answer(request: ModelRequest) -> Sequence[Delta]:
        if request.temperature is not None:
            raise ProviderError(
                kind="generic", message="refused", detail=message, status_code=status
            )
        return [TextDelta("Sorting")]

    return Told(answer)


async def test_without_a_temperature_where_the_model_has_none() -> None:
    provider = refusing("Unsupported value: 'Temperature'")
    named = await propose_title(model_of(provider), a_chat(user()))
    assert named.title == "Sorting"
    assert [asked.temperature for asked in provider.asked] == [0.0, None]


@pytest.mark.parametrize(
    "provider",
    [refusing("max_tokens"), refusing("temperature", 500)],
    ids=["another field", "another status"],
)
async def test_any_other_refusal_is_the_answer(provider: Told) -> None:
    named = await propose_title(model_of(provider), a_chat(user()))
    assert named.title is None
    assert named.error is not None
    assert len(provider.asked) == 1


async def test_a_bug_of_a_provider_is_no_ones_but_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(_: ModelRequest) -> Sequence[Delta]:
        raise KeyError("choices")

    named = await propose_title(model_of(Told(answer)), a_chat(user()))
    assert named.error is not None
    assert named.error.kind == "generic"
    assert "a provider failed" in caplog.text


async def test_who_takes_too_long_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(Told):
        async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
            yield UsageReport(USAGE)
            await asyncio.Event().wait()

    monkeypatch.setattr(titles, "PATIENCE_S", 0.0)
    named = await propose_title(model_of(Slow(lambda _: [])), a_chat(user()))
    assert named.title is None
    assert named.error is not None
    assert named.error.kind == "timeout"


async def test_a_refused_title_has_its_price_too() -> None:
    named = await propose_title(model_of(saying("x " * 9)), a_chat(user()))
    assert (named.title, named.error, named.usage) == (None, None, USAGE)


async def test_nothing_is_asked_about_nothing() -> None:
    provider = saying("x")
    named = await propose_title(model_of(provider), a_chat(user(" ")))
    assert named.title is None
    assert provider.asked == []


def test_before_any_answer_the_users_words_are_the_material() -> None:
    lines = FileReferencePart(file_name="a.py", start_line=1, end_line=2, content="x=1")
    given = a_chat(user("why?", lines), user("and this?"))
    assert material(given) == ["why?\n\na.py:\nx=1\n\nand this?"]


def test_the_users_words_are_cut() -> None:
    (said,) = material(a_chat(user("x" * 20_000)))
    assert len(said) == 16_384


def test_a_chat_that_went_on_is_excerpted() -> None:
    turns = [
        event
        for number in range(8)
        for event in (user(f"ask {number}"), assistant(f"say {number}"))
    ]
    wish, excerpt, last = material(a_chat(*turns))
    assert wish == "ask 0"
    assert "User: ask 0\n\nAssistant: say 0" in excerpt
    assert "(4 turns are left out here.)" in excerpt
    assert "say 4" not in excerpt
    assert "say 5" in excerpt
    assert last == "What was said last:\n\nsay 7"


def test_of_long_messages_each_turn_has_its_share() -> None:
    turns = [
        event
        for number in range(8)
        for event in (user(f"ask {number}" + "x" * 9000), assistant("y" * 9000))
    ]
    wish, excerpt, last = material(a_chat(*turns))
    assert len(wish) == 1000
    assert len(excerpt) < 6100
    assert len(last) < 1100
    assert "ask 7" in excerpt


def test_of_a_long_chat_only_the_ends_are_looked_at() -> None:
    turns = [event for n in range(200) for event in (user(f"ask {n}."), assistant())]
    _, excerpt, _ = material(a_chat(*turns))
    assert "ask 0." in excerpt
    assert "ask 199." in excerpt
    assert "(196 turns are left out here.)" in excerpt


def test_what_only_the_model_is_told_is_no_material() -> None:
    own = user("be brief", role="system", visibility="model")
    summary = user("so far", visibility="model")
    assert material(a_chat(own, user("why?"), summary)) == ["why?"]


def test_an_answer_of_megabytes_is_looked_at_only_at_its_beginning() -> None:
    assert normalise_title("noon" + " " * LONGEST + "and much more " * 10**6) == "noon"
