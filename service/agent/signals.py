"""What tests wait for instead of sleeping. In production nobody listens.

A signal remembers every value only after `listen`; `fire` costs one comparison until
then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar
from uuid import UUID

from service.agent.runner import Outcome

T = TypeVar("T")


class Signal(Generic[T]):
    """Values that were fired, in order; one listener."""

    def __init__(self) -> None:
        self._fired: asyncio.Queue[T] | None = None

    def listen(self) -> None:
        """Remember values from here on."""
        self._fired = asyncio.Queue()

    def fire(self, value: T) -> None:
        """It happened."""
        if self._fired is not None:
            self._fired.put_nowait(value)

    async def wait(
        self, wanted: Callable[[T], bool] = lambda _: True, *, timeout: float = 10.0
    ) -> T:
        """The next wanted value; others are skipped. Raises TimeoutError."""
        if self._fired is None:
            raise RuntimeError("nobody listens; call listen before it can happen")
        async with asyncio.timeout(timeout):
            while not wanted(value := await self._fired.get()):
                pass
        return value


class Signals:
    """Of one worker."""

    def __init__(self) -> None:
        self.acquired: Signal[tuple[UUID, int]] = Signal()
        """(chat, term): the log says that this worker holds it."""
        self.skipped: Signal[UUID] = Signal()
        """A candidate that needs no worker, or that another one took."""
        self.lost: Signal[UUID] = Signal()
        """The lease is gone; the work was dropped."""
        self.left: Signal[tuple[UUID, Outcome]] = Signal()
        """The chat's slot is free again, and why."""
        self.beat: Signal[int] = Signal()
        """A heartbeat was answered, for so many chats."""

    def listen(self) -> None:
        """Listen to all of them."""
        for signal in vars(self).values():
            signal.listen()
