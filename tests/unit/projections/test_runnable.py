"""The chats that a worker should hold."""

from __future__ import annotations

from projections.runnable import RUNNABLE
from service.domain.chat.state import Status
from tests import builders as b
from tests.unit.projections.log import Log, rows


def test_chat_is_runnable_from_its_first_message_on() -> None:
    log = Log()
    (running, idle) = rows(RUNNABLE, log.append(b.CHAT, *b.a_chat()))
    assert idle == []
    assert [(row["status"], row["version"]) for row in running] == [("running", 2)]
    assert running[0]["since"] == log.entries[1].recorded.recorded_at


def test_waiting_and_failed_chats_are_nobodys_work() -> None:
    for end in (b.turn_finished(), b.turn_failed(), b.interruption_finished()):
        log = Log()
        log.append(b.CHAT, *b.a_turn())
        (running, idle) = rows(RUNNABLE, log.append(b.CHAT, end))
        assert running == []
        assert [(row["chat_id"], row["version"]) for row in idle] == [(b.CHAT, 5)]


def test_interrupted_chat_needs_a_worker_to_finish_it() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_turn())
    (running, _) = rows(RUNNABLE, log.append(b.CHAT, b.interrupt_requested()))
    assert running[0]["status"] == Status.INTERRUPTING


def test_only_the_last_status_of_a_batch_counts() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    log.append(b.CHAT, b.user("more"))
    (running, idle) = rows(RUNNABLE, log.entries)
    assert [row["version"] for row in running] == [8]
    assert idle == []


def test_message_that_people_do_not_see_begins_no_turn() -> None:
    log = Log()
    hidden = b.user("context", visibility="model")
    assert rows(RUNNABLE, log.append(b.CHAT, hidden)) == [[], []]
