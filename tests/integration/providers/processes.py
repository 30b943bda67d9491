"""What looks models up in one process, and somebody who changes them elsewhere."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any
from uuid import UUID

from service.db.guard import Guard
from service.db.pool import Connection, Database, Pool
from service.eventstore.records import RecordedEvent
from service.platform.catalog import Catalog
from service.platform.model_configs import insert_model_config
from service.platform.providers import insert_provider
from service.platform.secrets import SecretBox, new_key
from service.providers.choose import VendorModel
from service.providers.lookup import Catalogued
from service.providers.models import Model
from service.subscription.listener import LOG_CHANNEL, Listener
from service.subscription.tail import Tail

PATIENCE_S = 20.0

NEVER_S = 3600.0
"""A poll that comes too late for any test: what is heard of was told by a doorbell."""

OWNER = UUID("00000000-0000-4000-8000-000000000001")

SECRETS = SecretBox([new_key()])

POOL = "parley/service"
"""What the connections of the request pool are called."""


class Process:
    """Pool, listener, tail, catalog and models, as a service puts them together."""

    def __init__(
        self,
        database: Database,
        guard: Guard,
        *,
        environment: VendorModel | None = None,
        secrets: SecretBox = SECRETS,
        deaf: bool = False,
    ) -> None:
        """`deaf`: no doorbell is heard, so nothing of the log is."""
        self._database = database
        self._guard = guard
        self._environment = environment
        self._secrets = secrets
        self._deaf = deaf
        self._told: Counter[str] = Counter()
        self._moved = asyncio.Event()
        self.stale = False

    async def __aenter__(self) -> Process:
        async with AsyncExitStack() as stack:
            pool = Pool(self._database, guard=self._guard, size=4)
            self.pool = await stack.enter_async_context(pool)
            self.catalog = Catalog(pool)
            stack.push_async_callback(self.catalog.close)
            self.models = await stack.enter_async_context(
                Catalogued(
                    self.catalog,
                    lambda: self._secrets,
                    self._environment,
                    scripted_rate=1000.0,
                )
            )
            self.tail = Tail(self._database, poll_interval_s=NEVER_S)
            self.listener = Listener(self._database.dsn)
            if not self._deaf:
                self.listener.subscribe(LOG_CHANNEL, self.tail.ring_log)
            self.tail.on_reset(self.catalog.forget_all)
            self.tail.on_stale(self.catalog.on_stale)
            self.tail.on_stale(self._on_stale)
            self.tail.subscribe(self.catalog.on_events)
            self.tail.subscribe(self._on_events)
            for run in (self.listener.run, self.tail.run):
                stack.push_async_callback(_stop, asyncio.create_task(run()))
            async with asyncio.timeout(PATIENCE_S):
                await self.tail.started.wait()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def model(self, config_id: UUID | None = None, **how: Any) -> Model:
        """What a chat of the first user is answered by."""
        return await self.models.resolve(
            owner_id=OWNER, model_config_id=config_id, **how
        )

    async def heard(self, type_: str, times: int = 1) -> None:
        """Wait until the tail has brought so many events of this type."""
        async with asyncio.timeout(PATIENCE_S):
            while self._told[type_] < times:
                self._moved.clear()
                await self._moved.wait()

    async def silence(self, stale: bool) -> None:
        """Wait until the tail has lost the database, or found it again."""
        async with asyncio.timeout(PATIENCE_S):
            while self.stale is not stale:
                self._moved.clear()
                await self._moved.wait()

    def _on_events(self, events: Sequence[RecordedEvent]) -> None:
        self._told.update(event.type for event in events)
        self._moved.set()

    def _on_stale(self, stale: bool) -> None:
        self.stale = stale
        self._moved.set()


async def provider(connection: Connection, **columns: Any) -> UUID:
    """A provider that needs no key."""
    given = {
        "kind": "openai_compat",
        "display_name": "Ours",
        "base_url": "http://models.example/v1",
        **columns,
    }
    return await insert_provider(connection, **given)


async def config(connection: Connection, provider_id: UUID, **columns: Any) -> UUID:
    """A config of it."""
    given = {"model": "small", "context_limit": 1000, **columns}
    return await insert_model_config(connection, provider_id=provider_id, **given)


async def _stop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
