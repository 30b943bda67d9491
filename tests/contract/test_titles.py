"""Every provider names a chat, whatever of a request its model does not take."""

from __future__ import annotations

import pytest

from service.domain.events.chat import ModelRef
from service.domain.prompts import SUMMARY_INSTRUCTION
from service.providers.models import Model
from service.providers.provider import Finish, ModelRequest, ProviderError, TextDelta
from service.providers.scripted import Scripted
from service.providers.title import propose_title
from service.tools.clock import SPEC
from tests.builders import assistant, created, state_of, user
from tests.fixtures.lines import Line
from tests.fixtures.moves import Finish as Ends
from tests.fixtures.moves import Refuse, Say

MESSAGES = state_of(created(), user("how do I bake bread?")).messages


def model_of(opened: Line) -> Model:
    ref = ModelRef(provider=opened.provider.name, model="default")
    return Model(opened.provider, ref)


async def test_a_model_names_a_chat(opened: Line) -> None:
    named = await propose_title(model_of(opened), MESSAGES)
    assert named.title == "A good title"
    assert named.usage is not None
    assert named.error is None
    assert opened.server.refused == []
    (asked,) = opened.server.titles
    assert "tools" not in asked.body
    assert "bake bread" in asked.text


async def test_without_a_temperature_if_the_model_takes_none(opened: Line) -> None:
    opened.server.unsupported = frozenset({"temperature"})
    named = await propose_title(model_of(opened), MESSAGES)
    assert named.title == "A good title"
    assert len(opened.server.refused) <= 1


async def test_a_refusal_leaves_the_chat_without(opened: Line) -> None:
    opened.server.unsupported = frozenset({"model"})
    named = await propose_title(model_of(opened), MESSAGES)
    assert named.title is None
    assert named.error is not None
    assert len(opened.server.refused) == 1


async def test_the_script_names_and_sums_up() -> None:
    scripted = Scripted(rate=1e6)
    ref = ModelRef(provider=scripted.name, model="default")
    named = await propose_title(Model(scripted, ref), MESSAGES)
    assert named.title == "How Do I Bake"


@pytest.mark.parametrize("refused", [False, True])
async def test_a_summary_is_text_and_nothing_else(opened: Line, refused: bool) -> None:
    """The same request as a turn's, with a wish at its end and no call allowed."""
    if refused:
        opened.server.answers.append(Refuse(529, "overloaded_error", "full"))
    opened.server.answer(Say(("A note.",)), Ends())
    history = [user("time?"), assistant("Noon."), user(SUMMARY_INSTRUCTION)]
    request = ModelRequest(
        messages=list(state_of(created(), *history).messages),
        tools=[SPEC],
        tool_choice="none",
    )
    if refused:
        with pytest.raises(ProviderError, match="overloaded"):
            [delta async for delta in opened.provider.stream(request)]
    deltas = [delta async for delta in opened.provider.stream(request)]
    said = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    assert said == "A note."
    assert isinstance(deltas[-1], Finish)
    assert opened.server.requests[-1].text == SUMMARY_INSTRUCTION.strip()
