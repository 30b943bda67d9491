"""What a process serves over HTTP: the role api, or at least how it is doing."""

from __future__ import annotations

import asyncio
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from starlette.types import ASGIApp

from service.api.context import Context, Vitals
from service.api.limits import Limits
from service.api.routes import build_api, build_vitals
from service.api.server import HttpServer
from service.auth.bearer import Bearer
from service.auth.tickets import Tickets
from service.db.pool import Pool
from service.eventstore.handle import Chats
from service.metrics import Metrics
from service.platform.catalog import Catalog
from service.providers.models import Models
from service.settings import Settings
from service.stream.feeds import Feeds
from service.stream.hub import Hub
from service.subscription.listener import LIVE_CHANNEL, Listener
from service.subscription.tail import Tail

Start = Callable[[str, Coroutine[Any, Any, object]], asyncio.Task[None]]
"""Runs a long task under a name, for an owner that watches it."""


class Host(ABC):
    """An HTTP server, and who waits for it."""

    def __init__(self) -> None:
        self._serving: asyncio.Task[None] | None = None
        self._server: HttpServer | None = None

    @property
    def connections(self) -> int:
        """Open connections, idle ones too."""
        return 0 if self._server is None else self._server.connections

    async def start(self, listening: socket.socket, start: Start) -> None:
        """Take connections; returns when they are taken."""
        self._server = HttpServer(self._app(), listening)
        self._start_parts(start)
        self._serving = start("http", self._server.run())
        started = asyncio.create_task(self._server.started(), name="http-start")
        try:
            await asyncio.wait(
                (started, self._serving), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            started.cancel()

    async def stop(self) -> None:
        """Answer what is being served."""
        if self._server is None or self._serving is None:
            return
        self._server.stop()
        try:
            await asyncio.wait([self._serving])
        except asyncio.CancelledError:
            self._server.force()
            raise

    @abstractmethod
    def _app(self) -> ASGIApp:
        """What answers."""

    def _start_parts(self, start: Start) -> None:  # noqa: B027  most need none
        """Run what the application needs."""


class VitalsHost(Host):
    """A process without the role api: its health and its metrics."""

    def __init__(self, vitals: Vitals) -> None:
        super().__init__()
        self._vitals = vitals
        vitals.metrics.watch("http", self)

    def _app(self) -> ASGIApp:
        return build_vitals(self._vitals)


class ApiHost(Host):
    """Made before the tail runs, so that the hub hears everything."""

    def __init__(
        self,
        *,
        chats: Chats,
        pool: Pool,
        tail: Tail,
        listener: Listener,
        metrics: Metrics,
        models: Models,
        catalog: Catalog,
        settings: Settings,
        now: Callable[[], datetime],
    ) -> None:
        super().__init__()
        self.hub = Hub(
            chats=chats,
            pool=pool,
            ring_frames=settings.ring_frames,
            ring_bytes=settings.ring_bytes,
            heartbeat_s=settings.stream_heartbeat_s,
            send_timeout_s=settings.stream_send_timeout_s,
            ring_live=tail.ring_live,
        )
        tail.subscribe(self.hub.on_events)
        tail.follow(self.hub.followed, self.hub.read_parts)
        tail.on_reset(self.hub.reset)
        tail.on_stale(self.hub.on_stale)
        listener.subscribe(LIVE_CHANNEL, tail.ring_live)
        self._tickets = Tickets(pool, now=now)
        self.feeds = Feeds(
            pool,
            heartbeat_s=settings.stream_heartbeat_s,
            send_timeout_s=settings.stream_send_timeout_s,
        )
        self.feeds.attach(tail, listener)
        limits = Limits(
            per_minute=settings.rate_limit_per_minute,
            running=settings.max_running_chats_per_user,
            clock=time.monotonic,
        )
        self._watch(metrics, limits)
        self._context = Context(
            chats=chats,
            pool=pool,
            bearer=Bearer(pool, now=now),
            tickets=self._tickets,
            hub=self.hub,
            feeds=self.feeds,
            metrics=metrics,
            now=now,
            models=models,
            deployment_prompt=catalog.deployment_prompt,
            usable_model=catalog.usable,
            stream_lifetime_s=settings.stream_lifetime_s,
            metrics_public=settings.metrics_public,
            limits=limits,
        )
        self._origins = settings.cors_origins.split(",")

    def _watch(self, metrics: Metrics, limits: Limits) -> None:
        metrics.watch("limits", limits)
        metrics.watch("stream", self.hub)
        metrics.watch("feeds", self.feeds)
        metrics.watch("http", self)

    async def stop(self) -> None:
        """Say bye to followers, answer what is being served."""
        self.hub.end("shutdown")
        self.feeds.end("shutdown")
        await super().stop()

    def _app(self) -> ASGIApp:
        origins = [origin.strip() for origin in self._origins if origin.strip()]
        return build_api(self._context, cors_origins=origins)

    def _start_parts(self, start: Start) -> None:
        start("hub", self.hub.run())
        start("feeds", self.feeds.run())
        start("tickets", self._tickets.run())
