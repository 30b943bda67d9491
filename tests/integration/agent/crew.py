"""Workers for tests: whole ones in this process, and one in a process to be killed."""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from service.agent.guards import Clock, LoopClock, Patience
from service.agent.means import Means
from service.agent.retry import RetryPolicy
from service.agent.sources import Sources
from service.agent.worker import Pace, Runnable, Worker
from service.db.pool import Database, Pool
from service.domain.chat.state import ChatState, Status
from service.domain.commands.chat import ChatCommand
from service.domain.events.chat import (
    ChatEvent,
    ModelRef,
    Purpose,
    StepCommitted,
    Usage,
)
from service.eventstore import codec, store
from service.eventstore.handle import Chats, Handled
from service.eventstore.records import RecordedEvent, StreamName
from service.lease import Leases
from service.live.flush import Flusher
from service.metrics import Metrics
from service.providers.models import Model, Models, OneModel
from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    Provider,
    ProviderError,
    TextDelta,
    UsageReport,
)
from service.providers.scripted import Scripted
from service.tools.clock import clock
from service.tools.registry import Registry, Tool
from service.tracing import NOT_TRACING, Tracing
from tests.fixtures.stack import PATIENCE_S, Stack

FREE = """
SELECT DISTINCT ON (e.stream_id) e.stream_id,
  CASE e.type WHEN 'interrupt_requested' THEN 'interrupting'
    WHEN 'action_required' THEN 'requires_action' ELSE 'running' END
FROM es.events AS e
WHERE e.category = 'chat' AND e.type IN ('message_appended', 'interrupt_requested',
    'action_required', 'tool_results_submitted', 'tool_calls_cancelled')
  AND NOT EXISTS (
    SELECT FROM ops.leases AS l
    WHERE l.chat_id = e.stream_id
      AND l.heartbeat_at > clock_timestamp() - %s * interval '1 second')
ORDER BY e.stream_id, e.version DESC
LIMIT %s
"""


AT_ONCE = RetryPolicy(first_s=0.001, longest_s=0.01)
"""Retries that no test waits for."""

PATIENCE = Patience()


async def no_prompt(_: UUID) -> str:
    return ""


NO_SOURCES = Sources(user_prompt=no_prompt)

LONG = timedelta(minutes=5)
"""A client's time that no test sees the end of."""


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251 - the clock of a test's worker


def every_free_chat(pool: Pool, lease_s: float) -> Runnable:
    """Instead of the read model, which needs a projector: every chat is a hint."""

    async def poll(limit: int) -> Sequence[tuple[UUID, str]]:
        async with pool.connection() as connection:
            cursor = await connection.execute(FREE, (lease_s, limit))
            return [(row[0], row[1]) for row in await cursor.fetchall()]

    return poll


class Hand:
    """A stack with a worker of its own."""

    def __init__(self, stack: Stack, worker: Worker, leases: Leases) -> None:
        self.stack = stack
        self.worker = worker
        self.leases = leases

    async def die(self) -> None:
        """As kill -9 does: nothing is given back, no heartbeat comes any more."""
        task = self.worker._task
        assert task is not None
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def hand(
    stack: Stack,
    name: str = "w1",
    *,
    provider: Provider | None = None,
    tools: Sequence[Tool] = (),
    registry: Registry | None = None,
    now: Callable[[], datetime] = now,
    rate: float = 1e6,
    lease_s: float = 30.0,
    database: Database | None = None,
    chats: Chats | None = None,
    retry: RetryPolicy = AT_ONCE,
    client_time: timedelta = LONG,
    models: Models | None = None,
    metrics: Metrics | None = None,
    patience: Patience = PATIENCE,
    silence_clock: Clock | None = None,
    tracing: Tracing = NOT_TRACING,
    sources: Sources = NO_SOURCES,
    **pace: Any,
) -> AsyncIterator[Hand]:
    """A worker on the stack's chats, woken by the stack's tail."""
    database = database or stack.database
    async with AsyncExitStack() as opened:
        flusher = await opened.enter_async_context(Flusher(database))
        leases = await opened.enter_async_context(
            Leases(database, worker=name, lease_s=lease_s)
        )
        means = Means(
            models=models or OneModel.of(provider or Scripted(rate=rate)),
            tools=registry or Registry([clock(now), *tools], now=now),
            flusher=flusher,
            pool=stack.pool,
            guard=stack.guard,
            metrics=(metrics or Metrics()).models,
            retry=retry,
            client_time=client_time,
            patience=patience,
            clock=silence_clock or LoopClock(),
            tracing=tracing,
            sources=sources,
        )
        worker = Worker(
            chats or stack.chats,
            leases,
            means,
            runnable=every_free_chat(stack.pool, lease_s),
            pace=pace_of(lease_s, **pace),
            now=now,
        )
        worker.signals.listen()
        stack.tail.subscribe(worker.on_events)
        await opened.enter_async_context(worker)
        yield Hand(stack, worker, leases)


def pace_of(lease_s: float, **pace: Any) -> Pace:
    """A worker's numbers, but for those that a test gives."""
    numbers = {
        "slots": 100,
        "poll_interval_s": 0.5,
        "heartbeat_interval_s": lease_s / 3,
        "shutdown_grace_s": 5.0,
    }
    return Pace(**{**numbers, **pace})


