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
from uuid import UUID

from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from projections.tables import make_read_models
from service.agent.act import Means
from service.agent.worker import Pace, Worker
from service.api.context import Context
from service.api.routes import build_api
from service.api.server import HttpServer, bind, url_of
from service.auth.bearer import Bearer, hash_token, new_token
from service.auth.policy import SCOPES
from service.db.embedded.running import running_dsn
from service.db.embedded.server import EmbeddedPostgres
from service.db.guard import Guard
from service.db.migrate import migrate, schema_state
from service.db.pool import Database, Pool, connect
from service.errors import Fault, SetupError
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from service.lease import Leases
from service.live.flush import Flusher
from service.live.janitor import Janitor
from service.metrics import Metrics
from service.platform.tokens import insert_token
from service.platform.users import ensure_first_user
from service.providers.scripted import Scripted
from service.readmodels.runnable import runnable_chats
from service.settings import Role, Settings
from service.stream.hub import Hub
from service.subscription.listener import LIVE_CHANNEL, LOG_CHANNEL, Listener
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


@dataclass(frozen=True, slots=True)
class Databases:
    """The database by the way that requests take, and the direct way."""

    main: Database
    direct: Database


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
) -> None:
    """Run until `stop` is set; then end in order.

    Raises SetupError when it cannot start, PartEnded when a part gave up.
    """
    # first: a taken port is known before a database is started for nothing
    listening = bind(settings.host, settings.port) if "api" in roles else None
    async with AsyncExitStack() as stack:
        if listening is not None:
            stack.callback(listening.close)
        databases = await stack.enter_async_context(open_database(settings, data_dir))
        if migrate_first:
            await migrate(databases.direct, say=_say)
            await make_read_models(databases.main, PROJECTIONS)
        await _check_schema(databases.main)
        tasks = Tasks(stop)
        parts = await stack.enter_async_context(_parts(settings, databases, tasks))
        stack.push_async_callback(tasks.cancel)
        await _run(parts, settings, roles, listening, on_started)
    if tasks.ended is not None:
        raise PartEnded(f"{tasks.ended} ended by itself; see the log")


@asynccontextmanager
async def open_database(
    settings: Settings, data_dir: Path, *, beside_service: bool = False
) -> AsyncIterator[Databases]:
    """The database that the settings name, or the embedded one in `data_dir`.

    `beside_service`: use the embedded server of a service that runs there already.
    """
    prefix = settings.role_prefix
    if settings.database_url is not None:
        main = settings.database_url.get_secret_value()
        listen = settings.listen_url or settings.database_url
        yield Databases(
            Database(main, role_prefix=prefix, pooled=settings.database_pooler),
            Database(listen.get_secret_value(), role_prefix=prefix),
        )
        return
    if beside_service and (dsn := running_dsn(data_dir)) is not None:
        yield Databases(*[Database(dsn, role_prefix=prefix)] * 2)
        return
    async with EmbeddedPostgres(data_dir, say=_say) as postgres:
        yield Databases(*[Database(postgres.dsn, role_prefix=prefix)] * 2)


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


@asynccontextmanager
async def _parts(
    settings: Settings, databases: Databases, tasks: Tasks
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
        yield Parts(
            databases=databases,
            tasks=tasks,
            guard=guard,
            pool=pool,
            appender=appender,
            chats=Chats(pool, appender, cache_bytes=settings.state_cache_bytes),
            listener=Listener(databases.direct.dsn),
            metrics=Metrics(),
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
    parts.listener.subscribe(LOG_CHANNEL, tail.ring_log)
    tail.on_reset(parts.chats.forget_all)
    async with AsyncExitStack() as working:
        worker = _worker(parts, settings, tail) if "worker" in roles else None
        api = _Api(parts, settings, tail, listening) if listening is not None else None
        if "projector" in roles:
            _start_projector(parts, settings)
        tasks.start("listener", parts.listener.run())
        tasks.start("tail", tail.run())
        # what a worker reads before its tail has begun, it would not hear of again
        await _first_of(tail.started, tasks.stop)
        if worker is not None:
            await working.enter_async_context(worker)
        token = None
        if api is not None:
            token = await _first_token(parts.pool)
            await api.start()
        url = None if listening is None else url_of(listening)
        on_started(Started(url=url, token=token, database_url=main.dsn))
        logger.info("service started", extra={"roles": ",".join(sorted(roles))})
        await tasks.stop.wait()
        logger.info("service stopping")
        if api is not None:
            await api.stop()


def _start_projector(parts: Parts, settings: Settings) -> None:
    runner = ProjectionRunner(
        parts.databases.main,
        PROJECTIONS,
        parts.listener.wakeup(LOG_CHANNEL),
        poll_interval_s=settings.poll_interval_s,
    )
    parts.tasks.start("projector", runner.run())


@asynccontextmanager
async def _worker(parts: Parts, settings: Settings, tail: Tail) -> AsyncIterator[None]:
    """The role worker: takes chats while entered; on exit it gives them back."""
    main, tasks = parts.databases.main, parts.tasks

    async def runnable(limit: int) -> list[UUID]:
        async with parts.pool.connection() as connection:
            return await runnable_chats(connection, limit, lease_s=settings.lease_s)

    async with (
        Flusher(main) as flusher,
        Leases(main, worker=worker_name(), lease_s=settings.lease_s) as leases,
    ):
        means = Means(
            provider=Scripted(rate=settings.scripted_rate),
            tools=Registry([clock(utc_now)], now=utc_now),
            flusher=flusher,
            pool=parts.pool,
            guard=parts.guard,
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
        async with worker:
            yield


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


class _Api:
    """The role api: hub and HTTP."""

    def __init__(
        self, parts: Parts, settings: Settings, tail: Tail, listening: socket.socket
    ) -> None:
        self._tasks = parts.tasks
        self._hub = Hub(
            chats=parts.chats,
            pool=parts.pool,
            ring_frames=settings.ring_frames,
            ring_bytes=settings.ring_bytes,
            heartbeat_s=settings.stream_heartbeat_s,
            send_timeout_s=settings.stream_send_timeout_s,
            ring_live=tail.ring_live,
        )
        tail.subscribe(self._hub.on_events)
        tail.follow(self._hub.followed, self._hub.read_parts)
        tail.on_reset(self._hub.reset)
        tail.on_stale(self._hub.on_stale)
        parts.listener.subscribe(LIVE_CHANNEL, tail.ring_live)
        context = Context(
            chats=parts.chats,
            pool=parts.pool,
            bearer=Bearer(parts.pool, now=utc_now),
            hub=self._hub,
            metrics=parts.metrics,
            now=utc_now,
            stream_lifetime_s=settings.stream_lifetime_s,
        )
        origins = [o.strip() for o in settings.cors_origins.split(",") if o.strip()]
        self._server = HttpServer(build_api(context, cors_origins=origins), listening)

    async def start(self) -> None:
        """Take connections."""
        self._tasks.start("hub", self._hub.run())
        self._serving = self._tasks.start("http", self._server.run())
        await self._server.started()

    async def stop(self) -> None:
        """Say bye to followers, answer what is being served."""
        self._hub.end("shutdown")
        self._server.stop()
        await asyncio.wait([self._serving])


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


def _say(progress: str) -> None:
    logger.info("start", extra={"progress": progress})
