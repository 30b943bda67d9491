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
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from projections.registry import installed
from projections.runner import ProjectionRunner
from projections.tables import make_read_models
from service.agent.guards import Patience
from service.agent.means import Means
from service.agent.sources import Sources
from service.agent.worker import Pace, Worker
from service.api.context import Vitals
from service.api.host import ApiHost, Host, VitalsHost
from service.api.server import bind, url_of
from service.auth.bearer import Bearer, hash_token, new_token
from service.auth.policy import SCOPES
from service.clock import utc_now
from service.db.migrate import migrate, schema_state
from service.db.pool import Database, Pool, connect
from service.db.source import open_database, say
from service.errors import Fault, SetupError
from service.lease import Leases
from service.live.flush import Flusher
from service.live.janitor import Janitor
from service.parts import Parts, Tasks, asked_by, open_parts
from service.platform.tokens import insert_token
from service.platform.users import ensure_first_user
from service.providers.provider import Provider
from service.readmodels.runnable import FreeChat, runnable_chats
from service.settings import Role, Settings
from service.subscription.listener import LOG_CHANNEL
from service.tools.clock import clock
from service.tools.registry import Registry
from service.tracing import Tracing, open_tracing

logger = logging.getLogger(__name__)

ASKING: frozenset[Role] = frozenset({"api", "worker"})
"""Roles that ask models: for titles, and for everything else."""


class PartEnded(Fault):
    """A part of the service ended by itself; the log says why."""


@dataclass(frozen=True, slots=True)
class Started:
    """What whoever started the service wants to know."""

    url: str | None
    """None for a process without the role api."""
    token: str | None
    database_url: str


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
    asks = not roles.isdisjoint(ASKING)
    asked = asked_by(settings, data_dir, asks=asks, provider=provider)
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
            open_parts(settings, databases, tasks, asked)
        )
        stack.push_async_callback(tasks.cancel)
        await _run(parts, settings, roles, listening, on_started)
    if tasks.ended is not None:
        raise PartEnded(f"{tasks.ended} ended by itself; see the log")


async def _run(
    parts: Parts,
    settings: Settings,
    roles: frozenset[Role],
    listening: socket.socket | None,
    on_started: Callable[[Started], None],
) -> None:
    tasks, tail, main = parts.tasks, parts.tail, parts.databases.main
    async with AsyncExitStack() as working:
        worker = _worker(parts, settings) if "worker" in roles else None
        host: Host = (
            _api(parts, settings)
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


def _api(parts: Parts, settings: Settings) -> ApiHost:
    return ApiHost(
        chats=parts.chats,
        pool=parts.pool,
        tail=parts.tail,
        listener=parts.listener,
        metrics=parts.metrics,
        models=parts.models,
        catalog=parts.catalog,
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
async def _worker(parts: Parts, settings: Settings) -> AsyncIterator[None]:
    """The role worker: takes chats while entered; on exit it gives them back."""
    main, tasks, name = parts.databases.main, parts.tasks, worker_name()

    async def runnable(limit: int) -> list[FreeChat]:
        async with parts.pool.connection() as connection:
            return await runnable_chats(connection, limit, lease_s=settings.lease_s)

    async with (
        Flusher(main) as flusher,
        Leases(main, worker=name, lease_s=settings.lease_s) as leases,
        _tracing(settings, name) as tracing,
    ):
        means = _means(parts, settings, flusher, tracing)
        pace = Pace(
            slots=settings.worker_slots,
            poll_interval_s=settings.poll_interval_s,
            heartbeat_interval_s=settings.heartbeat_interval_s,
            shutdown_grace_s=settings.shutdown_grace_s,
        )
        worker = Worker(
            parts.chats, leases, means, runnable=runnable, pace=pace, now=utc_now
        )
        parts.tail.subscribe(worker.on_events)
        tasks.start("janitor", Janitor(main).run())
        parts.metrics.watch("worker", worker)
        parts.metrics.watch("lease", worker.heartbeat)
        parts.metrics.watch("live", flusher)
        async with worker:
            tasks.start("worker", worker.ended())
            yield


def _means(
    parts: Parts, settings: Settings, flusher: Flusher, tracing: Tracing
) -> Means:
    async def user_prompt(user_id: UUID) -> str:
        return (await parts.catalog.user(user_id)).custom_prompt

    return Means(
        models=parts.models,
        tools=Registry([clock(utc_now)], now=utc_now),
        flusher=flusher,
        pool=parts.pool,
        guard=parts.guard,
        metrics=parts.metrics.models,
        tracing=tracing,
        sources=Sources(user_prompt=user_prompt),
        patience=Patience(settings.model_startup_s, settings.model_silence_s),
    )


@asynccontextmanager
async def _tracing(settings: Settings, instance: str) -> AsyncIterator[Tracing]:
    tracing = open_tracing(settings.otel_exporter_otlp_endpoint, instance=instance)
    try:
        yield tracing
    finally:
        # it may have to wait for a collector
        await asyncio.to_thread(tracing.close)


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
