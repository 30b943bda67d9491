"""A database that may be restarted, a fleet on it, and chats that are talked to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.client.client import Client
from service.client.shapes import Chat
from service.clock import utc_now
from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.domain.commands.chat import CreateChat
from service.domain.events.chat import ClientTool
from service.domain.parts import TextPart
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats
from tests.e2e.conftest import Serve
from tests.e2e.drills.fleet import Fleet
from tests.e2e.drills.follower import Progress
from tests.e2e.drills.talk import Talk
from tests.fixtures.servers import RestartableServer

WORKERS = 3


@dataclass
class Drill:
    """A running fleet, and users who talk to it."""

    fleet: Fleet
    server: RestartableServer
    client: Client
    progress: Progress = field(default_factory=Progress)
    talks: list[Talk] = field(default_factory=list)

    @property
    def database(self) -> Database:
        return self.server.database

    async def talk(self, chats: int, *, of_tools: int = 0) -> None:
        """Create so many chats, some of which have a client that runs tools."""
        for number in range(chats):
            self.talks.append(Talk(self.client, self.progress, number))
        await asyncio.gather(*(talk.begin() for talk in self.talks))
        first = self.talks[0].chat
        for number in range(of_tools):
            talk = Talk(self.client, self.progress, 1000 + number)
            chat_id = await with_client_tools(self.database, first)
            talk.said["what time is it?"] += 1
            await talk.begin(await self.client.get(chat_id))
            self.talks.append(talk)

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[Progress]:
        """The users talk while entered; then each brings its chat to rest."""
        async with asyncio.TaskGroup() as talking:
            for talk in self.talks:
                talking.create_task(talk.run(), name="talk")
            yield self.progress
            self.progress.over = True

    async def close(self) -> None:
        for talk in self.talks:
            await talk.close()


async def with_client_tools(database: Database, like: Chat) -> UUID:
    """A chat whose client runs the clock: the one tool that the script calls.

    HTTP refuses a name that the workers have; a log may have such chats all the same,
    for instance when a release brings a tool of a name that a client uses.
    """
    guard, chat_id = Guard("raise"), uuid4()
    command = CreateChat(
        now=utc_now(),
        organization_id=UUID(like["organization_id"]),
        owner_id=UUID(like["owner_id"]),
        title="with tools",
        parts=(TextPart(text="what time is it?"),),
        client_tools=(
            ClientTool(name="clock", description="", input_schema={"type": "object"}),
        ),
    )
    async with (
        Pool(database, guard=guard, size=1) as pool,
        Appender(database, guard=guard, queue_size=10, deadline_s=30) as appender,
    ):
        chats = Chats(pool, appender, cache_bytes=0)
        await chats.execute(chat_id, command, actor="drill")
    return chat_id


@pytest_asyncio.fixture
async def drill(
    serve: Serve, restartable_server: RestartableServer
) -> AsyncIterator[Drill]:
    """Two apis, three workers and a projector, all of them ready."""
    async with AsyncExitStack() as stack:
        settings = {"database_url": restartable_server.database.dsn}
        fleet = Fleet(serve, stack, settings)
        await fleet.add("api")
        roles = ["api", "projector", *["worker"] * WORKERS]
        await asyncio.gather(*(fleet.add(role) for role in roles))
        async with fleet.client() as client:
            running = Drill(fleet, restartable_server, client)
            try:
                yield running
            finally:
                await running.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drills take longer than other tests."""
    for item in items:
        if "drills" in item.path.parts and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))
