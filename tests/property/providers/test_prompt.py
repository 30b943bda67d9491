"""Whatever a history looks like, its prompt is one that every vendor accepts."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.domain.chat.state import Message
from service.domain.parts import (
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.prompt import AssistantTurn, Call, UserTurn, prompt_of
from tests.builders import NOW

IDS = st.sampled_from(["c1", "c2", "c.2", "c_2", "", "x" * 60])
TEXTS = st.sampled_from(["", " ", "hello", "so"])
METADATA = st.sampled_from([None, {"provider": "me", "signature": "s"}])

PARTS: st.SearchStrategy[Any] = st.one_of(
    st.builds(TextPart, text=TEXTS),
    st.builds(ReasoningPart, text=TEXTS, provider_metadata=METADATA),
    st.builds(
        ToolCallPart,
        tool_call_id=IDS,
        tool_name=st.sampled_from(["clock", "a.b", ""]),
        args=st.sampled_from([None, {}, {"a": 1}, "text"]),
        provider_executed=st.booleans(),
        provider_metadata=METADATA,
    ),
    st.builds(
        ToolResultPart,
        tool_call_id=IDS,
        tool_name=st.sampled_from(["clock", ""]),
        result=st.sampled_from([None, "noon", {"error": "no"}]),
        is_error=st.booleans(),
        provider_executed=st.booleans(),
    ),
)

MESSAGES = st.lists(
    st.builds(
        Message,
        id=st.just(1),
        role=st.sampled_from(["system", "user", "assistant", "tool"]),
        visibility=st.sampled_from(["both", "model", "user"]),
        parts=st.lists(PARTS, max_size=3).map(tuple),
        created_at=st.just(NOW),
    ),
    max_size=8,
)


@given(messages=MESSAGES)
def test_prompts_are_well_formed(messages: list[Message]) -> None:
    turns = prompt_of(messages, identity="me").turns
    assert turns
    seen: set[str] = set()
    expected: list[str] = []
    for number, turn in enumerate(turns):
        if number % 2 == 0:
            assert isinstance(turn, UserTurn)
            assert turn.results or turn.texts
            assert [result.id for result in turn.results] == expected
            assert all(text.strip() for text in turn.texts)
            assert all(result.text.strip() for result in turn.results)
            continue
        assert isinstance(turn, AssistantTurn)
        assert turn.parts
        assert not isinstance(turn.parts[-1], ReasoningPart)
        calls = [part for part in turn.parts if isinstance(part, Call)]
        expected = [call.id for call in calls]
        for call in calls:
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", call.id)
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", call.name)
            assert call.id not in seen
            seen.add(call.id)
    if isinstance(turns[-1], AssistantTurn):
        assert not expected, "a call at the end waits for its result"


@given(messages=MESSAGES)
def test_a_longer_history_begins_with_the_same_prompt(messages: list[Message]) -> None:
    """Turns that are followed by an answer never change: vendors cache prefixes."""
    answer = Message(
        id=1, role="assistant", visibility="both",
        parts=(TextPart(text="an answer"),), created_at=NOW,
    )  # fmt: skip
    question = Message(
        id=1, role="user", visibility="both",
        parts=(TextPart(text="a question"),), created_at=NOW,
    )  # fmt: skip
    before = prompt_of([question, *messages, question], identity="me").turns
    after = prompt_of([question, *messages, question, answer], identity="me").turns
    assert list(after[: len(before)]) == list(before)
