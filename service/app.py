"""The composition root: builds the parts that the roles need, runs them, stops them.

Start: database, schema, pools, then the tasks, then HTTP. Stop, in the order of the
data: followers get `bye`, requests are answered, turns end or are given back, what
waits to be appended is appended, readers stop, and the embedded Postgres last. A part
that ends by itself takes the service down the same way, and says so.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from projections.registry import installed
from projections.runner import ProjectionRunner
from projections.tables import make_read_models
from service.agent.means import Means
from service.agent.worker import Pace, Worker
from service.api.context import Vitals
from service.api.host import ApiHost, Host, VitalsHost
from service.api.server import bind, url_of
from service.auth.bearer import Bearer, hash_token, new_token
from service.auth.policy import SCOPES
from service.db.guard import Guard
from service.db.migrate import migrate, schema_state
from service.db.pool import Database, Pool, connect
from service.db.source import Databases, open_database, say
from service.errors import Fault, SetupError
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from service.lease import Leases
from service.live.flush import Flusher
from service.live.janitor import Janitor
from service.metrics import Metrics
from service.platform.tokens import insert_token
from service.platform.users import ensure_first_user
from service.providers.choose import VendorModel, choose, open_provider
from service.providers.models import OneModel
from service.providers.provider import Provider
from service.readmodels.runnable import FreeChat, runnable_chats
from service.settings import Role, Settings
from service.subscription.listener import LOG_CHANNEL, Listener
from service.subscription.tail import Tail
from service.tools.clock import clock
from service.tools.registry import Registry

logger = logging.getLogger(__name__)

ALL_ROLES: frozenset[Role] = frozenset({"api", "worker", "projector"})


class PartEnded(Fault):
    """A part of the service ended by itself; the log says why."""


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever started the service wants to know."""

    url: str | None
    """None for a process without the role api."""
    token: str | None
    database_url: str


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


async def run_service(
    settings: Settings,
    *,
    data_dir: Path,
    roles: frozenset[Role],
    stop: asyncio.Event,
    on_started: Callable[[Started], None],
    migrate_first: bool = True,
    provider: Provider | None = None,
) -> None:
    """Run until `stop` is set; then end in order.

    `provider` takes the place of the model that the settings name: for the test kit.
    Raises SetupError when it cannot start, PartEnded when a part gave up.
    """
    # first: what cannot work is known before a database is started for nothing
    if "worker" in roles:
        chosen_model(settings)
    port = settings.port if "api" in roles else settings.metrics_port
    listening = None if port is None else bind(settings.host, port)
    async with AsyncExitStack() as stack:
        if listening is not None:
            stack.callback(listening.close)
        databases = await stack.enter_async_context(open_database(settings, data_dir))
        if migrate_first:
            await migrate(databases.direct, say=say)
            await make_read_models(databases.main, installed())
        await _check_schema(databases.main)
        tasks = Tasks(stop)
        parts = await stack.enter_async_context(
            _parts(settings, databases, tasks, provider)
        )
        stack.push_async_callback(tasks.cancel)
        await _run(parts, settings, roles, listening, on_started)
    if tasks.ended is not None:
        raise PartEnded(f"{tasks.ended} ended by itself; see the log")


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
    metrics: Metrics
    provider: Provider | None
    """None: the one that the settings name."""


@asynccontextmanager
async def _parts(
    settings: Settings,
    databases: Databases,
    tasks: Tasks,
    provider: Provider | None,
) -> AsyncIterator[Parts]:
    guard = Guard(settings.guard)
    async with (
        Pool(databases.main, guard=guard, size=settings.pool_size) as pool,
        Appender(
            databases.main,
            guard=guard,
            queue_size=settings.append_queue,
            deadline_s=settings.append_deadline_s,
        ) as appender,
    ):
        listener, metrics = Listener(databases.direct.dsn), Metrics()
        metrics.watch("appender", appender.tally)
        metrics.watch("appends", appender)
        metrics.watch("listener", listener)
        metrics.watch("guard", guard)
        metrics.watch("database", databases.main)
        metrics.watch("pool", pool)
        chats = Chats(pool, appender, cache_bytes=settings.state_cache_bytes)
        metrics.watch("chats", chats)
        yield Parts(
            databases=databases,
            tasks=tasks,
            guard=guard,
            pool=pool,
            appender=appender,
            chats=chats,
            listener=listener,
            metrics=metrics,
            provider=provider,
        )


