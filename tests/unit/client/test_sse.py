"""The parser of server-sent events: the standard's rules, on input split anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.client.sse import Block, SseParser

STREAM = (
    "\ufeffretry: 1000\n\n: hb\n\n"
    "id: 1~ab\nevent: message\ndata: {\"text\":\"h\u00e9 \U0001f600\"}\n\n"
    "id: 2\n\n"
    "event: x\r\ndata: one\r\ndata:two\r\n\r\n"
    "data\rid: 3\r\r"
    "nonsense: 1\n\ndata: last\nid\n\n"
    "data: never ended"
)  # fmt: skip

BLOCKS = [
    Block("message", None, "", 1000),
    Block("message", '{"text":"h\u00e9 \U0001f600"}', "1~ab", None),
    Block("message", None, "2", None),
    Block("x", "one\ntwo", "2", None),
    Block("message", "", "3", None),
    Block("message", "last", "", None),
]


def parse(*pieces: bytes, last_id: str = "") -> list[Block]:
    parser = SseParser(last_id=last_id)
    return [block for piece in pieces for block in parser.feed(piece)]


def test_blocks_of_a_whole_stream() -> None:
    assert parse(STREAM.encode()) == BLOCKS


def test_byte_by_byte() -> None:
    assert parse(*(bytes([b]) for b in STREAM.encode())) == BLOCKS


@given(st.lists(st.integers(0, len(STREAM.encode())), max_size=8))
def test_split_anywhere(cuts: list[int]) -> None:
    raw = STREAM.encode()
    edges = [0, *sorted(cuts), len(raw)]
    pieces = [raw[a:b] for a, b in pairwise(edges)]
    assert parse(*pieces) == BLOCKS


def test_the_id_of_the_connection_before_goes_on() -> None:
    assert parse(b"data: x\n\n", last_id="7")[0].id == "7"


@pytest.mark.parametrize("line", ["id: a\0b", "retry: soon", "retry: -1", ": id: 9"])
def test_what_is_malformed_is_ignored(line: str) -> None:
    (block,) = parse(f"{line}\ndata: x\n\n".encode(), last_id="7")
    assert (block.id, block.retry_ms) == ("7", None)


def test_bytes_that_are_not_utf8_do_not_stop_it() -> None:
    assert parse(b"data: \xff\n\n")[0].data == "\ufffd"
