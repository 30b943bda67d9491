"""The queues of chats."""

from __future__ import annotations

from projections.queue import QUEUE
from tests import builders as b
from tests.unit.projections.log import Log, rows


def test_queued_message_is_a_row_until_it_is_promoted() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_turn())
    (queued, *others) = rows(QUEUE, log.append(b.CHAT, b.queued("later")))
    assert [(row["id"], row["created_by"]) for row in queued] == [(5, b.OWNER)]
    assert others == [[], [], []]
    end = log.append(b.CHAT, b.turn_finished(), b.user("later", queued_id=5))
    assert rows(QUEUE, end) == [[], [], [{"chat_id": b.CHAT, "id": 5}], []]


def test_item_that_came_and_went_in_one_batch_is_deleted_last() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_turn(), b.queued("later"))
    log.append(b.CHAT, b.turn_finished(), b.user("later", queued_id=5))
    (queued, _, promoted, _) = rows(QUEUE, log.entries)
    assert [row["id"] for row in queued] == [row["id"] for row in promoted] == [5]


def test_message_that_never_waited_changes_no_queue() -> None:
    log = Log()
    assert rows(QUEUE, log.append(b.CHAT, *b.a_chat())) == [[], [], [], []]


def test_item_that_is_moved_stands_before_those_moved_earlier() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_turn(), b.queued("one"), b.queued("two"))
    moves = [b.queue_item_moved(6), b.queue_item_moved(5), b.queue_item_moved(6)]
    (_, moved, _, _) = rows(QUEUE, log.append(b.CHAT, *moves))
    assert [(row["id"], row["version"]) for row in moved] == [(6, 9), (5, 8)]


def test_item_that_is_deleted_and_queues_that_are_cleared_go() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_turn(), b.queued("one"), b.queued("two"))
    gone = log.append(b.CHAT, b.queue_item_deleted(5), b.queue_cleared())
    assert rows(QUEUE, gone) == [
        [],
        [],
        [{"chat_id": b.CHAT, "id": 5}],
        [{"chat_id": b.CHAT, "version": 8}],
    ]
