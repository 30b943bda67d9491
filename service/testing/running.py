"""A whole service inside the test process: the roles together, on a free port.

It runs in the thread of a `Background`, so it is there for tests of every kind and for
many of them; what it logs is captured like the logs of the test.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from service.app import Started, run_service
from service.db.pool import Database
from service.settings import ALL_ROLES, Settings
from service.testing.model import RATE, ScriptedModel
from service.testing.postgres import Server

logger = logging.getLogger(__name__)

DEFAULTS = {
    "port": "0",
    "shutdown_grace_s": "0",  # nobody waits for the end of a turn any more
    "scripted_rate": str(RATE),
    "rate_limit_per_minute": "0",  # a test that polls is no client gone wild
}


@dataclass(frozen=True, slots=True)
class Running:
    """A service that takes requests."""

    url: str
    database: Database
    model: ScriptedModel


@asynccontextmanager
async def run_on_new_database(
    server: Server, settings: dict[str, object]
) -> AsyncGenerator[Running, None]:
    """A service on a database of its own, which is dropped afterwards."""
    name = f"parley_test_{secrets.token_hex(6)}"
    database = await server.create_database(name)
    try:
        async with _serving(database, settings) as running:
            yield running
    finally:
        await server.drop_database(name)


@asynccontextmanager
async def _serving(
    database: Database, given: dict[str, object]
) -> AsyncGenerator[Running, None]:
    model = ScriptedModel()
    stop = asyncio.Event()
    ready: asyncio.Future[Started] = asyncio.get_running_loop().create_future()
    service = asyncio.create_task(
        run_service(
            _settings(database, given),
            data_dir=Path(),  # there is a database URL
            roles=ALL_ROLES,
            stop=stop,
            on_started=ready.set_result,
            provider=model,
        ),
        name="parley-service",
    )
    await asyncio.wait((ready, service), return_when=asyncio.FIRST_COMPLETED)
    if service.done():
        await service  # raises what kept it from starting
    url = ready.result().url
    assert url is not None  # noqa: S101  the role api is among them
    try:
        yield Running(url, database, model)
    finally:
        stop.set()
        await service


def _settings(database: Database, given: dict[str, object]) -> Settings:
    """Not from the environment: a developer's settings are no part of a test."""
    values = {**DEFAULTS, **{name: str(value) for name, value in given.items()}}
    values |= {"database_url": database.dsn, "role_prefix": database.role_prefix}
    return Settings.from_env({f"PARLEY_{k.upper()}": v for k, v in values.items()})
