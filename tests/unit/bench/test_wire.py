"""What the benchmark's cheap clients make of bytes that are split anywhere."""

from __future__ import annotations

import pytest

from scripts.benchmarks.http import Chunks
from scripts.benchmarks.stamped import readings
from scripts.benchmarks.swarm import Follower, Tally

FRAME = b'id: 1\nevent: message\ndata: {"n": 1}\n\n'


def chunked(*bodies: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(body), body) for body in bodies)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
def test_chunks_are_the_same_however_they_are_split(size: int) -> None:
    sent = chunked(FRAME, b"x" * 300, FRAME) + b"0\r\n\r\n"
    chunks = Chunks()
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    bodies = [body for piece in pieces for body in chunks.feed(piece)]
    assert bodies == [FRAME, b"x" * 300, FRAME]
    assert chunks.ended


@pytest.mark.parametrize("size", [1, 5, 6, 11, 1_000])
def test_swarm_counts_each_frame_once_however_it_is_split(
    size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally(count=1)
    follower = Follower(tally, b"GET", b"caught_up")
    follower.data_received(b"event: caught_up\ndata: {}\n\n\r\n")
    sent = chunked(*[FRAME] * 9, b": hb\n\n")
    for at in range(0, len(sent), size):
        follower.data_received(sent[at : at + size])
    assert (tally.ready, tally.frames, tally.full) == (1, 9, 9)
    assert capsys.readouterr().out.splitlines()[:2] == ["ready", "all 1"]


def test_joined_tokens_keep_their_readings() -> None:
    assert readings('{"text":" @12345 @12399"}') == [12345, 12399]
    assert readings("no reading") == []
