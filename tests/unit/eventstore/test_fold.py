"""Folding recorded events, and the cache of folds."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from service import wire
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatEvent
from service.errors import FutureEvent
from service.eventstore.cache import ChatCache
from service.eventstore.codec import decode, encode
from service.eventstore.fold import (
    NOTHING,
    Fold,
    Loaded,
    after_append,
    after_recorded,
)
from service.eventstore.records import NewEvent, RecordedEvent, StreamName, StreamResult
from tests.builders import (
    CHAT,
    NOW,
    a_chat,
    a_turn,
    an_idle_chat,
    assistant,
    call,
    user,
)

STREAM = StreamName("chat", CHAT)


def recorded(
    events: Sequence[ChatEvent | NewEvent], first: int = 1
) -> list[RecordedEvent]:
    """As one append would have stored them; the digest is the version's byte."""
    last = first + len(events) - 1
    new = [e if isinstance(e, NewEvent) else encode(e, {}) for e in events]
    return [
        RecordedEvent(
            n, STREAM, n, last, e.type, e.schema_version, e.data, {}, NOW, bytes([n])
        )
        for n, e in enumerate(new, first)
    ]


def test_events_come_back_from_their_stored_form() -> None:
    events = an_idle_chat("hello")
    assert [decode(r) for r in recorded(events)] == events


def test_every_event_has_a_metadata_id_of_its_own() -> None:
    first, second = (encode(user(), {"actor": "a"}).metadata for _ in range(2))
    assert first["actor"] == second["actor"] == "a"
    assert first["id"] != second["id"]


@pytest.mark.parametrize(
    "event", [NewEvent("flown_to_mars", 1, {}), NewEvent("turn_finished", 999, {})]
)
def test_an_event_of_a_newer_release_is_told_apart(event: NewEvent) -> None:
    with pytest.raises(FutureEvent):
        after_recorded(NOTHING, recorded([event]))


def test_heads_cannot_be_decoded() -> None:
    (head,) = recorded([user()])
    bare = RecordedEvent(1, STREAM, 1, 1, head.type, 1, None, None, NOW, b"")
    with pytest.raises(ValueError, match="without data"):
        decode(bare)


def test_a_fold_grows_by_its_tail() -> None:
    events = an_idle_chat()
    whole = after_recorded(NOTHING, recorded(events))
    head = after_recorded(NOTHING, recorded(events[:3]))
    tail = after_recorded(head, recorded(events[3:], first=4))
    assert whole == tail
    assert whole.loaded.state == fold(ChatState(), events)
    assert (whole.loaded.version, whole.loaded.digest) == (7, bytes([7]))


def test_an_own_append_folds_as_if_it_had_been_read() -> None:
    before = after_recorded(NOTHING, recorded(a_chat()))
    more = a_turn()[2:]
    result = StreamResult(STREAM, 3, 4, 4, bytes([4]))
    own = after_append(before, more, [encode(e, {}) for e in more], result)
    assert own == after_recorded(before, recorded(more, first=3))


def test_an_own_append_quotes_objects_as_the_log_does() -> None:
    said = assistant(
        "I look.", call("c1", args={"zone": "UTC", "at": {"b": 1, "a": 2}})
    )
    before = after_recorded(NOTHING, recorded(a_chat()))
    own = after_append(
        before, [said], [encode(said, {})], StreamResult(STREAM, 3, 3, 3, b"")
    )
    (part,) = [p for p in own.loaded.state.messages[-1].parts if p.type == "tool-call"]
    assert wire.dumps(part.args) == b'{"at":{"a":2,"b":1},"zone":"UTC"}'


def test_erased_events_only_count() -> None:
    erased = NewEvent("erased", 1, {"was": "message_appended"})
    loaded = after_recorded(NOTHING, recorded([erased, erased])).loaded
    assert (loaded.state.exists, loaded.version) == (False, 2)


def test_a_purge_leaves_nothing_of_a_cached_state() -> None:
    before = after_recorded(NOTHING, recorded(an_idle_chat()))
    purged = NewEvent("stream_purged", 1, {"actor": "a", "reason": "r"})
    loaded = after_recorded(before, recorded([purged], first=8)).loaded
    assert loaded.state == ChatState(version=8)
    assert (loaded.version, loaded.digest) == (8, bytes([8]))


def of_size(size: int) -> Fold:
    return Fold(Loaded(ChatState(), 1, b""), size)


def test_the_least_recently_used_goes_first() -> None:
    cache = ChatCache(30)
    a, b, c = UUID(int=1), UUID(int=2), UUID(int=3)
    cache.put(a, of_size(10))
    cache.put(b, of_size(10))
    assert cache.get(a)
    cache.put(c, of_size(15))
    assert cache.get(b) is None
    assert cache.get(a)
    assert cache.size == 25


def test_a_chat_counts_once() -> None:
    cache = ChatCache(30)
    for size in (10, 20, 25):
        cache.put(CHAT, of_size(size))
    assert (len(cache), cache.size) == (1, 25)
    cache.drop(CHAT)
    cache.drop(CHAT)
    assert (len(cache), cache.size) == (0, 0)


def test_what_is_larger_than_the_budget_is_not_kept() -> None:
    cache = ChatCache(30)
    cache.put(CHAT, of_size(31))
    assert (len(cache), cache.size) == (0, 0)
    cache.put(CHAT, of_size(30))
    cache.clear()
    assert (len(cache), cache.size) == (0, 0)
