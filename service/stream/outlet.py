"""Where a follower writes: ASGI `send`, with a clock on sends that do not come back.

A timer per send would cost as much as the send. So each outlet notes when its send
began, and the hub's heartbeat cuts those that have been stuck for too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Peer(Protocol):
    """The client of a stream, when the server lets us near its connection."""

    def offer(self, chunk: bytes) -> bool:
        """Write a chunk of the body if that has not to wait; whether it was."""


class Outlet:
    """The sending side of one stream, owned by the task that writes to it."""

    __slots__ = ("_task", "cut", "loop", "opening", "peer", "raw_send", "since")

    def __init__(self, send: Send, peer: Peer | None = None) -> None:
        self.raw_send = send
        self.peer = peer
        self._task = asyncio.current_task()
        self.since: float | None = None
        """When the send began that has not come back."""
        self.loop = asyncio.get_running_loop()
        self.cut = False
        self.opening = True
        """Its client has not heard yet that it is in the present."""

    async def send(self, message: Message) -> None:
        """Send a ready message; waits while the client takes nothing."""
        self.since = self.loop.time()
        await self.raw_send(message)
        self.since = None

    async def write(self, body: bytes) -> None:
        """Send bytes of the body."""
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    def cut_if_stalled(self, timeout_s: float) -> None:
        """Cancel the writing task when its send has been stuck for `timeout_s`."""
        if self.since is not None and self.loop.time() - self.since > timeout_s:
            self.end()

    def beat(self, comment: bytes) -> None:
        """Tell a client that waits for its turn that the connection lives."""
        if self.opening and self.peer is not None:
            self.peer.offer(b"%x\r\n%b\r\n" % (len(comment), comment))

    def end(self) -> None:
        """Cancel the writing task: its client has left, or is to be cut."""
        if self._task is not None and not self.cut:
            self.cut = True
            self._task.cancel()

    def uncancel(self) -> None:
        """The writing task has ended its stream and goes on."""
        if self._task is not None:
            self._task.uncancel()
