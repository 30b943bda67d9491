"""The appender against a model, on Postgres: a dict of streams, each a list of words.

Appends go right and wrong, alone, together and over several streams; keys come again;
backends are terminated before the commit, answers are lost after it; callers leave; the
process is replaced. The log always holds exactly what the model holds.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from service.db.guard import Guard
from service.errors import BadEvent, KeyReused, WrongExpectedVersion
from service.eventstore import store
from service.eventstore.appender import Appender
from service.eventstore.records import (
    ANY,
    AppendRequest,
    AppendResult,
    NewEvent,
    StreamName,
)
from tests.fixtures.servers import Server
from tests.integration.eventstore.appends import (
    event,
    held_head,
    opened,
    part,
    request,
    terminate_appenders,
    together,
    words,
)
from tests.integration.eventstore.proxy import proxied
from tests.property.eventstore.machine import OnPostgres, run

STREAMS = [StreamName("chat", UUID(int=n)) for n in range(1, 5)]

streams = st.sampled_from(STREAMS)
several = st.lists(streams, min_size=2, max_size=3, unique=True)
sizes = st.integers(1, 3)


class Appending(OnPostgres):
    """`model` is what the log must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[StreamName, list[str]] = {s: [] for s in STREAMS}
        self.appended: list[tuple[AppendRequest, AppendResult]] = []
        self.count = 0

    @initialize()
    def start(self) -> None:
        self.run(self._start())

    async def _start(self) -> None:
        self.proxy = await self.exit.enter_async_context(proxied(self.database))
        self.reader = await self.exit.enter_async_context(opened(self.database))
        self.appender = self.new_appender()
        await self.appender.__aenter__()

    def new_appender(self) -> Appender:
        return Appender(
            self.proxy.database, guard=Guard("raise"), queue_size=100, deadline_s=60
        )

    def teardown(self) -> None:
        if hasattr(self, "appender"):
            self.run(self.appender.__aexit__())
        super().teardown()

    # what is asked, and what the model makes of it

    def said(self, size: int) -> list[NewEvent]:
        self.count += size
        return [event(str(self.count - n)) for n in range(size)]

    def asking(self, stream: StreamName, size: int, *, exact: bool) -> AppendRequest:
        expected = len(self.model[stream]) if exact else ANY
        return request(stream, *self.said(size), expected=expected)

    def landed(self, asked: AppendRequest, result: AppendResult) -> None:
        """The model takes what was appended, and knows at which versions."""
        assert result.outcome == "appended"
        for append, where in zip(asked.streams, result.streams, strict=True):
            said = self.model[append.stream]
            assert where.stream == append.stream
            assert where.first_version == len(said) + 1
            said += [e.data["text"] for e in append.events]
            assert where.last_version == len(said)
        self.appended.append((asked, result))

    # rules

    @rule(stream=streams, size=sizes, exact=st.booleans())
    def append(self, stream: StreamName, size: int, exact: bool) -> None:
        asked = self.asking(stream, size, exact=exact)
        self.landed(asked, self.run(self.appender.append(asked)))

    @rule(stream=streams, off=st.integers(-3, 3).filter(bool))
    def append_at_a_wrong_version(self, stream: StreamName, off: int) -> None:
        actual = len(self.model[stream])
        wrong = request(stream, "never", expected=max(0, actual + off))
        if wrong.streams[0].expected == actual:
            return
        with pytest.raises(WrongExpectedVersion) as conflict:
            self.run(self.appender.append(wrong))
        assert conflict.value.actual == actual

    @rule(chosen=several, size=sizes, wrong=st.booleans())
    def append_to_several(
        self, chosen: list[StreamName], size: int, wrong: bool
    ) -> None:
        """All of them, or, with one wrong expectation, none."""
        parts = [
            part(s, *self.said(size), expected=len(self.model[s])) for s in chosen[1:]
        ]
        first = len(self.model[chosen[0]]) + wrong
        asked = together(part(chosen[0], *self.said(1), expected=first), *parts)
        if not wrong:
            self.landed(asked, self.run(self.appender.append(asked)))
            return
        with pytest.raises(WrongExpectedVersion):
            self.run(self.appender.append(asked))

    @rule(chosen=st.lists(streams, min_size=2, max_size=8), bad=st.booleans())
    def append_at_once(self, chosen: list[StreamName], bad: bool) -> None:
        """Neighbours in batches; a bad one among them hurts nobody."""
        asked = [self.asking(s, 1, exact=False) for s in chosen]
        refused = request(STREAMS[0], key="x" * 4_000 + secrets.token_hex(4_000))

        async def at_once() -> list[Any]:
            return await asyncio.gather(
                *map(self.appender.append, [*asked, refused] if bad else asked),
                return_exceptions=True,
            )

        answers = self.run(at_once())
        if bad:
            assert isinstance(answers.pop(), BadEvent)
        for each, answer in zip(asked, answers, strict=True):
            self.landed(each, answer)

    @precondition(lambda self: self.appended)
    @rule(data=st.data())
    def use_a_key_again(self, data: st.DataObject) -> None:
        asked, result = data.draw(st.sampled_from(self.appended))
        again = self.run(self.appender.append(asked))
        assert (again.outcome, again.streams) == ("duplicate", result.streams)
        other = AppendRequest(asked.streams, asked.key, b"another request")
        with pytest.raises(KeyReused):
            self.run(self.appender.append(other))

    @rule(stream=streams, size=sizes)
    def crash_before_the_commit(self, stream: StreamName, size: int) -> None:
        asked = self.asking(stream, size, exact=True)

        async def crash() -> AppendResult:
            async with held_head(self.database) as head:
                task = asyncio.create_task(self.appender.append(asked))
                await head.waiting()
                await terminate_appenders(self.database)
                await head.release()
                return await task

        self.landed(asked, self.run(crash()))

    @rule(stream=streams, size=sizes)
    def lose_the_answer_to_a_commit(self, stream: StreamName, size: int) -> None:
        asked = self.asking(stream, size, exact=True)

        async def lose() -> AppendResult:
            # a connection stands, so that the answer lost is that of the append
            await self.appender.append(self.appended[-1][0])
            self.proxy.swallow()
            task = asyncio.create_task(self.appender.append(asked))
            while not await store.find_request(self.reader, stream, asked.key):
                pass
            self.proxy.cut()
            return await task

        if self.appended:
            self.landed(asked, self.run(lose()))

    @rule(stream=streams, flying=st.booleans())
    def leave(self, stream: StreamName, flying: bool) -> None:
        """In flight an append is made without its caller; in the queue it is not."""
        first, second = (self.asking(stream, 1, exact=False) for _ in range(2))

        async def leaving() -> list[Any]:
            async with held_head(self.database) as head:
                tasks = [
                    asyncio.create_task(self.appender.append(asked))
                    for asked in (first, second)
                ]
                await head.waiting()
                tasks[0 if flying else 1].cancel()
                await head.release()
                return await asyncio.gather(*tasks, return_exceptions=True)

        answers = self.run(leaving())
        assert [isinstance(a, asyncio.CancelledError) for a in answers] == [
            flying,
            not flying,
        ]
        self.model[stream] += [e.data["text"] for e in first.streams[0].events]
        if flying:
            self.model[stream] += [e.data["text"] for e in second.streams[0].events]

    @rule()
    def restart(self) -> None:
        async def replace() -> None:
            await self.appender.__aexit__()
            self.appender = self.new_appender()
            await self.appender.__aenter__()

        self.run(replace())

    @rule(stream=streams, after=st.integers(0, 5), limit=st.integers(1, 4))
    def read_a_page(self, stream: StreamName, after: int, limit: int) -> None:
        page = self.run(store.read_stream(self.reader, stream, after, limit))
        said = self.model[stream][after:]
        assert words(page) == said[: len(page)]
        assert len(page) >= min(limit, len(said))
        assert all(e.at_border for e in page[-1:])

    @invariant()
    def the_log_is_the_model(self) -> None:
        if not hasattr(self, "reader"):
            return
        log = self.run(store.read_log(self.reader, 0, 1_000_000))
        assert [e.position for e in log] == list(range(1, len(log) + 1))
        for stream, said in self.model.items():
            own = [e for e in log if e.stream == stream]
            assert words(own) == said
            assert [e.version for e in own] == list(range(1, len(said) + 1))


def test_the_log_holds_what_the_model_holds(server: Server, template: str) -> None:
    run(Appending, server, template, examples=10, steps=25)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_log_holds_what_the_model_holds_for_long(
    server: Server, template: str
) -> None:
    run(Appending, server, template, examples=30, steps=50)
