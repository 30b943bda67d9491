"""The whole promise as one state machine on Postgres.

Users, a worker and a model act on a few chats; commands go right and wrong; connections
are killed, notifications dropped, the process is replaced; followers come, go, stall
and resume anywhere. In the end every follower saw each version exactly once, in order,
and what it pieced together equals a fresh read.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from itertools import pairwise
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from psycopg import sql

from service.db.guard import Guard
from service.domain.chat.state import Status
from service.domain.ids import ChatId
from service.errors import DatabaseAway, Rejection, WrongExpectedVersion
from service.eventstore.records import (
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)
from service.stream.cursor import parse_cursor
from service.stream.snapshot import snapshot
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.servers import Server
from tests.fixtures.stack import Client, Stack, WireFrame
from tests.reducer import ChatOnScreen

T = TypeVar("T")

STEP_S = 60.0
"""Longer than any deadline of what a step waits for."""

KILL = """
SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'parley/%'
"""
PROBLEMS = """
SELECT count(*) FROM es.verify_positions(1, (SELECT max(position) FROM es.events))
"""
PARTS = """
SELECT count(*) FROM es.live_parts
WHERE chat_id = %s AND epoch = %s AND attempt = %s
"""


HEADER = ("title", "pinned", "last_read_message_id", "labels", "archived")


class Watcher:
    """A client over several connections, and everything it was sent."""

    def __init__(self, chat: ChatByHand) -> None:
        self.chat = chat
        self.frames: list[WireFrame] = []
        self.last_id: str | None = None
        self.exit: AsyncExitStack | None = None
        self.client: Client | None = None

    async def connect(self, stack: Stack) -> None:
        self.exit = AsyncExitStack()
        self.client = await self.exit.enter_async_context(
            stack.follow(self.chat.id, after=self.last_id)
        )

    async def disconnect(self) -> None:
        if self.exit is None or self.client is None:
            return
        self.client.taking.set()
        exit_, client = self.exit, self.client
        self.exit = self.client = None
        self.frames += client.frames
        self.last_id = client.last_id
        await exit_.aclose()

    def check(self) -> None:
        """Each version came whole exactly once, in order; no part came twice."""
        whole = [parse_cursor(f.id) for f in self.frames if f.id is not None]
        versions = [c.version for c in whole if not c.frames]
        steps = {b - a for a, b in pairwise(versions)}
        assert steps <= {0, 1}, versions
        ids = [f.id for f in self.frames if f.id is not None]
        assert len(ids) == len(set(ids)), ids


class Following(RuleBasedStateMachine):
    """`server` and `template` are set by the test."""

    server: Server
    template: str

    chats = Bundle("chats")
    watchers = Bundle("watchers")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.name = f"parley_machine_{secrets.token_hex(6)}"
        self.admin("CREATE DATABASE {} TEMPLATE {}", self.name, self.template)
        self.database = self.server.database(self.name)
        self.all_chats: list[ChatByHand] = []
        self.all_watchers: list[Watcher] = []

    def admin(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(self._in_time(work))

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Nothing here may hang; what does says where."""
        task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait((task,), timeout=STEP_S)
        if not done:
            for each in asyncio.all_tasks():
                each.print_stack()
            raise AssertionError("a step hangs")
        return task.result()

    def act(self, work: Coroutine[Any, Any, None]) -> None:
        """A command may be rejected, or told that the database is away, which it is
        when connections were killed; nothing else may go wrong."""

        async def tried() -> None:
            with suppress(Rejection, DatabaseAway):
                await work

        self.run(tried())

    @initialize()
    def start(self) -> None:
        self.stack = Stack(self.database, Guard("raise"), ring_frames=16)
        self.run(self.stack.__aenter__())

    @rule(target=chats)
    def create(self) -> ChatByHand:
        chat = self.run(ChatByHand.create(self.stack))
        self.all_chats.append(chat)
        return chat

    @rule(chat=chats, busy=st.sampled_from(["queue", "interrupt"]))
    def send(self, chat: ChatByHand, busy: Any) -> None:
        self.act(chat.send("more", busy))

    @rule(chat=chats)
    def interrupt(self, chat: ChatByHand) -> None:
        self.act(chat.interrupt())

    @rule(chat=chats)
    def edit(self, chat: ChatByHand) -> None:
        self.act(chat.edit("rather"))

    @rule(chat=chats, title=st.sampled_from("abc"))
    def rename(self, chat: ChatByHand, title: str) -> None:
        self.act(chat.rename(title))

    @rule(chat=chats, title=st.sampled_from("abc"))
    def name(self, chat: ChatByHand, title: str) -> None:
        self.act(chat.name(title))

    @rule(chat=chats, parts=st.integers(0, 4), whole=st.booleans())
    def compact(self, chat: ChatByHand, parts: int, whole: bool) -> None:
        """A turn that runs is answered; then the chat is summed up, or half of it."""

        async def sum_up() -> None:
            if (await chat.state()).status is Status.RUNNING:
                await self._work(chat, parts, "c")
                await chat.finish()
            await chat.compact()
            await self._work(chat, parts, "c" if whole else "a")

        self.act(sum_up())

    @rule(chat=chats, last=st.booleans())
    def change_the_queue(self, chat: ChatByHand, last: bool) -> None:
        async def change() -> None:
            if (await chat.state()).queue:
                await (chat.promote_last() if last else chat.delete_first())

        self.act(change())

    # a: another attempt, f: it fails, c: it is committed, n: it goes on, r: it is made
    # again later, q: it calls the client's tool
    @rule(chat=chats, parts=st.integers(0, 4), end=st.sampled_from("afcnrqq"))
    def work(self, chat: ChatByHand, parts: int, end: str) -> None:
        """A worker takes the chat one step on."""
        self.act(self._work(chat, parts, end))

    async def _work(self, chat: ChatByHand, parts: int, end: str) -> None:
        if (await chat.state()).holder is None:
            await chat.acquire()
        state = await chat.state()
        if state.status is Status.INTERRUPTING:
            partial = "part" if parts and state.episode else None
            await chat.finish_interruption(partial)
        elif state.status is Status.REQUIRES_ACTION:
            await chat.answer("blue")
        elif state.compaction is not None:
            if state.episode is None or end == "a":
                await chat.attempt("compaction")
            await chat.say(*("x" * (n + 1) for n in range(parts)))
            if end in "cfn":
                await chat.sum_up("so far")
        elif state.turn_id is None or state.messages[-1].role == "assistant":
            await chat.finish()
        else:
            if state.episode is None or end == "a":
                await chat.attempt()
            await chat.say(*("x" * (n + 1) for n in range(parts)))
            if end == "c":
                await chat.commit("x")
            elif end == "f":
                await chat.fail()
            elif end == "r":
                await chat.retry_later()
            elif end == "q":
                await chat.ask_client()

    @rule(chat=chats)
    def append_at_the_wrong_version(self, chat: ChatByHand) -> None:
        stream = StreamName("chat", chat.id)
        version = self.run(self.stack.chats.load(chat.id)).version
        event = NewEvent("message_appended", 1, {"nonsense": True})
        append = StreamAppend(stream, version - 1, (event,))
        request = AppendRequest((append,), key=str(uuid4()), request_hash=b"x")
        with pytest.raises(WrongExpectedVersion):
            self.run(self.stack.appender.append(request))

    @rule(target=watchers, chat=chats)
    def follow(self, chat: ChatByHand) -> Watcher:
        watcher = Watcher(chat)
        self.all_watchers.append(watcher)
        self.run(watcher.connect(self.stack))
        return watcher

    @rule(watcher=watchers)
    def drop(self, watcher: Watcher) -> None:
        self.run(watcher.disconnect())

    @rule(watcher=watchers)
    def resume(self, watcher: Watcher) -> None:
        if watcher.exit is None:
            self.run(watcher.connect(self.stack))

    @rule(watcher=watchers)
    def stall(self, watcher: Watcher) -> None:
        if watcher.client is not None:
            watcher.client.taking.clear()

    @rule()
    def kill_connections(self) -> None:
        with psycopg.connect(self.database.dsn, autocommit=True) as connection:
            connection.execute(KILL)

    @rule(deaf=st.booleans())
    def drop_notifications(self, deaf: bool) -> None:
        self.stack.muted = deaf

    @rule()
    def replace_the_process(self) -> None:
        async def replace() -> None:
            for watcher in self.all_watchers:
                await watcher.disconnect()
            await self.stack.__aexit__()
            self.stack = Stack(self.database, Guard("raise"), ring_frames=16)
            await self.stack.__aenter__()
            for chat in self.all_chats:
                chat.move(self.stack)

        self.run(replace())

    def teardown(self) -> None:
        try:
            if hasattr(self, "stack"):
                self.run(self._settle())
                self.run(self.stack.__aexit__())
        finally:
            self.runner.close()
            self.admin("DROP DATABASE {} WITH (FORCE)", self.name)

    async def _settle(self) -> None:
        self.stack.muted = False
        for watcher in self.all_watchers:
            await watcher.disconnect()
            await watcher.connect(self.stack)
        self.stack.tail.ring_live(None)
        for watcher in self.all_watchers:
            await self._compare(watcher)
        async with self.stack.pool.connection() as connection:
            cursor = await connection.execute(PROBLEMS)
            assert await cursor.fetchone() == (0,)

    async def _compare(self, watcher: Watcher) -> None:
        assert watcher.client is not None
        state = await watcher.chat.state()
        episode, said = state.episode, 0
        if episode is not None:
            async with self.stack.pool.connection() as connection:
                cursor = await connection.execute(
                    PARTS, (watcher.chat.id, episode.epoch, episode.attempt)
                )
                row = await cursor.fetchone()
                said = row[0] if row else 0

        def there(client: Client) -> bool:
            last = parse_cursor(client.last_id or watcher.last_id or "0")
            parts = last.part.seq if last.part is not None else 0
            return (last.version, parts) == (state.version, said)

        client = watcher.client
        await client.until(lambda c: there(c) or c.ended.is_set())
        while not there(client):
            # sent away while the database was away: come back, as clients do
            await watcher.disconnect()
            await watcher.connect(self.stack)
            client = watcher.client
            await client.until(lambda c: there(c) or c.ended.is_set())
        await watcher.disconnect()
        watcher.check()
        screen = ChatOnScreen()
        for frame in watcher.frames:
            if frame.event is not None:
                screen.take(frame.event, frame.data)
        fresh = snapshot(ChatId(watcher.chat.id), state)
        assert list(screen.messages.values()) == fresh["messages"]
        assert screen.queue == fresh["queued_messages"]
        assert screen.status == fresh["chat"]["status"]
        assert screen.error == fresh["chat"]["last_error"]
        assert (screen.action, screen.retry) == (
            fresh["action_required"],
            fresh["retry"],
        )
        assert screen.chat is not None
        assert {k: screen.chat[k] for k in HEADER} == {
            k: fresh["chat"][k] for k in HEADER
        }  # type: ignore[literal-required]
        assert (screen.preview.seq if screen.preview else 0) == said


def test_every_follower_sees_each_version_exactly_once(
    server: Server, template: str
) -> None:
    machine = type("On", (Following,), {"server": server, "template": template})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=8,
            stateful_step_count=30,
            deadline=None,
            # a failing history is replayed as it is: each try takes a database
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
