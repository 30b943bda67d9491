"""Api, worker and projector processes on one database, each killed and replaced."""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import psycopg

from service.api.server import bind
from service.client.client import Client
from service.client.http import TIMEOUT_S
from service.db.pool import Database
from tests.e2e.conftest import Serve, Served

PACE = {
    "lease_s": "1",
    "heartbeat_interval_s": "0.3",
    "poll_interval_s": "0.5",
    "pool_size": "4",
    "scripted_rate": "100",
    "shutdown_grace_s": "1",
    "stream_lifetime_s": "4",  # so that followers change from one api to the other
    "guard": "raise",
}

CUT = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE application_name LIKE %s AND datname = current_database()
"""


class Balancer(httpx2.AsyncBaseTransport):
    """In front of all apis: the next one each time, another when one is not there."""

    def __init__(self, ports: Sequence[int]) -> None:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        self._inner = httpx2.AsyncHTTPTransport(limits=limits)
        self._ports = ports
        self._turns = itertools.count()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it to whoever takes it."""
        failure: httpx2.ConnectError | None = None
        for _ in self._ports:
            port = self._ports[next(self._turns) % len(self._ports)]
            request.url = request.url.copy_with(port=port)
            try:
                return await self._inner.handle_async_request(request)
            except httpx2.ConnectError as error:
                failure = error
        assert failure is not None
        raise failure

    async def aclose(self) -> None:
        """Close its connections."""
        await self._inner.aclose()


@dataclass
class Member:
    """A process of the fleet; when it is replaced, the next one takes its place."""

    roles: str
    served: Served
    port: int = 0

    @property
    def pid(self) -> int:
        return self.served.process.pid


class Fleet:
    """Starts, kills and replaces. `open` starts them all."""

    def __init__(
        self, serve: Serve, stack: AsyncExitStack, settings: dict[str, str]
    ) -> None:
        self._serve = serve
        self._stack = stack
        self.settings = PACE | settings
        self.members: list[Member] = []
        self.ports: list[int] = []
        self.token = ""
        self._all: list[Served] = []

    async def add(self, roles: str, *, program: Sequence[str] = ()) -> Member:
        """One more process; the first one brings the schema up to date.

        `program` is the `parley` of another release.
        """
        port = free_port() if "api" in roles else 0
        arguments = [] if not self.members else ["--no-migrate"]
        served = await self._start(roles, port, *arguments, program=program)
        member = Member(roles, served, port)
        self.members.append(member)
        if port:
            self.ports.append(port)
            self.token = self.token or served.token
        return member

    async def replace(self, member: Member, number: signal.Signals) -> int:
        """End it this way, start another in its place; gives the exit code."""
        code = await member.served.stop(number)
        member.served = await self._start(member.roles, member.port, "--no-migrate")
        return code

    async def retire(self, member: Member) -> int:
        """End it in order, for good."""
        self.members.remove(member)
        if member.port:
            self.ports.remove(member.port)
        return await member.served.stop()

    def client(self) -> Client:
        """A client of all apis."""
        http = httpx2.AsyncClient(
            transport=Balancer(self.ports),
            timeout=httpx2.Timeout(TIMEOUT_S, connect=5.0),
        )
        return Client("http://127.0.0.1", self.token, http=http)

    def of(self, role: str) -> list[Member]:
        """Those with this role."""
        return [member for member in self.members if role in member.roles]

    def holder(self, worker: str) -> Member:
        """Whose name a worker's is: `host-pid-random`."""
        pid = int(worker.rsplit("-", 2)[1])
        (found,) = [member for member in self.members if member.pid == pid]
        return found

    def assert_alive(self) -> None:
        """Nobody has ended by itself."""
        for member in self.members:
            code = member.served.process.returncode
            assert code is None, f"{member.roles} ended by itself: {code}"

    @property
    def complaints(self) -> list[str]:
        """What any process logged as an error."""
        lines = [line for served in self._all for line in served.log.lines]
        return [
            line for line in lines if line.split()[1:2] in (["error"], ["critical"])
        ]

    async def _start(
        self, roles: str, port: int, *arguments: str, program: Sequence[str] = ()
    ) -> Served:
        command = ["--roles", roles, *arguments]
        if port:
            command += ["--port", str(port)]
        other: dict[str, Any] = {"program": tuple(program)} if program else {}
        starting = self._serve(*command, **other, **self.settings)
        served: Served = await self._stack.enter_async_context(starting)
        self._all.append(served)
        return served


async def cut(database: Database, name: str) -> None:
    """End all connections `parley/<name>...` from the server's side."""
    async with await psycopg.AsyncConnection.connect(
        database.dsn, autocommit=True
    ) as connection:
        await connection.execute(CUT, (f"parley/{name}%",))


@asynccontextmanager
async def frozen(member: Member) -> AsyncIterator[None]:
    """Stop the process in its tracks; it goes on after the block, and is late."""
    os.kill(member.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(member.pid, signal.SIGCONT)


def free_port() -> int:
    """A port that nobody listens on now."""
    with bind("127.0.0.1", 0) as listening:
        port: int = listening.getsockname()[1]
        return port


def environ(fleet: Fleet, **more: Any) -> dict[str, str]:
    """Variables that lead the command `parley` to the fleet and its database."""
    found = {f"PARLEY_{k.upper()}": v for k, v in fleet.settings.items()}
    url = f"http://127.0.0.1:{fleet.ports[0]}"
    return found | {"PARLEY_URL": url, "PARLEY_TOKEN": fleet.token} | more
