"""The list of chats."""

from __future__ import annotations

from datetime import timedelta

from projections.chats import CHATS
from service.domain.chat.state import Status
from service.domain.events.chat import ChatEvent, TurnSettings
from tests import builders as b
from tests.unit.projections.log import Log, entries, rows


def test_new_chat_is_one_whole_row() -> None:
    (new, changed) = rows(CHATS, entries(b.CHAT, *b.a_chat()))
    assert changed == []
    assert new == [
        {
            "id": b.CHAT,
            "organization_id": b.ORGANIZATION,
            "owner_id": b.OWNER,
            "title": "hello",
            "status": Status.RUNNING,
            "archived": False,
            "client_type": "api",
            "labels": {},
            "parent_chat_id": None,
            "root_chat_id": None,
            "created_at": b.NOW,
            "updated_at": b.NOW,
            "version": 2,
            "last_error": None,
            "plan_mode": "",
            "workspace_id": None,
            "model_config_id": None,
            "mcp_server_ids": [],
            "pin_key": None,
            "origin": None,
        }
    ]


def test_known_chat_is_told_only_what_changed() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_chat())
    (new, changed) = rows(CHATS, log.append(b.CHAT, b.acquired(), b.attempt(2)))
    assert new == []
    assert changed == [{"id": b.CHAT, "changes": {}, "version": 4, "updated_at": b.NOW}]


def test_a_batch_makes_one_row_a_chat_whatever_happened() -> None:
    log = Log()
    other = b.OWNER
    log.append(b.CHAT, *b.a_turn())
    log.append(other, *b.a_chat())
    log.append(b.CHAT, b.turn_failed())
    log.append(b.CHAT, b.user("again"))
    (new, _) = rows(CHATS, log.entries)
    assert [(row["id"], row["status"], row["version"]) for row in new] == [
        (b.CHAT, "running", 6),
        (other, "running", 2),
    ]


def test_failure_is_kept_until_the_next_turn() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_turn())
    (_, failed) = rows(CHATS, log.append(b.CHAT, b.turn_failed()))
    assert failed[0]["changes"]["status"] == "error"
    assert failed[0]["changes"]["last_error"] == {
        "message": "the model is away",
        "kind": "timeout",
        "retryable": True,
    }
    (_, again) = rows(CHATS, log.append(b.CHAT, b.user("again")))
    assert again[0]["changes"] == {"status": "running", "last_error": None}


def test_clock_that_went_back_does_not_move_the_chat_back() -> None:
    late = b.acquired().model_copy(update={"at": b.NOW + timedelta(seconds=3)})
    (new, _) = rows(CHATS, entries(b.CHAT, *b.a_chat(), late, b.attempt(2)))
    assert new[0]["updated_at"] == late.at


def test_chat_that_is_renamed_pinned_or_read_keeps_its_place() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    about: list[ChatEvent] = [
        b.title_changed("tea"),
        b.pinned("m"),
        b.read_cursor_moved(5),
    ]
    (_, changed) = rows(CHATS, log.append(b.CHAT, *about))
    assert changed == [
        {
            "id": b.CHAT,
            "changes": {"title": "tea", "pin_key": "m"},
            "updated_at": None,
            "version": 10,
        }
    ]


def test_chat_that_is_put_away_is_no_pin_and_moves() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat(), b.pinned())
    (_, changed) = rows(CHATS, log.append(b.CHAT, b.chat_archived()))
    assert changed[0]["changes"] == {"archived": True, "pin_key": None}
    assert changed[0]["updated_at"] == b.NOW


def test_fork_is_a_chat_of_its_own() -> None:
    copied = [b.created(root_chat_id=b.OWNER), *b.an_idle_chat()[1:], b.pinned()]
    other = b.forked(8, owner_id=b.ORGANIZATION)
    (new, _) = rows(CHATS, entries(b.CHAT, *copied, other))
    assert new[0]["owner_id"] == b.ORGANIZATION
    assert new[0]["origin"]["version"] == 8
    assert (new[0]["root_chat_id"], new[0]["pin_key"]) == (None, None)
    assert new[0]["status"] == "waiting"


def test_what_is_cleared_becomes_null() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat(), b.workspace_bound(b.OWNER))
    (_, changed) = rows(CHATS, log.append(b.CHAT, b.workspace_bound(None)))
    assert changed[0]["changes"] == {"workspace_id": None}


def test_the_model_that_a_message_asks_for_is_the_chats() -> None:
    wish = TurnSettings(model_config_id=b.CHILD)
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    (_, (changed,)) = rows(CHATS, log.append(b.CHAT, b.user(settings=wish)))
    assert changed["changes"]["model_config_id"] == b.CHILD
    hidden = b.user(visibility="model", settings=wish)
    for other in (b.user(), hidden, b.usage_recorded()):
        (_, (changed,)) = rows(CHATS, log.append(b.CHAT, other))
        assert "model_config_id" not in changed["changes"]


def test_what_was_spent_moves_no_chat() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    (_, (changed,)) = rows(CHATS, log.append(b.CHAT, b.usage_recorded()))
    assert changed == {
        "id": b.CHAT, "changes": {}, "updated_at": None, "version": 8,
    }  # fmt: skip
