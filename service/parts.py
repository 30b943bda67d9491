"""What more than one role of a process uses, and the long tasks that it runs."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.db.guard import Guard
from service.db.pool import Pool
from service.db.source import Databases
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from service.metrics import Metrics
from service.platform.catalog import Catalog
from service.platform.secrets import SecretBox, open_secrets
from service.providers.choose import VendorModel, choose
from service.providers.lookup import Catalogued
from service.providers.models import Models, OneModel
from service.providers.provider import Provider
from service.settings import Settings
from service.subscription.listener import LOG_CHANNEL, Listener
from service.subscription.tail import Tail

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Tasks:
    """The long tasks of the process; the first that ends by itself stops it."""

    stop: asyncio.Event
    ended: str | None = None
    running: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self, name: str, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Run a part until it is cancelled, or told to end once `stop` is set."""
        task = asyncio.create_task(self._watch(name, work), name=name)
        self.running.append(task)
        return task

    async def cancel(self) -> None:
        """End what still runs."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)

    async def _watch(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except Exception:
            logger.critical("part failed", extra={"part": name}, exc_info=True)
            self.ended = self.ended or name
        else:
            if not self.stop.is_set():
                logger.critical("part ended", extra={"part": name})
                self.ended = self.ended or name
        self.stop.set()


@dataclass(frozen=True, slots=True)
class Asked:
    """Which models a process asks, as its start found out."""

    provider: Provider | None
    """Takes the place of all models: for the test kit."""
    environment: VendorModel | None
    """Where there are no configs; None: the scripted one."""
    secrets: Callable[[], SecretBox]


@dataclass(frozen=True, slots=True)
class Parts:
    """What more than one role uses."""

    databases: Databases
    tasks: Tasks
    guard: Guard
    pool: Pool
    appender: Appender
    chats: Chats
    listener: Listener
    tail: Tail
    metrics: Metrics
    catalog: Catalog
    models: Models


def asked_by(
    settings: Settings, data_dir: Path, *, asks: bool, provider: Provider | None
) -> Asked:
    """Raises SetupError when what the process needs for it is missing or malformed."""
    if settings.secret_key is not None:
        open_secrets(settings.secret_key, data_dir)
    return Asked(
        provider,
        chosen_model(settings) if asks else None,
        # a process without stored keys needs none to read them with
        functools.cache(lambda: open_secrets(settings.secret_key, data_dir)),
    )


def chosen_model(settings: Settings) -> VendorModel | None:
    """The environment's model; raises SetupError when its key is missing."""
    return choose(
        settings.model,
        base_url=settings.model_base_url,
        keys={
            "openai": settings.openai_api_key,
            "anthropic": settings.anthropic_api_key,
        },
    )


@asynccontextmanager
async def open_parts(
    settings: Settings, databases: Databases, tasks: Tasks, asked: Asked
) -> AsyncIterator[Parts]:
    """The parts, told of what happens in the log once the tail and listener run."""
    guard = Guard(settings.guard)
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(
            Pool(databases.main, guard=guard, size=settings.pool_size)
        )
        appender = await stack.enter_async_context(
            Appender(
                databases.main,
                guard=guard,
                queue_size=settings.append_queue,
                deadline_s=settings.append_deadline_s,
            )
        )
        catalog = Catalog(pool)
        stack.push_async_callback(catalog.close)
        parts = Parts(
            databases=databases,
            tasks=tasks,
            guard=guard,
            pool=pool,
            appender=appender,
            chats=Chats(pool, appender, cache_bytes=settings.state_cache_bytes),
            listener=Listener(databases.direct.dsn),
            tail=Tail(databases.main, poll_interval_s=settings.poll_interval_s),
            metrics=Metrics(),
            catalog=catalog,
            models=await _open_models(settings, catalog, asked, stack),
        )
        _connect(parts)
        _watch(parts)
        yield parts


async def _open_models(
    settings: Settings, catalog: Catalog, asked: Asked, stack: AsyncExitStack
) -> Models:
    if asked.provider is not None:
        return OneModel.of(asked.provider)
    return await stack.enter_async_context(
        Catalogued(
            catalog,
            asked.secrets,
            asked.environment,
            scripted_rate=settings.scripted_rate,
            silence_s=settings.model_silence_s,
        )
    )


def _connect(parts: Parts) -> None:
    """Caches first: whoever acts on an event finds what it changed."""
    tail = parts.tail
    parts.listener.subscribe(LOG_CHANNEL, tail.ring_log)
    tail.on_reset(parts.chats.forget_all)
    tail.on_reset(parts.catalog.forget_all)
    tail.on_stale(parts.catalog.on_stale)
    tail.subscribe(parts.chats.on_events)
    tail.subscribe(parts.catalog.on_events)


def _watch(parts: Parts) -> None:
    metrics = parts.metrics
    metrics.watch("appender", parts.appender.tally)
    metrics.watch("appends", parts.appender)
    metrics.watch("listener", parts.listener)
    metrics.watch("guard", parts.guard)
    metrics.watch("database", parts.databases.main)
    metrics.watch("pool", parts.pool)
    metrics.watch("chats", parts.chats)
    metrics.watch("tail", parts.tail)
