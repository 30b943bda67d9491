"""What a client can make the server keep, or wait for, on one connection."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from service.api import protocol
from service.api.protocol import HEAD_BYTES, WAITING, BoundedHttp
from tests.integration.api.conftest import PATIENCE_S, Api

ASK = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
CHUNKED = (
    b"POST /api/v1/chats HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LARGE = 250_000
BODY = b'29\r\n{"content":[{"type":"text","text":"hi"}]}\r\n0\r\n'


async def test_trailers_are_no_headers(api: Api) -> None:
    token = api.http.headers["authorization"]
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(CHUNKED + BODY + f"authorization: {token}\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    writer.close()


@pytest.mark.parametrize("around", [b"5;", b"0\r\nx: ", b"0\r\n", b"000"])
async def test_what_comes_without_end_round_a_body_is_cut_off(
    api: Api, around: bytes
) -> None:
    endless = b"x: y\r\n" * 2000 if around == b"0\r\n" else b"0" * 12_000
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(CHUNKED + around)
    assert await _sent_until_cut(reader, writer, endless) < 64 * HEAD_BYTES


async def test_blank_lines_without_end_are_cut_off(api: Api) -> None:
    reader, writer = await asyncio.open_connection(*api.address)
    assert await _sent_until_cut(reader, writer, b"\r\n" * 6000) < 64 * HEAD_BYTES


async def test_a_blank_line_keeps_no_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = await asyncio.open_connection(*api.address)
    async with asyncio.timeout(PATIENCE_S):
        writer.write(ASK)
        await reader.readuntil(b'"}')
        monkeypatch.setattr(protocol, "HEAD_S", 0.1)
        writer.write(b"\r\n")
        assert await reader.read() == b""
    writer.close()


async def test_the_rest_of_an_answered_request_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_S", 0.1)
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(CHUNKED + b"5\r\n")
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_a_request_may_come_late_on_an_answered_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_S", 0.1)
    reader, writer = await asyncio.open_connection(*api.address)
    async with asyncio.timeout(PATIENCE_S):
        for late in (False, True):
            writer.write(CHUNKED + BODY)
            if late:
                await reader.readuntil(b"HTTP/1.1 401 ")
            writer.write(b"\r\n")
            await reader.readuntil(b'"}')
        # a connection that was refused for its slowness is cut, and this one is not
        other, refused = await asyncio.open_connection(*api.address)
        refused.write(CHUNKED)
        await other.read()
        writer.write(ASK)
        assert b"200 OK" in await reader.readuntil(b'"}')
    writer.close()
    refused.close()


async def test_requests_sent_ahead_are_answered_in_order(api: Api) -> None:
    reader, writer = await asyncio.open_connection(*api.address)
    lost = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    writer.write(ASK * 20 + lost)
    async with asyncio.timeout(PATIENCE_S):
        answers = await reader.read()
    assert answers.count(b"HTTP/1.1 200 ") == 20
    assert answers.rindex(b"HTTP/1.1 200 ") < answers.index(b"HTTP/1.1 404 ")
    writer.close()


async def test_a_flood_of_requests_sent_ahead_is_cut_off(api: Api) -> None:
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(ASK * 5000)
    answers = b""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            while more := await reader.read(65_536):
                answers += more
    assert answers.count(b"HTTP/1.1 ") <= WAITING + 1
    writer.close()
    assert (await api.get("/healthz")).status_code == 200


async def test_who_takes_nothing_is_cut_off(
    api: Api, narrow: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "TAKE_S", 0.1)
    with await _asking_for_a_large_answer(api) as client:
        async with asyncio.timeout(PATIENCE_S):
            await narrow.wait()
        assert await _taken(client) < LARGE


async def test_who_takes_slowly_gets_everything(
    api: Api, narrow: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "TAKE_S", 0.2)
    monkeypatch.setattr(protocol, "TAKE_BYTES", 1)
    with await _asking_for_a_large_answer(api) as client:
        assert await _taken(client) > LARGE
    assert not narrow.is_set()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The kernel holds next to nothing of an answer; set when a connection is lost."""
    lost = asyncio.Event()
    made_before, lost_before = BoundedHttp.connection_made, BoundedHttp.connection_lost

    def made(self: BoundedHttp, transport: asyncio.Transport) -> None:
        side = transport.get_extra_info("socket")
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made_before(self, transport)

    def noted(self: BoundedHttp, error: Exception | None) -> None:
        lost_before(self, error)
        lost.set()

    monkeypatch.setattr(BoundedHttp, "connection_made", made)
    monkeypatch.setattr(BoundedHttp, "connection_lost", noted)
    return lost


async def _asking_for_a_large_answer(api: Api) -> socket.socket:
    """A client that asked for more than sockets hold, and has taken nothing yet."""
    chat = await api.create("x" * LARGE)
    token = api.http.headers["authorization"]
    ask = f"GET /api/v1/chats/{chat['id']}/stream HTTP/1.1\r\nhost: x\r\n"
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, api.address)
    await loop.sock_sendall(client, f"{ask}authorization: {token}\r\n\r\n".encode())
    return client


async def _taken(client: socket.socket) -> int:
    """How much there is to take, until the snapshot is whole or the connection ends."""
    taken = b""
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            while b"caught_up" not in taken[-200:]:
                more = await asyncio.get_running_loop().sock_recv(client, 65_536)
                if not more:
                    break
                taken += more
    return len(taken)


async def _sent_until_cut(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, piece: bytes
) -> int:
    """How many bytes went out before the server closed."""
    sent = 0
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            while not writer.is_closing() and not reader.at_eof():
                writer.write(piece)
                await writer.drain()
                sent += len(piece)
                await asyncio.sleep(0)
    writer.close()
    return sent
