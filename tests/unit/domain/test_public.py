"""What clients see, and what they do not."""

from __future__ import annotations

from datetime import timedelta, timezone
from uuid import UUID

import pytest

from service.domain.chat.evolve import message_of
from service.domain.chat.public import (
    public_action,
    public_chat,
    public_message,
    public_queued,
    public_retry,
    visible,
)
from service.domain.parts import TextPart, public_part
from service.domain.times import rfc3339
from tests.builders import (
    CHAT,
    CHILD,
    NOW,
    ORGANIZATION,
    OWNER,
    a_chat,
    a_request,
    a_turn,
    an_idle_chat,
    assistant,
    browse,
    call,
    created,
    forked,
    model_changed,
    pinned,
    plan_mode_changed,
    queued,
    read_cursor_moved,
    result,
    retry_scheduled,
    servers_changed,
    state_of,
    turn_failed,
    user,
    workspace_bound,
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
        "plan_mode": "",
        "pinned": False,
        "last_read_message_id": 0,
        "mcp_server_ids": [],
        "version": 2,
    }


def test_a_chat_tells_how_it_is_set_up_and_where_it_stands() -> None:
    state = state_of(
        *an_idle_chat(),
        plan_mode_changed("plan"),
        pinned("m"),
        read_cursor_moved(5),
        servers_changed(OWNER),
        workspace_bound(CHILD),
        model_changed(ORGANIZATION),
    )
    chat = public_chat(CHAT, state)
    assert (chat["plan_mode"], chat["pinned"]) == ("plan", True)
    assert chat["last_read_message_id"] == 5
    assert chat["mcp_server_ids"] == [str(OWNER)]
    assert chat["workspace_id"] == str(CHILD)
    assert chat["model_config_id"] == str(ORGANIZATION)
    assert "sort_key" not in chat


def test_a_fork_tells_where_it_comes_from() -> None:
    chat = public_chat(CHILD, state_of(*an_idle_chat(), forked(7)))
    assert chat["forked_from"] == {"chat_id": str(CHAT), "version": 7}


def test_a_spawned_chat_tells_its_family() -> None:
    child = created(parent_chat_id=CHAT, root_chat_id=CHAT)
    chat = public_chat(CHILD, state_of(child, user()))
    assert (chat["parent_chat_id"], chat["root_chat_id"]) == (str(CHAT), str(CHAT))


def test_a_request_to_a_client_tells_the_calls_and_until_when() -> None:
    action = state_of(*a_request(browse(args={"url": None}))).action
    assert action is not None
    assert public_action(action) == {
        "tool_calls": [
            {"tool_call_id": "c1", "tool_name": "browser", "args": {"url": None}}
        ],
        "deadline": "2026-03-01T12:05:00.000000Z",
    }


def test_a_retry_tells_what_failed_and_when_it_is_made_again() -> None:
    retry = state_of(*a_turn(), retry_scheduled(2)).retry
    assert retry is not None
    assert public_retry(retry) == {
        "attempt": 1,
        "delay_ms": 1000,
        "retrying_at": "2026-03-01T12:00:01.000000Z",
        "error": {
            "message": "the model is away",
            "kind": "timeout",
            "retryable": True,
        },
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