class Watch:
    """Waits for a chat to come to a state; woken by a tail, never by time."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._moved = asyncio.Event()
        stack.tail.subscribe(self._wake)

    def _wake(self, _: Sequence[RecordedEvent]) -> None:
        self._moved.set()

    async def until(
        self,
        chat_id: UUID,
        reached: Callable[[ChatState], bool],
        *,
        timeout: float = PATIENCE_S,
    ) -> ChatState:
        async with asyncio.timeout(timeout):
            while True:
                self._moved.clear()
                state = (await self._stack.chats.load(chat_id)).state
                if reached(state):
                    return state
                await self._moved.wait()


async def history(stack: Stack, chat_id: UUID) -> list[ChatEvent]:
    """All events of the chat, in order."""
    async with stack.pool.connection() as connection:
        recorded = await store.read_stream(
            connection, StreamName("chat", chat_id), 0, 100_000
        )
    decoded = (codec.decode(event) for event in recorded)
    return [event for event in decoded if event is not None]


def types(events: Sequence[ChatEvent]) -> list[str]:
    return [event.type for event in events]


def texts(state: ChatState, role: str = "assistant") -> list[str]:
    """The text of each message of this role."""
    return [
        "".join(part.text for part in message.parts if part.type == "text")
        for message in state.messages
        if message.role == role
    ]


def counted(number: int) -> str:
    return " ".join(map(str, range(1, number + 1)))


def rests(state: ChatState) -> bool:
    """No turn is running."""
    return state.status in (Status.WAITING, Status.ERROR)


class Speaks:
    """Says one list of deltas a step, the last one again and again."""

    name = "speaks"

    def __init__(self, *steps: list[Delta | Exception]) -> None:
        self._steps = list(steps)
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        for delta in step:
            if isinstance(delta, Exception):
                raise delta
            yield delta


class Gated:
    """Says one word, then waits for the gate; goes on, or fails."""

    name = "gated"

    def __init__(
        self, gate: asyncio.Event | None = None, failure: Exception | None = None
    ) -> None:
        self.gate = gate or asyncio.Event()
        self._failure = failure
        self.asked = asyncio.Event()
        self.requests: list[ModelRequest] = []

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        yield TextDelta("well")
        self.asked.set()
        await self.gate.wait()
        if self._failure is not None:
            raise self._failure
        yield TextDelta(" then")
        yield Finish("stop")


class InTurn:
    """Another provider for each request, the last one again and again."""

    name = "in-turn"

    def __init__(self, *providers: Provider) -> None:
        self._providers = list(providers)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        more = len(self._providers) > 1
        provider = self._providers.pop(0) if more else self._providers[0]
        async with aclosing(provider.stream(request)) as deltas:
            async for delta in deltas:
                yield delta


class Hangs:
    """Is asked, and says nothing any more."""

    name = "hangs"

    def __init__(self, *said: Delta) -> None:
        self._said = said
        self.asked = asyncio.Event()
        self.closed = asyncio.Event()

    async def stream(self, _: ModelRequest) -> AsyncGenerator[Delta, None]:
        try:
            for delta in self._said:
                yield delta
            self.asked.set()
            await asyncio.Event().wait()
        finally:
            self.closed.set()


class Halting(Chats):
    """Halts before a command of this kind reaches the log, as SIGSTOP would."""

    def __init__(self, stack: Stack, kind: type[ChatCommand]) -> None:
        super().__init__(stack.pool, stack.appender, cache_bytes=1 << 20)
        self._kind = kind
        self.halted = asyncio.Event()
        self.go_on = asyncio.Event()

    async def execute(self, chat_id: UUID, command: ChatCommand, **how: Any) -> Handled:
        if isinstance(command, self._kind):
            self.halted.set()
            await self.go_on.wait()
        return await super().execute(chat_id, command, **how)


class Switchboard:
    """Models as an operator has set them up; an error where one cannot be asked."""

    def __init__(
        self,
        default: Model | ProviderError,
        configs: Mapping[UUID, Model | ProviderError] = MappingProxyType({}),
        *,
        compaction: Model | None = None,
    ) -> None:
        self.default = default
        self.configs = dict(configs)
        self.compaction = compaction

    async def resolve(
        self,
        *,
        owner_id: UUID,
        model_config_id: UUID | None,
        purpose: Purpose = "turn",
    ) -> Model:
        found = self.default
        if model_config_id is not None:
            found = self.configs.get(model_config_id, found)
        if purpose == "compaction" and self.compaction is not None:
            found = self.compaction
        if isinstance(found, ProviderError):
            raise found
        return found


def a_model(
    provider: Provider, name: str = "m1", config: UUID | None = None, **fields: Any
) -> Model:
    """A model that is asked for no titles."""
    ref = ModelRef(provider=provider.name, model=name, model_config_id=config)
    return Model(provider, ref, names_chats=False, **fields)


def used(tokens: int, **fields: Any) -> UsageReport:
    """What a prompt of so many tokens took."""
    return UsageReport(Usage(input_tokens=tokens, output_tokens=10, **fields))


Said = list[Delta | Exception]
"""What `Speaks` says in one step."""


def says(text: str, *more: Delta) -> Said:
    return [TextDelta(text), *more, Finish("stop")]


def steps(events: Sequence[ChatEvent]) -> list[StepCommitted]:
    return [event for event in events if isinstance(event, StepCommitted)]
