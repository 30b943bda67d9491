"""The ring: bounded, indexed, found again by cursor."""

from __future__ import annotations

from service.stream.cursor import Cursor
from service.stream.ring import JOINED, KEPT, ByteBudget, Ring


def ring_of(count: int, *, max_frames: int = 10) -> Ring:
    ring = Ring(Cursor(0), max_frames=max_frames, budget=ByteBudget(10**6))
    for version in range(1, count + 1):
        ring.push(b"frame %d;" % version, Cursor(version))
    return ring


def body(ring: Ring, index: int) -> bytes:
    ready = ring.ready_at(index)
    assert ready is not None
    body = ready.message["body"]
    assert isinstance(body, bytes)
    return body


def test_ring_gives_frames_after_an_index() -> None:
    ring = ring_of(3)
    assert body(ring, 1) == b"frame 2;frame 3;"
    ready = ring.ready_at(1)
    assert ready is not None
    assert ready.end == 3
    assert ready.message["more_body"] is True
    assert ring.ready_at(3) is None


def test_ring_shares_one_message_among_followers() -> None:
    ring = ring_of(3)
    assert ring.ready_at(0) is ring.ready_at(0)


def test_ring_gives_the_same_frames_as_a_chunk_of_http() -> None:
    ready = ring_of(3).ready_at(0)
    assert ready is not None
    assert ready.chunk == b"18\r\nframe 1;frame 2;frame 3;\r\n"


def test_ring_keeps_the_joined_frames_of_few_places() -> None:
    ring = ring_of(200, max_frames=1000)
    for index in range(200):
        assert ring.ready_at(index) is not None
    assert len(ring._joined) <= KEPT


def test_ring_joins_a_bounded_number_of_frames() -> None:
    ring = ring_of(200, max_frames=1000)
    ready = ring.ready_at(0)
    assert ready is not None
    assert ready.end == JOINED


def test_ring_finds_each_place_that_it_holds() -> None:
    ring = ring_of(5)
    for version in range(6):
        assert ring.index_after(Cursor(version)) == version
    assert ring.index_after(Cursor(6)) is None
    assert ring.index_after(Cursor(5, 1)) is None


def test_ring_forgets_the_oldest_frames() -> None:
    ring = ring_of(25, max_frames=10)
    assert (ring.start, ring.end) == (15, 25)
    assert ring.index_after(Cursor(14)) is None
    assert ring.index_after(Cursor(15)) == 15
    assert ring.cursor_before(15) == Cursor(15)
    assert body(ring, 24) == b"frame 25;"


def test_ring_counts_its_bytes_and_gives_them_back() -> None:
    budget = ByteBudget(10**6)
    ring = Ring(Cursor(0), max_frames=2, budget=budget)
    for version in range(1, 6):
        ring.push(b"x" * version, Cursor(version))
    assert budget.used == ring.bytes == 4 + 5
    ring.clear()
    assert budget.used == ring.bytes == 0
    assert ring.start == ring.end == 5
