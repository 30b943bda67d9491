"""Bodies that are too large, too slow, or of another type, on the wire itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from service import wire
from service.api import body, protocol
from service.api.body import BODY_BYTES
from tests.integration.api.conftest import PATIENCE_S, Api, said

CREATE = "/api/v1/chats"


def body_of(size: int) -> bytes:
    empty = len(wire.dumps(said("")))
    return wire.dumps(said("x" * (size - empty)))


async def test_a_body_at_the_limit_passes_and_one_byte_more_is_413(api: Api) -> None:
    assert (await api.post(CREATE, content=body_of(BODY_BYTES))).status_code == 201
    refused = await api.post(CREATE, content=body_of(BODY_BYTES + 1))
    assert refused.status_code == 413
    assert refused.json()["type"] == "/problems/body-too-large"
    assert refused.headers["connection"] == "close"
    assert (await api.get(CREATE)).status_code == 200


async def test_ten_megabytes_are_413_whether_the_size_is_declared_or_not(
    api: Api,
) -> None:
    before = await api.positions()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(160):
            yield b"x" * 65_536

    declared = await api.post(CREATE, content=b"x" * 10_485_760)
    chunked = await api.post(CREATE, content=chunks())
    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert await api.positions() == before


async def test_a_client_that_asks_first_is_refused_before_it_sends(api: Api) -> None:
    head = (
        f"POST {CREATE} HTTP/1.1\r\nhost: x\r\n"
        f"authorization: {api.http.headers['authorization']}\r\n"
        "content-type: application/json\r\nexpect: 100-continue\r\n"
        "content-length: 10000000\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_an_endless_body_is_cut_off(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "DRAIN_BYTES", 1024 * 1024)
    head = (
        f"POST {CREATE} HTTP/1.1\r\nhost: x\r\n"
        f"authorization: {api.http.headers['authorization']}\r\n"
        "content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(head.encode())
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    sent = 0
    async with asyncio.timeout(PATIENCE_S):
        try:
            while not writer.is_closing() and not reader.at_eof():
                writer.write(chunk)
                await writer.drain()
                sent += len(chunk)
                await asyncio.sleep(0)
        except ConnectionError:
            pass
    assert sent < 64 * 1024 * 1024
    writer.close()


async def test_a_body_that_does_not_come_is_408(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.2)
    head = (
        f"POST {CREATE} HTTP/1.1\r\nhost: x\r\n"
        f"authorization: {api.http.headers['authorization']}\r\n"
        "content-type: application/json\r\ncontent-length: 10\r\n\r\n{"
    )
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(head.encode())
    async with asyncio.timeout(PATIENCE_S):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 408 ")
    writer.close()


async def test_only_json_is_taken(api: Api) -> None:
    for content_type in (
        "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
        "application/json; charset=latin-1", "application/jsonx",
    ):  # fmt: skip
        answer = await api.post(CREATE, said(), headers={"content-type": content_type})
        assert answer.status_code == 415, content_type
        assert answer.json()["type"] == "/problems/unsupported-media-type"
    for content_type in ("application/json; charset=UTF-8", "Application/JSON"):
        answer = await api.post(CREATE, said(), headers={"content-type": content_type})
        assert answer.status_code == 201, content_type


async def test_a_head_that_does_not_end_is_431(api: Api) -> None:
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: ")
    async with asyncio.timeout(PATIENCE_S):
        with suppress(ConnectionError):
            for _ in range(40):
                writer.write(b"a" * 16_384)
                await writer.drain()
        with suppress(ConnectionError):
            assert (await reader.read()).startswith(b"HTTP/1.1 431 ")
    writer.close()


async def test_a_head_that_does_not_come_is_cut_off(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.1)
    for start in (b"", b"GET /healthz HTT"):
        reader, writer = await asyncio.open_connection(*api.address)
        writer.write(start)
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""
        writer.close()


async def test_a_connection_that_was_answered_may_wait(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S", 0.2)
    ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    answered = await asyncio.open_connection(*api.address)
    await _answer(*answered, ask)
    silent, writer = await asyncio.open_connection(*api.address)
    async with asyncio.timeout(PATIENCE_S):
        # this one is cut off, and the other one is older
        assert await silent.read() == b""
    writer.close()
    await _answer(*answered, ask)
    answered[1].close()


async def test_a_large_body_that_comes_with_its_head_passes(api: Api) -> None:
    content = body_of(200_000)
    head = (
        f"POST {CREATE} HTTP/1.1\r\nhost: x\r\n"
        f"authorization: {api.http.headers['authorization']}\r\n"
        "content-type: application/json\r\nconnection: close\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(*api.address)
    writer.write(head.encode() + content)
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.read()).startswith(b"HTTP/1.1 201 ")
    writer.close()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ask: bytes
) -> None:
    writer.write(ask)
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readuntil(b'"}')).startswith(b"HTTP/1.1 200 ")
