"""Whatever a history looks like, its prompt is one that every vendor accepts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.chat.state import Message
from service.domain.parts import TextPart
from service.providers.files import ANTHROPIC, CHAT, RESPONSES, Accepts, Attachment
from service.providers.hosted import HostedCall, HostedResult
from service.providers.prompt import prompt_of
from service.providers.turns import (
    AssistantTurn,
    Call,
    Prompt,
    Reasoning,
    Text,
    UserTurn,
)
from tests.property.providers.histories import FILES, IDENTITIES, MESSAGES, message

VENDORS = st.sampled_from([ANTHROPIC, CHAT, RESPONSES])


def prompted(
    messages: Sequence[Message], identity: str = "me", accepts: Accepts = ANTHROPIC
) -> Prompt:
    return prompt_of(messages, identity=identity, files=FILES, accepts=accepts)


def sendable(text: str) -> bool:
    return "\0" not in text and bool(text.encode() or True)


@given(messages=MESSAGES, accepts=VENDORS)
def test_prompts_are_well_formed(messages: list[Message], accepts: Accepts) -> None:
    prompt = prompted(messages, accepts=accepts)
    assert all(text.strip() and sendable(text) for text in prompt.system)
    assert len(prompt.turns) % 2 == 1, "the user has the first word and the last"
    seen: set[str] = set()
    expected: list[str] = []
    for number, turn in enumerate(prompt.turns):
        if number % 2 == 0:
            assert isinstance(turn, UserTurn)
            check_user(turn, expected)
        else:
            assert isinstance(turn, AssistantTurn)
            expected = check_assistant(turn, seen)


def check_user(turn: UserTurn, expected: list[str]) -> None:
    assert turn.results or turn.said
    assert [result.id for result in turn.results] == expected
    for result in turn.results:
        assert result.text.strip()
        assert sendable(result.text)
    for items in turn.said:
        assert items
        for item in items:
            if isinstance(item, Attachment):
                assert item.data
                assert sendable(item.name)
            else:
                assert item.strip()
                assert sendable(item)


def check_assistant(turn: AssistantTurn, seen: set[str]) -> list[str]:
    assert turn.parts
    assert not isinstance(turn.parts[-1], Reasoning)
    waiting: list[str] = []
    for part in turn.parts:
        match part:
            case Text():
                assert part.text.strip()
                assert sendable(part.text)
            case Reasoning():
                assert sendable(part.text)
            case HostedCall():
                assert part.id not in waiting
                waiting.append(part.id)
            case HostedResult():
                waiting.remove(part.id)
            case Call():
                assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", part.id)
                assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", part.name)
                assert part.id not in seen
                seen.add(part.id)
    assert not waiting, "a search without its result"
    return [part.id for part in turn.parts if isinstance(part, Call)]


@given(messages=MESSAGES)
def test_a_longer_history_begins_with_the_same_prompt(messages: list[Message]) -> None:
    """Turns that are followed by an answer never change: vendors cache prefixes."""
    answer = message("assistant", TextPart(text="an answer"))
    question = message("user", TextPart(text="a question"))
    before = prompted([question, *messages, question]).turns
    after = prompted([question, *messages, question, answer]).turns
    assert list(after[: len(before)]) == list(before)


@given(messages=MESSAGES)
def test_the_same_history_is_the_same_prompt(messages: list[Message]) -> None:
    assert prompted(messages) == prompted(list(messages))


@pytest.mark.parametrize("identity", [*IDENTITIES, "somebody else"])
@given(messages=MESSAGES)
def test_nobody_is_told_what_another_wrote_for_itself(
    messages: list[Message], identity: str
) -> None:
    marks = [
        metadata["provider"]
        for turn in prompted(messages, identity).turns
        if isinstance(turn, AssistantTurn)
        for part in turn.parts
        if (metadata := part.metadata) is not None
    ]
    assert set(marks) <= {identity}
    hosted = [
        part
        for turn in prompted(messages, "somebody else").turns
        if isinstance(turn, AssistantTurn)
        for part in turn.parts
        if isinstance(part, HostedCall | HostedResult | Reasoning)
    ]
    assert hosted == []


@given(messages=MESSAGES)
def test_reasoning_is_told_as_it_was_or_not_at_all(messages: list[Message]) -> None:
    written: list[Any] = [
        (part.text, part.provider_metadata)
        for said in messages
        for part in said.parts
        if part.type == "reasoning"
    ]
    for turn in prompted(messages).turns:
        for part in turn.parts if isinstance(turn, AssistantTurn) else ():
            if isinstance(part, Reasoning):
                assert (part.text, part.metadata) in written
