"""The whole service as a process of its own, as `parley serve` starts it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID

from scripts.benchmarks.processes import Child, child
from service import wire
from service.db.pool import Database

START_S = 60.0
PARLEY = (str(Path(sys.executable).with_name("parley")),)


@dataclass(frozen=True, slots=True)
class Service:
    """Where it is, and who we are to it."""

    url: str
    token: str
    child: Child

    @property
    def pids(self) -> list[int]:
        return [self.child.pid]

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    def get(self, path: str) -> bytes:
        """The bytes of a GET below /api/v1."""
        return self._head("GET", path) + b"\r\n"

    def post(self, path: str, body: object) -> bytes:
        """The bytes of a POST of JSON below /api/v1."""
        encoded = wire.dumps(body)
        head = self._head("POST", path)
        head += b"Content-Type: application/json\r\n"
        head += b"Content-Length: %d\r\n\r\n" % len(encoded)
        return head + encoded

    def stream(self, chat_id: UUID, after: str | None = None) -> bytes:
        """The bytes of a request that follows a chat."""
        query = "" if after is None else f"?after={after}"
        return self.get(f"chats/{chat_id}/stream{query}")

    def _head(self, method: str, path: str) -> bytes:
        host, port = self.address
        return (
            f"{method} /api/v1/{path} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            f"Authorization: Bearer {self.token}\r\n"
        ).encode()


@asynccontextmanager
async def serve(
    database: Database,
    *,
    roles: str = "api,worker,projector",
    settings: Mapping[str, str] | None = None,
    program: Sequence[str] = PARLEY,
) -> AsyncIterator[Service]:
    """Start it on a database and a free port; stop it in order."""
    environment = {
        "PARLEY_DATABASE_URL": database.dsn,
        "PARLEY_LOG_LEVEL": "warning",
        # one token asks for everybody
        "PARLEY_RATE_LIMIT_PER_MINUTE": "0",
        "PARLEY_MAX_RUNNING_CHATS_PER_USER": "0",
        **(settings or {}),
    }
    argv = [*program, "serve", "--json", "--port", "0", "--roles", roles]
    async with child(argv, environment=environment) as started:
        told = wire.loads(await started.hear(within_s=START_S))
        yield Service(told["url"], told["token"], started)
