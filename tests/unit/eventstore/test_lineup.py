"""Whose turn it is: order of arrival, one request in flight per stream, limits."""

from __future__ import annotations

import asyncio
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.eventstore.batch import encode_request
from service.eventstore.lineup import BATCH_BYTES, BATCH_EVENTS, Entry, Lineup
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)

PLENTY = 10_000


def entry(*streams: int, events: int = 1, text: str = "") -> Entry:
    said = tuple(NewEvent("said", 1, {"text": text}) for _ in range(events))
    request = AppendRequest(
        tuple(
            StreamAppend(StreamName("chat", UUID(int=s + 1)), ANY, said)
            for s in streams
        ),
        "key",
        b"",
    )
    loop = asyncio.new_event_loop()
    try:
        return Entry(encode_request(request), loop.create_future(), 0)
    finally:
        loop.close()


def line_up(*entries: Entry) -> Lineup:
    lineup = Lineup()
    for each in entries:
        lineup.add(each)
    return lineup


def test_requests_of_different_streams_go_together() -> None:
    a, b, c = entry(1), entry(2), entry(3)
    lineup = line_up(a, b, c)
    assert lineup.ready == 3
    assert lineup.take(PLENTY) == [a, b, c]
    assert lineup.take(PLENTY) == []


def test_the_second_request_of_a_stream_waits_for_the_first() -> None:
    first, second, third = entry(1), entry(1), entry(1)
    lineup = line_up(first, second, third)
    assert lineup.take(PLENTY) == [first]
    lineup.remove(first)
    assert lineup.take(PLENTY) == [second]


def test_a_request_of_two_streams_waits_for_both() -> None:
    a, b, both, after = entry(1), entry(2), entry(1, 2), entry(2)
    lineup = line_up(a, b, both, after)
    assert lineup.take(PLENTY) == [a, b]
    lineup.remove(a)
    assert lineup.take(PLENTY) == []
    lineup.remove(b)
    assert lineup.take(PLENTY) == [both]
    lineup.remove(both)
    assert lineup.take(PLENTY) == [after]


def test_who_withdraws_blocks_nobody() -> None:
    first, withdrawn, last = entry(1), entry(1, 2), entry(1)
    lineup = line_up(first, withdrawn, last)
    lineup.take(PLENTY)
    lineup.remove(withdrawn)
    lineup.remove(first)
    assert lineup.take(PLENTY) == [last]


def test_what_comes_back_goes_first() -> None:
    a, b, c = entry(1), entry(2), entry(3)
    lineup = line_up(a, b)
    batch = lineup.take(PLENTY)
    lineup.add(c)
    lineup.put_back(batch)
    assert lineup.take(PLENTY) == [a, b, c]


def test_a_batch_has_at_most_so_many_requests() -> None:
    a, b, c = entry(1), entry(2), entry(3)
    assert line_up(a, b, c).take(2) == [a, b]


def test_a_batch_is_bounded_in_events_and_bytes() -> None:
    half = [entry(n, events=BATCH_EVENTS // 2) for n in range(3)]
    assert line_up(*half).take(PLENTY) == half[:2]
    large = [entry(n, text="x" * (BATCH_BYTES // 2 - 100)) for n in range(3)]
    assert line_up(*large).take(PLENTY) == large[:2]


def test_a_request_above_the_limits_goes_alone() -> None:
    small, large, last = entry(1), entry(2, events=BATCH_EVENTS + 1), entry(3)
    lineup = line_up(small, large, last)
    assert lineup.take(PLENTY) == [small]
    assert lineup.take(PLENTY) == [large]
    assert lineup.take(PLENTY) == [last]


@given(
    st.lists(st.sets(st.integers(0, 4), min_size=1, max_size=3), max_size=25),
    st.data(),
)
def test_any_course_keeps_each_streams_order_and_ends_empty(
    wanted: list[set[int]], data: st.DataObject
) -> None:
    """Arrivals, batches, answers, withdrawals and returns in any order."""
    entries = [entry(*sorted(streams)) for streams in wanted]
    arriving = list(entries)
    lineup, flying, waiting = Lineup(), [], set()
    done: list[Entry] = []
    while arriving or waiting or flying:
        step = data.draw(st.sampled_from("atrwb"))
        if step == "a" and arriving:
            lineup.add(arriving[0])
            waiting.add(arriving.pop(0))
        elif step == "w" and waiting and data.draw(st.booleans()):
            withdrawn = data.draw(st.sampled_from([e for e in entries if e in waiting]))
            waiting.discard(withdrawn)
            lineup.remove(withdrawn)
        elif step == "b" and flying:
            lineup.put_back(flying)
            waiting.update(flying)
            flying = []
        elif step == "r" or not arriving:
            for answered in flying:
                lineup.remove(answered)
            done += flying
            flying = []
        if step == "t" or not arriving:
            batch = lineup.take(data.draw(st.integers(1, 5)))
            waiting.difference_update(batch)
            flying += batch
            streams = [s for e in flying for s in e.streams]
            assert len(streams) == len(set(streams))
    for stream in range(1, 6):
        places = [entries.index(e) for e in done if stream in e.streams]
        assert places == sorted(places)
    assert lineup.ready == 0
    assert not lineup._lines
