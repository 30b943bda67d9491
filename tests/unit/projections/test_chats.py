"""The list of chats."""

from __future__ import annotations

from datetime import timedelta

from projections.chats import CHATS
from service.domain.chat.state import Status
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
        }
    ]


def test_known_chat_is_told_only_what_changed() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_chat())
    (new, changed) = rows(CHATS, log.append(b.CHAT, b.acquired(), b.attempt(2)))
    assert new == []
    assert changed == [{"id": b.CHAT, "version": 4, "updated_at": b.NOW}]


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
    assert failed[0]["status"] == "error"
    assert failed[0]["last_error"] == {
        "message": "the model is away",
        "kind": "timeout",
        "retryable": True,
    }
    (_, again) = rows(CHATS, log.append(b.CHAT, b.user("again")))
    assert (again[0]["status"], again[0]["last_error"]) == ("running", None)


def test_clock_that_went_back_does_not_move_the_chat_back() -> None:
    late = b.acquired().model_copy(update={"at": b.NOW + timedelta(seconds=3)})
    (new, _) = rows(CHATS, entries(b.CHAT, *b.a_chat(), late, b.attempt(2)))
    assert new[0]["updated_at"] == late.at
