"""A feed's blocks, from a source that fails, moves and starts over as told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from service import wire
from service.errors import DatabaseAway
from service.stream.bells import Bells
from service.stream.feed import Block, feed
from service.stream.place import START, Kind, Place, format_place
from service.stream.raw import Item, StartOver

BELL = UUID(int=7)


class Told:
    """Gives what it was told to give, one answer a read; then nothing."""

    kind: Kind = "l"
    bell = BELL

    def __init__(self, *answers: Sequence[Item] | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[Place] = []

    async def read(self, after: Place, limit: int) -> Sequence[Item]:
        self.asked.append(after)
        answer = self.answers.pop(0) if self.answers else ()
        if isinstance(answer, Exception):
            raise answer
        return answer


def item(number: int, data: dict[str, Any] | None = None) -> Item:
    return Item(Place(number), "event", data)


async def blocks(source: Told, bells: Bells, lifetime_s: float = 0) -> list[Block]:
    async with asyncio.timeout(10):
        return [b async for b in feed(source, START, bells, lifetime_s=lifetime_s)]


def names(found: list[Block]) -> list[Any]:
    return [b.get("event") or b.get("comment") or b.get("id") for b in found[1:]]


async def test_history_then_caught_up_once_then_bye() -> None:
    source = Told([item(1, {"a": 1})], [item(2, {"a": 2})])
    found = await blocks(source, Bells())
    assert found[0] == {"retry": 1000}
    assert names(found) == ["event", "event", "caught_up", "bye"]
    assert wire.loads(found[1]["data"]) == {"type": "event", "a": 1}
    assert found[1]["id"] == format_place("l", Place(1))
    assert source.asked == [START, Place(1), Place(2)]
    assert "id" not in found[-1]


async def test_a_row_that_shows_nothing_moves_the_place() -> None:
    found = await blocks(Told([item(1), item(2, {})]), Bells())
    assert names(found) == [
        format_place("l", Place(1)), "event", "caught_up", "bye"
    ]  # fmt: skip


async def test_a_lost_place_starts_over_where_the_source_says() -> None:
    source = Told(StartOver("history", Place(9)), [item(10, {})])
    found = await blocks(source, Bells())
    assert names(found) == ["resync", "event", "caught_up", "bye"]
    assert found[1]["id"] == format_place("l", Place(9))
    assert source.asked[1] == Place(9)


async def test_a_database_that_is_away_is_waited_for() -> None:
    bells = Bells()
    source = Told(DatabaseAway("test"), [item(1, {})])
    found: list[Block] = []
    async with asyncio.timeout(10):
        async for block in feed(source, START, bells, lifetime_s=0):
            found.append(block)
            bells.ring(BELL)
    assert names(found) == ["stale", "event", "caught_up", "bye"]


async def test_the_end_of_the_process_is_told_also_while_the_database_is_away() -> None:
    bells = Bells()
    bells.end("shutdown")
    found = await blocks(Told(DatabaseAway("test")), bells, lifetime_s=600)
    assert names(found) == ["bye"]
    assert wire.loads(found[-1]["data"])["reason"] == "shutdown"


async def test_a_ring_between_the_read_and_the_wait_is_not_lost() -> None:
    bells = Bells()

    class Rung(Told):
        async def read(self, after: Place, limit: int) -> Sequence[Item]:
            rows = await super().read(after, limit)
            if not rows and len(self.asked) == 2:
                self.answers.append([item(2, {})])
                bells.ring(BELL)
            return rows

    found: list[Block] = []
    async with asyncio.timeout(10):
        async for block in feed(Rung([item(1, {})]), START, bells, lifetime_s=600):
            found.append(block)
            if len(found) == 4:
                bells.end("shutdown")
    assert names(found) == ["event", "caught_up", "event", "bye"]
