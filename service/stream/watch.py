"""The caller's chats as a feed, and who wakes its watchers.

A projector's commit rings for everybody; one read per process then finds the owners
whose feed has moved, and wakes their watchers only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn
from uuid import UUID

from service.db.pool import Pool
from service.readmodels.watch_feed import WatchHead, read_watch_feed, watch_heads
from service.stream.bells import Bells
from service.stream.hub import AWAY, RETRY_READ_S
from service.stream.place import START, Kind, Place, place_of
from service.stream.raw import Item, StartOver
from service.subscription.wakeup import Wakeup

POLL_S = 5.0
"""How late a watcher may be when every notification is lost."""


class WatchFeed:
    """The feed of one owner, by its numbers."""

    kind: Kind = "w"

    def __init__(self, pool: Pool, owner_id: UUID) -> None:
        self._pool = pool
        self.bell = owner_id

    async def read(self, after: Place, limit: int) -> Sequence[Item]:
        """Rows after a place. Raises StartOver: what lay between is gone, go on now."""
        known = 0 if after == START else 1
        async with self._pool.connection() as connection:
            rows = await read_watch_feed(
                connection, self.bell, after.number + 1 - known, limit + known
            )
            head = _place((await watch_heads(connection, [self.bell])).get(self.bell))
        if known and rows and rows[0].number == after.number:
            if bytes.fromhex(rows[0].digest) != after.check:
                raise StartOver("history", head)
            rows = rows[1:]
        elif after.number > head.number:
            raise StartOver("ahead", head)
        elif (rows and rows[0].number > after.number + 1) or (
            not rows and after != head
        ):
            raise StartOver("expired", head)
        elif known and not rows and after.check != head.check:
            raise StartOver("history", head)
        return [
            Item(_place(WatchHead(row.number, row.digest)), row.kind, row.public())
            for row in rows
        ]

    async def head(self) -> Place:
        """The place after the newest row."""
        async with self._pool.connection() as connection:
            heads = await watch_heads(connection, [self.bell])
        return _place(heads.get(self.bell))


class Watchers:
    """Wakes the watchers of this process; `run` must run while anybody watches."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._wakeup = Wakeup()
        self._heads: dict[UUID, WatchHead] = {}
        self.bells = Bells()
        self.reads = 0

    def ring(self, _payload: str | None = None) -> None:
        """Read models moved, or may have."""
        self._wakeup.ring()

    async def run(self) -> NoReturn:
        """Look whose feed has moved whenever somebody rings; until cancelled."""
        while True:
            await self._wakeup.wait(POLL_S)
            owners = self.bells.held()
            if not owners:
                self._heads = {}
                continue
            try:
                async with self._pool.connection() as connection:
                    heads = await watch_heads(connection, owners)
            except AWAY:
                await asyncio.sleep(RETRY_READ_S)
                self._wakeup.ring()
                continue
            self.reads += 1
            before, self._heads = self._heads, heads
            for owner, head in heads.items():
                if before.get(owner) != head:
                    self.bells.ring(owner)


def _place(head: WatchHead | None) -> Place:
    if head is None:
        return START
    return place_of(head.number, bytes.fromhex(head.digest))
