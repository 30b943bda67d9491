"""What a cache keeps, for whom it reads, and what it must never keep: each race."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator
from contextvars import ContextVar

import pytest
import pytest_asyncio

from service.errors import DatabaseAway
from service.platform.cache import Cache

PATIENCE_S = 10.0


class Shelf:
    """Where values are read from; each read sees its beginning, and ends when told."""

    def __init__(self) -> None:
        self.values: dict[str, int] = defaultdict(int)
        self.reads: list[asyncio.Future[None]] = []
        self.begun = asyncio.Event()

    async def read(self, key: str) -> int:
        value = self.values[key]
        held = asyncio.get_running_loop().create_future()
        self.reads.append(held)
        self.begun.set()
        await held
        return value

    async def reading(self, number: int) -> asyncio.Future[None]:
        """The read of this number, once it has begun."""
        async with asyncio.timeout(PATIENCE_S):
            while len(self.reads) < number:
                self.begun.clear()
                await self.begun.wait()
        return self.reads[number - 1]

    async def let(self, number: int) -> None:
        """Let it end."""
        (await self.reading(number)).set_result(None)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest_asyncio.fixture
async def cache(shelf: Shelf) -> AsyncIterator[Cache[str, int]]:
    cache = Cache(shelf.read, size=2)
    cache.keeps = True
    yield cache
    await cache.close()


async def filled(cache: Cache[str, int], shelf: Shelf, *keys: str) -> None:
    """Have these read and kept."""
    for key in keys:
        asking = asyncio.create_task(cache.get(key))
        await shelf.let(len(shelf.reads) + 1)
        await asking


async def test_a_value_is_read_once_for_all_who_ask(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    asking = [asyncio.create_task(cache.get("a")) for _ in range(5)]
    await shelf.let(1)
    assert await asyncio.gather(*asking) == [0] * 5
    assert await cache.get("a") == 0
    assert cache.fills == 1


async def test_what_is_forgotten_is_read_anew(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    await filled(cache, shelf, "a")
    shelf.values["a"] = 1
    cache.forget()
    asking = asyncio.create_task(cache.get("a"))
    await shelf.let(2)
    assert await asking == 1


async def test_a_read_that_began_before_a_change_is_not_kept(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    early = asyncio.create_task(cache.get("a"))
    await shelf.reading(1)
    shelf.values["a"] = 1
    cache.forget()
    late = asyncio.create_task(cache.get("a"))
    await shelf.let(2)
    assert await late == 1
    # the older read ends last, and changes nothing
    await shelf.let(1)
    assert await early == 0
    assert await cache.get("a") == 1
    assert cache.fills == 2


async def test_an_older_read_that_ends_first_is_not_kept_either(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    early = asyncio.create_task(cache.get("a"))
    await shelf.reading(1)
    shelf.values["a"] = 1
    cache.forget()
    await shelf.let(1)
    assert await early == 0
    late = asyncio.create_task(cache.get("a"))
    await shelf.let(2)
    assert await late == 1


async def test_who_gives_up_does_not_take_it_away_from_the_others(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    first = asyncio.create_task(cache.get("a"))
    await shelf.reading(1)
    second = asyncio.create_task(cache.get("a"))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await shelf.let(1)
    assert await second == 0
    assert cache.fills == 1


async def test_what_everybody_gave_up_is_kept_for_the_next(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    only = asyncio.create_task(cache.get("a"))
    held = await shelf.reading(1)
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    second = asyncio.create_task(cache.get("a"))
    held.set_result(None)
    assert await second == 0
    assert cache.fills == 1


async def test_a_failure_is_for_all_who_wait_and_is_not_kept(
    cache: Cache[str, int], shelf: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        asking = [asyncio.create_task(cache.get("a")) for _ in range(3)]
        (await shelf.reading(1)).set_exception(DatabaseAway("gone"))
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseAway] * 3
    assert [record.message for record in caplog.records] == [
        "a cache could not be filled"
    ]
    again = asyncio.create_task(cache.get("a"))
    await shelf.let(2)
    assert await again == 0


async def test_a_failure_after_a_change_brings_nothing_old_back(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    await filled(cache, shelf, "a")
    cache.forget()
    asking = asyncio.create_task(cache.get("a"))
    (await shelf.reading(2)).set_exception(DatabaseAway("gone"))
    with pytest.raises(DatabaseAway):
        await asking


async def test_nothing_is_kept_while_changes_cannot_be_heard_of(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    cache.keeps = False
    await filled(cache, shelf, "a", "a")
    # begun in the silence: a change meanwhile may have gone unheard
    asking = asyncio.create_task(cache.get("a"))
    await shelf.reading(3)
    cache.keeps = True
    cache.forget()
    await shelf.let(3)
    await asking
    await filled(cache, shelf, "a")
    assert await cache.get("a") == 0
    assert cache.fills == 4


async def test_the_least_recently_used_go_first(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    await filled(cache, shelf, "a", "b")
    await cache.get("a")
    await filled(cache, shelf, "c")
    assert (await cache.get("a"), await cache.get("c")) == (0, 0)
    assert cache.fills == 3
    await filled(cache, shelf, "b")
    assert cache.fills == 4


async def test_a_read_knows_nothing_of_who_asked_first(shelf: Shelf) -> None:
    request: ContextVar[str] = ContextVar("request", default="nobody's")
    request.set("somebody's")

    async def read(_: str) -> str:
        return request.get()

    cache = Cache(read, size=1)
    assert await cache.get("a") == "nobody's"


async def test_closing_ends_what_is_being_read(
    cache: Cache[str, int], shelf: Shelf
) -> None:
    asking = asyncio.create_task(cache.get("a"))
    held = await shelf.reading(1)
    await cache.close()
    assert held.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await asking
