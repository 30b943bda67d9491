"""What owners hear of their chats."""

from __future__ import annotations

from typing import Any

from projections.projection import Entry
from projections.watch_feed import WATCH_FEED
from service.domain.events.chat import ChatEvent, TurnSettings
from tests import builders as b
from tests.unit.projections.log import Log, rows


def told(batch: list[Entry]) -> list[Any]:
    """Kind (None: if the status has changed), version and status of what is told."""
    (_, _, candidates, _, _, _) = rows(WATCH_FEED, batch)
    return [(row["kind"], row["version"], row["status"]) for row in candidates]


def test_each_change_is_told_by_itself_at_the_version_after_its_append() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    changes: list[ChatEvent] = [
        b.title_changed(),
        b.pinned(),
        b.labels_changed(team="a"),
    ]
    assert told(log.append(b.CHAT, *changes)) == [
        ("title_change", 10, None),
        ("chat_change", 10, None),
        ("chat_change", 10, None),
        # in a batch of before, the append may have changed the status
        (None, 10, None),
    ]


def test_chat_that_is_put_away_is_deleted_and_comes_back_as_created() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    away = log.append(b.CHAT, b.chat_archived())
    back = log.append(b.CHAT, b.chat_unarchived())
    assert [kind for kind, *_ in told([*away, *back])] == ["deleted", None, "created"]


def test_calls_for_a_client_go_with_the_status() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_request())
    (_, _, (row,), _, (taken,), _) = rows(WATCH_FEED, log.entries)
    assert (row["status"], row["kind"]) == ("requires_action", None)
    assert row["tool_calls"] == taken["tool_calls"]
    assert row["tool_calls"][0]["tool_call_id"] == "c1"


def test_fork_has_its_owner_before_it_is_told() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat(), b.forked(7, owner_id=b.CHILD))
    (_, (change,), _, _, _, _) = rows(WATCH_FEED, log.entries)
    assert change["changes"]["owner_id"] == b.CHILD
    assert change["changes"]["read_up_to"] == 7


def test_what_workers_do_within_a_turn_is_told_to_nobody() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_chat())
    work = log.append(b.CHAT, b.acquired()) + log.append(b.CHAT, b.attempt(2))
    assert told(work) == [(None, 3, None)]


def test_what_was_spent_and_summed_up_is_told_to_nobody() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_compaction())
    summary = log.append(b.CHAT, *b.a_summary(10, 8))
    paid = log.append(b.CHAT, b.usage_recorded())
    assert {kind for kind, *_ in told([*summary, *paid])} <= {None}


def test_the_model_of_a_message_comes_with_its_turn() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    wish = TurnSettings(model_config_id=b.CHILD)
    batch = log.append(b.CHAT, b.user(settings=wish))
    (_, (change,), _, _, _, _) = rows(WATCH_FEED, batch)
    assert change["changes"] == {"model_config_id": b.CHILD}
    assert told(batch) == [(None, 8, "running")]
