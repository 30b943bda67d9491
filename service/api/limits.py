"""How often one token may ask, and how many chats of one user may run at a time.

Both are guards against clients gone wild, not accounts: each process keeps its own, and
a user with several replicas gets somewhat more than one allows.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from psycopg.errors import UndefinedTable

from service.db.pool import Pool
from service.domain.chat.state import ChatState, Status
from service.errors import TooMany
from service.readmodels.chats import running_of

Value = TypeVar("Value")

WINDOW_S = 60.0
"""A token may ask for a whole minute's worth at once, and then at its rate."""

REMEMBERED = 10_000
"""Tokens and users in use at a time; beyond, the one seen longest ago begins anew."""

LOOK_S = 1.0
"""How long a count of running chats is good for: a busy user costs a query a second."""

BUSY = frozenset({Status.RUNNING, Status.INTERRUPTING})
"""Statuses in which more to say makes no further chat run."""


class Limits:
    """The limits of one process; 0 is none. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        per_minute: int = 0,
        running: int = 0,
        clock: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._every_s = WINDOW_S / per_minute if per_minute else 0.0
        self._running = running
        self._clock = clock
        self._due: OrderedDict[UUID, float] = OrderedDict()
        self._room: OrderedDict[UUID, tuple[float, int]] = OrderedDict()
        self.rate_limited = 0
        """Requests refused for the rate of their token; read by metrics."""
        self.too_many_running = 0
        """Requests refused since too many chats of their user ran."""

    def request(self, token_id: UUID) -> None:
        """Count a request with this token. Raises TooMany.

        One number a token: until when it has used up what it may ask for. Each request
        moves it on by its share of a minute; a minute ahead of now is too far.
        """
        if not self._every_s:
            return
        now = self._clock()
        due = max(self._due.get(token_id, now), now) + self._every_s
        if due - now > WINDOW_S:
            self.rate_limited += 1
            raise TooMany(
                "rate-limited",
                f"this token may ask {WINDOW_S / self._every_s:.0f} times a minute",
                retry_after_s=math.ceil(due - now - WINDOW_S),
            )
        _remember(self._due, token_id, due)

    async def turn(self, pool: Pool, owner_id: UUID, state: ChatState | None) -> None:
        """Let a turn begin, in a chat in this state or a new one. Raises TooMany."""
        if not self._running or (state is not None and state.status in BUSY):
            return
        now = self._clock()
        looked_at, room = known = self._room.get(owner_id, (-math.inf, 0))
        if room <= 0 or now - looked_at > LOOK_S:
            looked_at, room = now, self._running - await _running(pool, owner_id)
            newest = self._room.get(owner_id, known)
            if newest[0] > known[0]:
                # who looked at the same time has given places away that nobody counted
                looked_at, room = newest
        if room <= 0:
            self.too_many_running += 1
            raise TooMany(
                "too-many-running",
                f"{self._running} of your chats may run at a time; wait until one ends",
            )
        _remember(self._room, owner_id, (looked_at, room - 1))


async def _running(pool: Pool, owner_id: UUID) -> int:
    try:
        async with pool.connection() as connection:
            return await running_of(connection, owner_id)
    except UndefinedTable:
        return 0  # no read models yet: nothing is known, so nobody is refused


def _remember(known: OrderedDict[UUID, Value], key: UUID, value: Value) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > REMEMBERED:
        known.popitem(last=False)