async def _run(
    parts: Parts,
    settings: Settings,
    roles: frozenset[Role],
    listening: socket.socket | None,
    on_started: Callable[[Started], None],
) -> None:
    tasks, main = parts.tasks, parts.databases.main
    tail = Tail(main, poll_interval_s=settings.poll_interval_s)
    parts.metrics.watch("tail", tail)
    parts.listener.subscribe(LOG_CHANNEL, tail.ring_log)
    tail.on_reset(parts.chats.forget_all)
    tail.subscribe(parts.chats.on_events)
    async with AsyncExitStack() as working:
        worker = _worker(parts, settings, tail) if "worker" in roles else None
        host: Host = (
            _api(parts, settings, tail)
            if "api" in roles
            else VitalsHost(_vitals(parts, settings))
        )
        if "projector" in roles:
            _start_projector(parts, settings)
        tasks.start("listener", parts.listener.run())
        tasks.start("tail", tail.run())
        # what a worker reads before its tail has begun, it would not hear of again
        await _first_of(tail.started, tasks.stop)
        if worker is not None:
            await working.enter_async_context(worker)
        token, url = None, None
        if "api" in roles and listening is not None:
            token, url = await _first_token(parts.pool), url_of(listening)
        if listening is not None:
            await host.start(listening, tasks.start)
        if not tasks.stop.is_set():
            on_started(Started(url=url, token=token, database_url=main.dsn))
            logger.info("service started", extra={"roles": ",".join(sorted(roles))})
        await tasks.stop.wait()
        logger.info("service stopping")
        await host.stop()


def _api(parts: Parts, settings: Settings, tail: Tail) -> ApiHost:
    return ApiHost(
        chats=parts.chats,
        pool=parts.pool,
        tail=tail,
        listener=parts.listener,
        metrics=parts.metrics,
        settings=settings,
        now=utc_now,
    )


def _vitals(parts: Parts, settings: Settings) -> Vitals:
    return Vitals(
        pool=parts.pool,
        bearer=Bearer(parts.pool, now=utc_now),
        metrics=parts.metrics,
        metrics_public=settings.metrics_public,
    )


def _start_projector(parts: Parts, settings: Settings) -> None:
    runner = ProjectionRunner(
        parts.databases.main,
        installed(),
        parts.listener.wakeup(LOG_CHANNEL),
        poll_interval_s=settings.poll_interval_s,
    )
    parts.tasks.start("projector", runner.run())
    parts.metrics.watch("projector", runner.tally)


@asynccontextmanager
async def _worker(parts: Parts, settings: Settings, tail: Tail) -> AsyncIterator[None]:
    """The role worker: takes chats while entered; on exit it gives them back."""
    main, tasks = parts.databases.main, parts.tasks

    async def runnable(limit: int) -> list[FreeChat]:
        async with parts.pool.connection() as connection:
            return await runnable_chats(connection, limit, lease_s=settings.lease_s)

    async with (
        open_provider(
            chosen_model(settings), scripted_rate=settings.scripted_rate
        ) as provider,
        Flusher(main) as flusher,
        Leases(main, worker=worker_name(), lease_s=settings.lease_s) as leases,
    ):
        means = Means(
            models=OneModel.of(parts.provider or provider),
            tools=Registry([clock(utc_now)], now=utc_now),
            flusher=flusher,
            pool=parts.pool,
            guard=parts.guard,
            metrics=parts.metrics.models,
        )
        pace = Pace(
            slots=settings.worker_slots,
            poll_interval_s=settings.poll_interval_s,
            heartbeat_interval_s=settings.heartbeat_interval_s,
            shutdown_grace_s=settings.shutdown_grace_s,
        )
        worker = Worker(
            parts.chats, leases, means, runnable=runnable, pace=pace, now=utc_now
        )
        tail.subscribe(worker.on_events)
        tasks.start("janitor", Janitor(main).run())
        parts.metrics.watch("worker", worker)
        parts.metrics.watch("lease", worker.heartbeat)
        parts.metrics.watch("live", flusher)
        async with worker:
            tasks.start("worker", worker.ended())
            yield


def chosen_model(settings: Settings) -> VendorModel | None:
    """The model that a worker asks; raises SetupError when its key is missing."""
    return choose(
        settings.model,
        base_url=settings.model_base_url,
        keys={
            "openai": settings.openai_api_key,
            "anthropic": settings.anthropic_api_key,
        },
    )


def worker_name() -> str:
    """Who holds a lease: the machine, the process, and a number against mix-ups."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


async def _first_of(*signals: asyncio.Event) -> None:
    waits = [asyncio.create_task(signal.wait(), name="start") for signal in signals]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _check_schema(database: Database) -> None:
    """Refuse to run on a schema that this release cannot work on."""
    async with await connect(database, role=None, name="start") as connection:
        if not (await schema_state(connection)).current:
            raise SetupError("the schema is not current; run `parley migrate`")


async def _first_token(pool: Pool) -> str:
    """A new token of the first user, who is made when there is none."""
    token = new_token()
    async with pool.connection() as connection:
        user_id = await ensure_first_user(connection)
        await insert_token(
            connection,
            token_hash=hash_token(token),
            user_id=user_id,
            name="start",
            scopes=SCOPES,
        )
    return token


def utc_now() -> datetime:
    """The clock of the process."""
    return datetime.now(UTC)  # noqa: TID251  the one reading; everybody else is given it
