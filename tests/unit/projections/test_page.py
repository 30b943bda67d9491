"""Pages of the log: borders, what a projection takes, what this release can read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from projections.checkpoint import Checkpoint, Place
from projections.messages import MESSAGES
from projections.page import (
    BrokenLog,
    Item,
    Page,
    appends,
    check_history,
    decode_item,
    decode_items,
    wanted,
)
from service.domain.upcasters import CURRENT
from service.errors import FutureEvent
from service.eventstore.records import RecordedEvent, StreamName
from tests import builders as b
from tests.unit.projections.log import Log

ALL = frozenset(CURRENT)


def recorded(**fields: Any) -> RecordedEvent:
    log = Log()
    log.append(b.CHAT, b.user())
    return replace(log.entries[0].recorded, **fields)


def test_known_event_is_decoded() -> None:
    assert decode_item(recorded(), ALL).event == b.user()


def test_event_that_nobody_wants_is_not_decoded() -> None:
    assert decode_item(recorded(data={"no": "shape"}), frozenset()).event is None


def test_event_of_another_category_is_passed_over() -> None:
    stream = StreamName("platform", b.CHAT)
    item = decode_item(recorded(stream=stream, type="user_renamed"), ALL)
    assert (item.event, item.error) == (None, None)


@pytest.mark.parametrize("erased", ["erased", "stream_purged"])
def test_erased_event_is_passed_over(erased: str) -> None:
    item = decode_item(recorded(type=erased, data={"was": "message_appended"}), ALL)
    assert (item.event, item.error) == (None, None)


@pytest.mark.parametrize("types", [ALL, frozenset()])
@pytest.mark.parametrize("newer", [{"type": "chat_dreamed"}, {"schema_version": 99}])
def test_event_of_a_newer_release_is_told_apart_from_poison(
    newer: dict[str, Any], types: frozenset[str]
) -> None:
    with pytest.raises(FutureEvent):
        decode_item(recorded(**newer), types)


def test_malformed_event_keeps_its_error() -> None:
    item = decode_item(recorded(data={"at": "never"}), ALL)
    assert isinstance(item.error, ValidationError)


def test_page_ends_before_the_append_that_a_newer_release_wrote() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_chat())
    log.append(b.OWNER, b.created(), b.user())
    log.append(b.CHAT, b.acquired(), b.attempt(2))
    events = [entry.recorded for entry in log.entries]
    events[-1] = replace(events[-1], type="chat_dreamed")
    items, future = decode_items(events, ALL)
    assert [item.recorded.position for item in items] == [1, 2, 3, 4]
    assert isinstance(future, FutureEvent)


def test_appends_stay_together() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_chat())
    log.append(b.CHAT, b.acquired())
    log.append(b.OWNER, b.created(), b.user())
    items = [Item(entry.recorded, entry.event) for entry in log.entries]
    assert [len(append) for append in appends(items)] == [2, 1, 2]


def test_projection_gets_its_types_and_no_parked_stream() -> None:
    log = Log()
    log.append(b.CHAT, *b.a_turn())
    log.append(b.OWNER, *b.a_turn())
    items = [Item(entry.recorded, entry.event) for entry in log.entries]
    checkpoint = Checkpoint(MESSAGES, Place(), frozenset({b.OWNER}))
    assert [e.recorded.position for e in wanted(checkpoint, items)] == [2]


def test_parked_stream_hides_what_is_wrong_with_it() -> None:
    item = decode_item(recorded(data={}), ALL)
    assert wanted(Checkpoint(MESSAGES, Place(), frozenset({b.CHAT})), [item]) == []
    with pytest.raises(ValidationError):
        wanted(Checkpoint(MESSAGES, Place()), [item])


def test_another_digest_is_another_history() -> None:
    page = Page(Place(7, b"a"), (), full=False)
    check_history(Checkpoint(MESSAGES, Place(7, b"a")), page)
    with pytest.raises(BrokenLog, match="another history at position 7"):
        check_history(Checkpoint(MESSAGES, Place(7, b"b")), page)
