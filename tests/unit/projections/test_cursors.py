"""How far owners have read."""

from __future__ import annotations

from projections.cursors import CURSORS
from service.domain.events.chat import ChatEvent
from tests import builders as b
from tests.unit.projections.log import Log, rows

QUIET = {"read_up_to": 0, "below": None}


def test_first_answer_is_the_first_unread() -> None:
    log = Log()
    answers = [b.user("more"), b.assistant("again")]
    (moved, begun) = rows(CURSORS, log.append(b.CHAT, *b.an_idle_chat(), *answers))
    expected = {"first_unread": 5, "version": 9}
    assert moved == begun == [{"chat_id": b.CHAT, **QUIET, **expected}]


def test_cursor_forgets_what_was_unread_before_it() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    read = b.read_cursor_moved(5)
    ((moved,), _) = rows(CURSORS, log.append(b.CHAT, read, b.assistant("more")))
    assert (moved["read_up_to"], moved["below"], moved["first_unread"]) == (5, 0, 9)


def test_edit_takes_unread_answers_back() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    edit: list[ChatEvent] = [b.truncated(2), b.user("again")]
    ((moved,), _) = rows(CURSORS, log.append(b.CHAT, *edit))
    assert (moved["below"], moved["first_unread"]) == (2, None)


def test_fork_begins_as_read() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat(), b.forked(7))
    ((whole,), _) = rows(CURSORS, log.entries)
    ((cut,), _) = rows(CURSORS, log.entries[-1:])
    assert whole["read_up_to"] == cut["read_up_to"] == 7
    assert (cut["below"], cut["first_unread"]) == (0, None)


def test_a_summary_is_no_answer_to_be_read() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat(), b.read_cursor_moved(5))
    ((moved,), _) = rows(CURSORS, log.append(b.CHAT, *b.a_summary(8, 8)))
    assert (moved["below"], moved["first_unread"]) == (None, None)
