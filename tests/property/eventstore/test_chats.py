"""Chats of two processes against a model, on Postgres: what pure functions make of it.

Chats take any course; families are spawned, archived and erased in part; chats are
forked at any version, also forks; every request comes again. Each process has a cache
of its own, which is behind whenever the other one acted. Both always see what the model
has, at every version that it ever had.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from service.db.guard import Guard
from service.db.pool import Pool
from service.domain.chat.decide import decide
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState, Status
from service.domain.chat.transitions import RUNNABLE, classify
from service.domain.commands.chat import (
    ArchiveMember,
    ChatCommand,
    CreateChat,
    ForkChat,
    SpawnChild,
    UpdateChat,
)
from service.errors import KeyReused, Rejection
from service.eventstore.appender import Appender
from service.eventstore.handle import Chats, Handled
from tests import builders as b
from tests.fixtures.purging import purge
from tests.fixtures.servers import Server
from tests.integration.eventstore.replicas import CACHE_BYTES, events_in_log
from tests.property.domain.courses import Intent, command_for, intents
from tests.property.eventstore.machine import OnPostgres, run
from tests.property.eventstore.model import Asked, Planned, Told, together

FIRST = [UUID(int=number) for number in range(1, 4)]
"""Chats that exist from the start; children and forks come later."""

MOST = 9
"""Chats of one history; more would only be met less often."""

places = st.integers(0, MOST - 1)
processes = st.integers(0, 1)
courses = st.lists(intents(), min_size=1, max_size=6)


class Chatting(OnPostgres):
    """`model` is what the log must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[UUID, Told] = {}
        self.asked: list[Asked] = []
        self.touched: set[UUID] = set()
        self.count = 0

    @initialize()
    def start(self) -> None:
        self.chats = [self.run(self._process()) for _ in range(2)]
        for chat_id in FIRST:
            self.request(0, chat_id, b.create())
        for _ in range(2):
            self.spawn(0, FIRST[0])
        for chat_id in list(self.model)[:-1]:
            self.rest(0, chat_id)

    async def _process(self) -> Chats:
        guard = Guard("raise")
        pool = Pool(self.database, guard=guard, size=2)
        appender = Appender(self.database, guard=guard, queue_size=99, deadline_s=60)
        await self.exit.enter_async_context(pool)
        await self.exit.enter_async_context(appender)
        return Chats(pool, appender, cache_bytes=CACHE_BYTES)

    # the model

    def chat(self, place: int) -> UUID:
        return list(self.model)[place % len(self.model)]

    def state(self, chat_id: UUID) -> ChatState:
        return self.model.get(chat_id, Told()).state

    def decided(self, chat_id: UUID, command: ChatCommand) -> Any:
        return decide(self.state(chat_id), command)

    def moved(self, root_id: UUID, command: UpdateChat) -> Planned:
        """A family goes together, but for children that are erased."""
        wanted: dict[UUID, ChatCommand] = {root_id: command}
        if command.archived is not None:
            for child_id in self.state(root_id).children:
                if self.state(child_id).exists:
                    wanted[child_id] = b.archive_member(command.archived)
        return together({c: self.decided(c, w) for c, w in wanted.items()})

    # requests

    def request(self, process: int, chat_id: UUID, command: ChatCommand) -> None:
        """A command on one chat."""

        async def ask(chats: Chats, key: dict[str, Any]) -> Handled:
            return await chats.execute(chat_id, command, **key)

        self.expect(process, ask, together({chat_id: self.decided(chat_id, command)}))

    def expect(
        self,
        process: int,
        ask: Callable[[Chats, dict[str, Any]], Awaitable[Handled]],
        planned: Planned,
    ) -> None:
        self.count += 1
        key, request_hash = f"a:{self.count}", b"%d" % self.count

        async def keyed(chats: Chats, asked: bytes) -> Handled:
            return await ask(chats, {"actor": "a", "key": key, "request_hash": asked})

        if isinstance(planned, Rejection):
            with pytest.raises(Rejection) as rejected:
                self.run(_of(keyed(self.chats[process], request_hash)))
            assert rejected.value.code == planned.code
            return
        handled = self.run(_of(keyed(self.chats[process], request_hash)))
        chat_id, events = next(iter(planned.items()))
        first = len(self.model.get(chat_id, Told()).events) + 1
        assert handled.outcome == "appended"
        assert handled.events == tuple(enumerate(events, first))
        for each, appended in planned.items():
            if appended:
                self.model.setdefault(each, Told()).appends.append(appended)
                self.touched.add(each)
        assert handled.loaded.state == self.state(chat_id)
        if events:
            self.asked.append(Asked(keyed, chat_id, handled.events, request_hash))

    # rules

    @rule(place=places, process=processes, course=courses)
    def take_a_course(self, place: int, process: int, course: list[Intent]) -> None:
        for intent in course:
            chat_id = self.chat(place)
            if not self.model[chat_id].erased:
                self.follow(process, chat_id, intent)

    def follow(self, process: int, chat_id: UUID, intent: Intent) -> None:
        command = command_for(intent, self.state(chat_id))
        match command:
            case SpawnChild():
                self.spawn(process, chat_id)
            case UpdateChat() | ArchiveMember():
                self.move(process, chat_id, command)
            case ForkChat() | CreateChat():
                self.copy(process, chat_id, intent.which)
            case _:
                self.request(process, chat_id, command)

    @rule(place=places, process=processes)
    def bring_a_family_to_rest(self, place: int, process: int) -> None:
        """So that it can be archived."""
        root_id = self.chat(place)
        for chat_id in (root_id, *self.state(root_id).children):
            for _ in range(3):
                self.rest(process, chat_id)

    def rest(self, process: int, chat_id: UUID) -> None:
        """The turn, if there is one, ends; the queue may begin the next one."""
        state = self.state(chat_id)
        if classify(state) not in RUNNABLE or state.status is Status.REQUIRES_ACTION:
            return
        fence = {"term": state.term + 1}
        self.request(process, chat_id, b.acquire(**fence))
        if state.status is Status.INTERRUPTING:
            stop = b.finish_interruption(state.epoch, **fence)
            self.request(process, chat_id, stop)
            return
        attempt = state.attempt + 1
        self.request(process, chat_id, b.start_attempt(state.epoch, **fence))
        commit = b.commit_step(state.epoch, attempt=attempt, **fence)
        self.request(process, chat_id, commit)
        finish = b.finish_turn(self.state(chat_id).epoch, **fence)
        self.request(process, chat_id, finish)

    @rule(place=places, process=processes, archived=st.booleans())
    def archive(self, place: int, process: int, archived: bool) -> None:
        self.move(process, self.chat(place), b.update(archived=archived))

    def move(
        self, process: int, chat_id: UUID, command: UpdateChat | ArchiveMember
    ) -> None:
        if isinstance(command, ArchiveMember):
            command = b.update(archived=command.archived)
        planned = self.moved(chat_id, command)

        async def ask(chats: Chats, key: dict[str, Any]) -> Handled:
            return await chats.execute_family(chat_id, command, **key)

        self.expect(process, ask, planned)

    def spawn(self, process: int, root_id: UUID) -> None:
        child_id = UUID(int=len(self.model) + 1)
        if len(self.model) == MOST:
            return
        root = self.state(root_id)
        created = b.create(
            "dig",
            parent_chat_id=root_id,
            root_chat_id=root_id,
            client_type=root.client_type,
        )
        spawned = SpawnChild(now=b.NOW, actor="a", child_id=child_id)
        planned = together(
            {
                child_id: self.decided(child_id, created),
                root_id: self.decided(root_id, spawned),
            }
        )

        async def ask(chats: Chats, key: dict[str, Any]) -> Handled:
            return await chats.spawn(root_id, child_id, b.create("dig"), **key)

        self.expect(process, ask, planned)

    @rule(place=places, process=processes, which=st.integers(0, 99))
    def fork(self, place: int, process: int, which: int) -> None:
        self.copy(process, self.chat(place), which)

    def copy(self, process: int, source_id: UUID, which: int) -> None:
        """Of some version, half of the time the newest; a few that never were."""
        new_id = UUID(int=len(self.model) + 1)
        if len(self.model) == MOST:
            return
        told = self.model[source_id]
        newest = len(told.events)
        version = None if which % 2 else which // 2 % (newest + 2)
        border = told.border(newest if version is None else version)

        async def ask(chats: Chats, key: dict[str, Any]) -> Handled:
            return await chats.fork(
                source_id,
                new_id,
                version=version,
                owner_id=b.OWNER,
                now=b.NOW,
                **key,
            )

        self.expect(process, ask, self._forked(source_id, new_id, border))

    def _forked(self, source_id: UUID, new_id: UUID, border: int | None) -> Planned:
        source = self.state(source_id)
        if not source.exists or source.organization_id is None:
            return Rejection("chat-not-found", "")
        if border is None:
            return Rejection("unknown-version", "")
        command = ForkChat(
            now=b.NOW,
            actor="a",
            source_chat_id=source_id,
            owner_id=b.OWNER,
            organization_id=source.organization_id,
            events=tuple(self.model[source_id].events[:border]),
        )
        return together({new_id: self.decided(new_id, command)})

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), process=processes)
    def ask_again(self, data: st.DataObject, process: int) -> None:
        asked = data.draw(st.sampled_from(self.asked))
        if self.model[asked.chat_id].erased:
            return
        chats = self.chats[process]
        again = self.run(_of(asked.ask(chats, asked.request_hash)))
        assert (again.outcome, again.events) == ("duplicate", asked.events)
        assert again.loaded.state == self.state(asked.chat_id)
        with pytest.raises(KeyReused):
            self.run(_of(asked.ask(chats, b"another request")))

    @rule(place=places, process=processes, which=st.integers(0, 99))
    def look_back(self, place: int, process: int, which: int) -> None:
        chat_id = self.chat(place)
        told = self.model[chat_id]
        version = which % (len(told.events) + 2)
        border = told.border(version)
        looking = self.chats[process].load_at(chat_id, version)
        if told.erased or border is None:
            with pytest.raises(Rejection) as rejected:
                self.run(_of(looking))
            wanted = "chat-not-found" if told.erased else "unknown-version"
            assert rejected.value.code == wanted
        else:
            state = self.run(_of(looking)).state
            assert state == fold(ChatState(), told.events[:border])

    @precondition(lambda self: len(self.model) > len(FIRST) + 2)
    @rule(place=places)
    def erase(self, place: int) -> None:
        """Not a chat of the first, so that there is always something to do."""
        chat_id = self.chat(place)
        if chat_id not in FIRST and not self.model[chat_id].erased:
            self.run(purge(self.database, chat_id))
            self.model[chat_id].erased = True

    @rule(process=processes)
    def forget(self, process: int) -> None:
        self.chats[process].forget_all()

    # what always holds

    @invariant()
    def both_see_what_the_log_holds(self) -> None:
        for chat_id in self.touched:
            told = self.model[chat_id]
            if told.erased:
                continue
            assert self.run(events_in_log(self.database, chat_id)) == told.events
            for chats in self.chats:
                assert self.run(chats.load(chat_id)).state == told.state
        self.touched.clear()

    @invariant()
    def a_family_is_in_one_place(self) -> None:
        for chat_id in self.model:
            root = self.state(chat_id)
            members = [self.state(child_id) for child_id in root.children]
            for member in members:
                assert not member.exists or member.archived is root.archived


async def _of(work: Awaitable[Any]) -> Any:
    return await work


def test_chats_are_what_pure_functions_make_of_them(
    server: Server, template: str
) -> None:
    run(Chatting, server, template, examples=10, steps=30)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_chats_are_what_pure_functions_make_of_them_for_long(
    server: Server, template: str
) -> None:
    run(Chatting, server, template, examples=40, steps=60)
