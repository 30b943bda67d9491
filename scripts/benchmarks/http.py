"""As little HTTP/1.1 as a benchmark needs: requests on one connection, and streams."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from service.client.sse import Block, SseParser

READ = 64 * 1024
HEAD_END = b"\r\n\r\n"


class Poster:
    """One request after the other on a connection that stays open."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of a request; only for answers with a length."""
        self._writer.write(request)
        head = await self._reader.readuntil(HEAD_END)
        length = 0
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return int(head.split(maxsplit=2)[1]), await self._reader.readexactly(length)


@asynccontextmanager
async def poster(address: tuple[str, int]) -> AsyncIterator[Poster]:
    """A connection for requests."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield Poster(reader, writer)
    finally:
        writer.close()


class Chunks:
    """Undoes the chunked encoding; fed with pieces that are split anywhere."""

    def __init__(self) -> None:
        self._held = b""
        self.ended = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """The bodies of the chunks that are complete now."""
        held = self._held + piece
        at = 0
        while not self.ended:
            line = held.find(b"\r\n", at)
            if line < 0:
                break
            size = int(held[at:line], 16)
            end = line + 2 + size
            if len(held) < end + 2:
                break
            self.ended = size == 0
            if size:
                yield held[line + 2 : end]
            at = end + 2
        self._held = held[at:]


@dataclass(slots=True)
class Stream:
    """An open event stream. `last_id` is the id of the last block given out."""

    status: int
    _reader: asyncio.StreamReader
    _chunks: Chunks = field(default_factory=Chunks)
    _parser: SseParser = field(default_factory=SseParser)
    last_id: str = ""

    async def read(self) -> list[Block] | None:
        """The blocks of one read, maybe none; None: the stream has ended."""
        if self._chunks.ended:
            return None
        piece = await self._reader.read(READ)
        if not piece:
            return None
        blocks = [
            block
            for body in self._chunks.feed(piece)
            for block in self._parser.feed(body)
        ]
        if blocks:
            self.last_id = blocks[-1].id
        return blocks

    async def until(self, event: str) -> None:
        """Read up to the first block of this kind, and what came with it."""
        while (blocks := await self.read()) is not None:
            if any(block.event == event for block in blocks):
                return
        raise RuntimeError(f"the stream ended before {event!r}")


@asynccontextmanager
async def stream(
    address: tuple[str, int], request: bytes, *, receive_buffer: int | None = None
) -> AsyncIterator[Stream]:
    """Open a stream; `receive_buffer` bounds what is kept for a slow reader."""
    sock = socket.socket()
    sock.setblocking(False)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    await asyncio.get_running_loop().sock_connect(sock, address)
    limit = receive_buffer or READ
    reader, writer = await asyncio.open_connection(sock=sock, limit=limit)
    try:
        writer.write(request)
        head = await reader.readuntil(HEAD_END)
        yield Stream(int(head.split(maxsplit=2)[1]), reader)
    finally:
        writer.close()
