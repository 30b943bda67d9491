"""What clients see, and what they do not."""

from __future__ import annotations

from datetime import timedelta, timezone
from uuid import UUID

import pytest

from service.domain.chat.evolve import message_of
from service.domain.chat.public import (
    public_chat,
    public_message,
    public_queued,
    visible,
)
from service.domain.parts import TextPart, public_part
from service.domain.times import rfc3339
from tests.builders import (
    CHAT,
    NOW,
    ORGANIZATION,
    OWNER,
    a_chat,
    a_turn,
    assistant,
    call,
    created,
    queued,
    result,
    state_of,
    turn_failed,
    user,
)

NOON = "2026-03-01T12:00:00.000000Z"


def test_a_chat() -> None:
    assert public_chat(CHAT, state_of(*a_chat())) == {
        "id": str(CHAT),
        "organization_id": str(ORGANIZATION),
        "owner_id": str(OWNER),
        "title": "hello",
        "status": "running",
        "last_error": None,
        "created_at": NOON,
        "updated_at": NOON,
        "archived": False,
        "labels": {},
        "client_type": "api",
        "version": 2,
    }


def test_a_chat_that_failed_says_why() -> None:
    chat = public_chat(CHAT, state_of(*a_turn(), turn_failed()))
    assert chat["status"] == "error"
    assert chat["last_error"] == {
        "message": "the model is away",
        "kind": "timeout",
        "retryable": True,
    }


def test_a_chat_of_a_family_names_it() -> None:
    parent, root = UUID(int=1), UUID(int=2)
    chat = public_chat(
        CHAT, state_of(created(parent_chat_id=parent, root_chat_id=root))
    )
    assert chat["parent_chat_id"] == str(parent)
    assert chat["root_chat_id"] == str(root)


def test_a_message() -> None:
    said = user("hello", queued_id=3)
    assert public_message(CHAT, message_of(said, 7)) == {
        "id": 7,
        "chat_id": str(CHAT),
        "role": "user",
        "content": [{"type": "text", "text": "hello"}],
        "created_at": NOON,
        "created_by": str(OWNER),
        "queued_id": 3,
    }


def test_a_message_of_the_model_has_no_author() -> None:
    shown = public_message(CHAT, message_of(assistant(), 7))
    assert set(shown) == {"id", "chat_id", "role", "content", "created_at"}


def test_a_queued_message() -> None:
    item = state_of(*a_turn(), queued("next")).queue[0]
    assert public_queued(CHAT, item) == {
        "id": 5,
        "chat_id": str(CHAT),
        "content": [{"type": "text", "text": "next"}],
        "created_at": NOON,
    }


@pytest.mark.parametrize(
    ("visibility", "seen"), [("user", True), ("both", True), ("model", False)]
)
def test_what_is_for_the_model_is_not_visible(visibility: str, seen: bool) -> None:
    assert visible(message_of(user(visibility=visibility), 1)) is seen


def test_parts_keep_empty_values_and_lose_internal_ones() -> None:
    secret = {"signature": "x"}
    assert public_part(TextPart(text="", provider_metadata=secret)) == {
        "type": "text",
        "text": "",
    }
    assert public_part(call(args={"a": None, "n": 0})) == {
        "type": "tool-call",
        "tool_call_id": "c1",
        "tool_name": "clock",
        "args": {"a": None, "n": 0},
        "provider_executed": False,
        "created_at": NOON,
    }
    assert public_part(result(result=False))["result"] is False


def test_an_instant_has_one_text() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert rfc3339(elsewhere) == rfc3339(NOW) == NOON
    assert rfc3339(NOW + timedelta(milliseconds=5)) == "2026-03-01T12:00:00.005000Z"
    assert assistant(call(created_at=elsewhere)) == assistant(call())
