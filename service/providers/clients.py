"""Clients of vendors: opened by the first call, shared, closed when nobody needs them.

One for each provider as an operator set it, and each API. When a provider changes, its
old client serves the calls that it has, and is closed after the last of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
)
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from service.providers.choose import Api, VendorModel, name_of
from service.providers.provider import Delta, ModelRequest, Provider

Version = tuple[UUID, datetime]
"""A provider, and when it changed last."""

Open = Callable[[VendorModel], AbstractAsyncContextManager[Provider]]


@dataclass(frozen=True, slots=True)
class Place:
    """What calls share a client for. Without a version: the environment's model."""

    version: Version | None
    api: Api


class Clients:
    """The clients of a process."""

    def __init__(self, open_client: Open) -> None:
        self._open_client = open_client
        self._clients: dict[Place, _Client] = {}
        self._current: Collection[Version] = ()
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Clients that may be called."""
        return len(self._clients)

    def provider(self, place: Place, chosen: VendorModel) -> Provider:
        """A provider that opens its client when it is first asked."""
        return _Shared(self, place, chosen)

    def keep(self, current: Collection[Version]) -> None:
        """Close clients of other versions than these, once nobody calls them."""
        self._current = frozenset(current)
        for place in list(self._clients):
            self._close_unneeded(place)

    async def close(self) -> None:
        """Close all; calls have ended."""
        for place in list(self._clients):
            self._close(place)
        await asyncio.gather(*self._closing)

    @asynccontextmanager
    async def call(self, place: Place, chosen: VendorModel) -> AsyncIterator[Provider]:
        """The client of a place, held open while it is called."""
        client = self._clients.get(place)
        if client is None:
            opening = partial(self._open_client, chosen)
            client = self._clients[place] = _Client(opening)
        client.calls += 1
        try:
            yield await client.opened()
        finally:
            client.calls -= 1
            self._close_unneeded(place)

    def _close_unneeded(self, place: Place) -> None:
        client = self._clients.get(place)
        current = place.version is None or place.version in self._current
        if client is not None and not current and client.calls == 0:
            self._close(place)

    def _close(self, place: Place) -> None:
        # by a task: whose call ended may be cancelled
        closing = asyncio.create_task(self._clients.pop(place).close(), name="client")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


class _Client:
    def __init__(
        self, opening: Callable[[], AbstractAsyncContextManager[Provider]]
    ) -> None:
        self._opening = opening
        self._lock = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._provider: Provider | None = None
        self.calls = 0

    async def opened(self) -> Provider:
        async with self._lock:
            if self._provider is None:
                # who waited for one that was cancelled meanwhile opens it anew
                self._provider = await self._stack.enter_async_context(self._opening())
            return self._provider

    async def close(self) -> None:
        await self._stack.aclose()


class _Shared:
    """A `Provider` on a client that others use too."""

    def __init__(self, clients: Clients, place: Place, chosen: VendorModel) -> None:
        self._clients = clients
        self._place = place
        self._chosen = chosen

    @property
    def name(self) -> str:
        return name_of(self._chosen)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        # the client does not know whose config it is asked for
        asked = replace(request, model=request.model or self._chosen.name)
        async with (
            self._clients.call(self._place, self._chosen) as provider,
            aclosing(provider.stream(asked)) as deltas,
        ):
            async for delta in deltas:
                yield delta
