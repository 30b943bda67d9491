"""What a test has in its hands: a service, a user of its own, a model to script."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol
from uuid import UUID, uuid4

from service.auth.bearer import hash_token, new_token
from service.auth.policy import SCOPES
from service.client.client import ApiError, Client
from service.client.shapes import Chat, ChatRef, Sent, chat_id_of
from service.client.view import ChatView
from service.db.pool import connect
from service.eventstore.public import public_event
from service.eventstore.records import StreamName
from service.eventstore.store import PAGE, read_stream
from service.platform.tokens import insert_token
from service.platform.users import ensure_user
from service.testing.background import Background
from service.testing.model import ScriptedModel
from service.testing.running import Running

PATIENCE_S = 30.0
"""How long a test waits for the end of a turn."""

CHATS_OF = """
SELECT stream_id FROM es.events
WHERE type = 'chat_created' AND data ->> 'owner_id' = %s
"""


class Parley:
    """A running Parley as one of its users. The coroutines run in any event loop."""

    def __init__(self, running: Running, background: Background) -> None:
        self._running = running
        self._background = background
        self.url = running.url
        self.user_id = uuid4()
        self.token = self.new_token(self.user_id)

    @property
    def model(self) -> ScriptedModel:
        """The model that answers: `parley.model.answer("hello")`."""
        return self._running.model

    @property
    def database_url(self) -> str:
        """The database, for psycopg or psql, with every right."""
        return self._running.database.dsn

    @property
    def environ(self) -> dict[str, str]:
        """Variables that lead the command `parley` to this service and its database."""
        return {
            "PARLEY_URL": self.url,
            "PARLEY_TOKEN": self.token,
            "PARLEY_DATABASE_URL": self._running.database.dsn,
            "PARLEY_ROLE_PREFIX": self._running.database.role_prefix,
        }

    def new_token(self, user_id: UUID | None = None) -> str:
        """A token; without an id, of a new user, who sees none of this one's chats."""
        return self._background.run(self._new_token(user_id or uuid4()))

    def client(self, token: str | None = None) -> Client:
        """A client; `async with` it. Without a token, of this user."""
        return Client(self.url, token or self.token)

    async def create(self, text: str, **fields: Any) -> Chat:
        """Create a chat with a first message; the model begins to answer."""
        async with self.client() as client:
            return await client.create(text, **fields)

    async def send(
        self, chat: ChatRef, text: str, *, busy_behavior: str = "queue"
    ) -> Sent:
        """Say something in a chat."""
        async with self.client() as client:
            return await client.send(chat, text, busy_behavior=busy_behavior)

    async def interrupt(self, chat: ChatRef) -> Chat:
        """Stop the running turn."""
        async with self.client() as client:
            return await client.interrupt(chat)

    async def turn_finished(
        self, chat: ChatRef, *, timeout_s: float = PATIENCE_S
    ) -> ChatView:
        """Wait until nothing runs and nothing waits; gives the whole chat."""
        async with self.client() as client:
            return await client.turn_finished(chat, after="0", timeout_s=timeout_s)

    async def shows(
        self,
        chat: ChatRef,
        done: Callable[[ChatView], bool],
        *,
        timeout_s: float = PATIENCE_S,
    ) -> ChatView:
        """Wait until the chat looks like this: `lambda view: view.preview`."""
        async with self.client() as client:
            return await client.shows(chat, done, timeout_s=timeout_s)

    async def events(self, chat: ChatRef) -> list[dict[str, Any]]:
        """The chat's events, as every feed and export shows them."""
        stream = StreamName("chat", UUID(chat_id_of(chat)))
        found: list[dict[str, Any]] = []
        database = self._running.database
        async with await connect(database, role=None, name="testing") as connection:
            while page := await read_stream(connection, stream, len(found)):
                found += map(public_event, page)
                if len(page) < PAGE:
                    break
        return found

    def settle(self) -> None:
        """Stop what still runs for this user, and forget the model's steps."""
        self.model.reset()
        self._background.run(self._settle())
        self.model.reset()

    async def _new_token(self, user_id: UUID) -> str:
        token = new_token()
        database = self._running.database
        async with await connect(database, role=None, name="testing") as connection:
            await ensure_user(connection, user_id, name=f"test-{user_id}")
            await insert_token(
                connection,
                token_hash=hash_token(token),
                user_id=user_id,
                name="test",
                scopes=SCOPES,
            )
        return token

    async def _settle(self) -> None:
        database = self._running.database
        async with await connect(database, role=None, name="testing") as connection:
            cursor = await connection.execute(CHATS_OF, (str(self.user_id),))
            chats = [row[0] for row in await cursor.fetchall()]
        async with self.client() as client:
            for chat in chats:
                await _stop(client, chat)


async def _stop(client: Client, chat: UUID) -> None:
    """Interrupt a chat until nothing of its queue runs either."""
    while (await client.get(chat))["status"] in ("running", "interrupting"):
        # 409: it has ended by itself, or is being interrupted
        with suppress(ApiError):
            await client.interrupt(chat)
        await client.shows(
            chat, lambda view: view.status != "interrupting", timeout_s=PATIENCE_S
        )


class StartParley(Protocol):
    """Starts one more service, on a database of its own."""

    def __call__(self, **settings: object) -> AbstractContextManager[Parley]:
        """`with start_parley(lease_s=2) as parley`; names are those of the settings."""
        ...
