"""A stream that is read ahead: its order, its errors, its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from service.providers.vendor.ahead import AHEAD, Ahead, Cut

PATIENCE_S = 10.0


async def counting(
    count: int, *, closed: asyncio.Event | None = None, fails: bool = False
) -> AsyncGenerator[int, None]:
    try:
        for number in range(count):
            yield number
        if fails:
            raise ValueError("it fails")
    finally:
        if closed is not None:
            closed.set()


async def read(stream: AsyncGenerator[int, None], got: list[int]) -> None:
    async with asyncio.timeout(PATIENCE_S), Ahead[int]().reading(stream) as items:
        async for item in items:
            got.append(item)


@pytest.mark.parametrize("count", [0, 1, AHEAD, AHEAD + 1, 3 * AHEAD])
async def test_all_of_it_is_given_in_its_order(count: int) -> None:
    got: list[int] = []
    await read(counting(count), got)
    assert got == list(range(count))


@pytest.mark.parametrize("count", [0, 1, AHEAD, 2 * AHEAD])
async def test_an_error_comes_after_what_came_before_it(count: int) -> None:
    got: list[int] = []
    with pytest.raises(ValueError, match="it fails"):
        await read(counting(count, fails=True), got)
    assert got == list(range(count))


@pytest.mark.parametrize("count", [1, AHEAD, 3 * AHEAD])
async def test_a_reader_that_goes_closes_the_stream(count: int) -> None:
    closed = asyncio.Event()
    stream = counting(count, closed=closed, fails=True)
    async with asyncio.timeout(PATIENCE_S):
        async with Ahead[int]().reading(stream) as items:
            assert await anext(items) == 0
        assert closed.is_set()


async def test_what_is_told_beside_comes_when_it_is_told() -> None:
    ahead = Ahead[int]()

    async def stream() -> AsyncGenerator[int, None]:
        ahead.tell(-1)
        yield 0
        ahead.tell(-2)
        yield 1

    async with asyncio.timeout(PATIENCE_S), ahead.reading(stream()) as items:
        assert [item async for item in items] == [-1, 0, -2, 1]


async def test_a_stream_that_is_cancelled_from_within_is_cut() -> None:
    async def stream() -> AsyncGenerator[int, None]:
        yield 0
        raise asyncio.CancelledError

    with pytest.raises(Cut):
        await read(stream(), [])
