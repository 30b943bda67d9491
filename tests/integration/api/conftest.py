"""An API in this process: uvicorn on a free port, two users, no worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx2
import pytest_asyncio

from projections.registry import PROJECTIONS
from projections.runner import ProjectionRunner
from projections.tables import make_read_models
from service import wire
from service.api.context import Context, NoModels
from service.api.routes import build_api
from service.api.server import HttpServer, bind, url_of
from service.auth.bearer import Bearer, hash_token, new_token
from service.auth.policy import SCOPES
from service.auth.tickets import Tickets
from service.db.pool import connect
from service.metrics import Metrics
from service.platform.tokens import insert_token
from service.platform.users import FIRST_USER, ensure_first_user, ensure_user
from service.providers.models import Model, Models
from service.subscription.wakeup import Wakeup
from tests.fixtures.stack import Stack

OTHER_USER = UUID(int=0xB0B)
ORIGIN = "https://app.example"
PATIENCE_S = 20.0


@dataclass
class Switched:
    """Models that a test may bring."""

    now: Models = field(default_factory=NoModels)

    async def resolve(self, **wanted: Any) -> Model:
        return await self.now.resolve(**wanted)


@dataclass
class Prompted:
    """What the operator says to new chats, until a test changes it."""

    now: tuple[bool, str] | Exception = (True, "")

    async def __call__(self) -> tuple[bool, str]:
        if isinstance(self.now, Exception):
            raise self.now
        return self.now


@dataclass
class Configs:
    """Ids of the model configs that there are; a test adds some."""

    usable: set[UUID] = field(default_factory=set)

    async def __call__(self, config_id: UUID) -> bool:
        return config_id in self.usable


@dataclass
class Api:
    """One running API, seen by its first user unless a test says otherwise."""

    stack: Stack
    http: httpx2.AsyncClient
    token: str
    other_token: str
    models: Switched
    prompt: Prompted
    configs: Configs
    user_id: UUID = FIRST_USER

    @property
    def address(self) -> tuple[str, int]:
        url = self.http.base_url
        assert url.port is not None
        return url.host, url.port

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        return await self.http.get(path, **options)

    async def post(
        self, path: str, body: Any = None, *, key: str | None = None, **options: Any
    ) -> httpx2.Response:
        headers = {"content-type": "application/json", **options.pop("headers", {})}
        if key is not None:
            headers["idempotency-key"] = key
        content = options.pop("content", wire.dumps(body))
        return await self.http.post(path, content=content, headers=headers, **options)

    async def create(self, text: str = "hello", **fields: Any) -> dict[str, Any]:
        answer = await self.post("/api/v1/chats", said(text) | fields)
        assert answer.status_code == 201, answer.text
        chat: dict[str, Any] = answer.json()
        return chat

    async def positions(self) -> int:
        """How long the log is."""
        async with self.stack.pool.connection() as connection:
            cursor = await connection.execute("SELECT count(*) FROM es.events")
            row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def project(self) -> None:
        """Bring the read models up to the log."""
        runner = ProjectionRunner(
            self.stack.database, PROJECTIONS, Wakeup(), poll_interval_s=60
        )
        connection = await connect(
            self.stack.database, role="projector", name="test-projector"
        )
        async with connection:
            await runner.catch_up(connection)


def said(text: str = "hello") -> dict[str, Any]:
    return {"content": [{"type": "text", "text": text}]}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest_asyncio.fixture
async def api(stack: Stack) -> AsyncIterator[Api]:
    await make_read_models(stack.database, PROJECTIONS)
    tokens = [await _token(stack, user) for user in (FIRST_USER, OTHER_USER)]
    models, prompt, configs = Switched(), Prompted(), Configs()
    context = Context(
        chats=stack.chats,
        pool=stack.pool,
        bearer=Bearer(stack.pool, now=stack.now),
        tickets=Tickets(stack.pool, now=stack.now),
        hub=stack.hub,
        feeds=stack.feeds,
        metrics=Metrics(),
        now=stack.now,
        models=models,
        deployment_prompt=prompt,
        usable_model=configs,
    )
    listening = bind("127.0.0.1", 0)
    server = HttpServer(build_api(context, cors_origins=[ORIGIN]), listening)
    serving = asyncio.create_task(server.run())
    async with asyncio.timeout(PATIENCE_S):
        await server.started()
    async with httpx2.AsyncClient(
        base_url=url_of(listening), headers=bearer(tokens[0]), timeout=PATIENCE_S
    ) as http:
        yield Api(stack, http, *tokens, models, prompt, configs)
    stack.hub.end("shutdown")
    stack.feeds.end("shutdown")
    server.stop()
    async with asyncio.timeout(PATIENCE_S):
        await serving


async def _token(stack: Stack, user_id: UUID) -> str:
    token = new_token()
    async with stack.pool.connection() as connection:
        await ensure_first_user(connection)
        await ensure_user(connection, user_id, name="somebody")
        await insert_token(
            connection,
            token_hash=hash_token(token),
            user_id=user_id,
            name="test",
            scopes=SCOPES,
        )
    return token
