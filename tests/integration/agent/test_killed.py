"""A worker that dies before any of its commits: another one ends the turn as well."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from uuid import UUID

import pytest

from service.agent.retry import RetryPolicy
from service.db.pool import Database
from service.domain.commands.chat import (
    ChatCommand,
    CommitCompaction,
    CommitStep,
    FinishTurn,
    ScheduleRetry,
    StartAttempt,
)
from service.eventstore.handle import Handled
from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    TextDelta,
    ToolCall,
)
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import (
    Halting,
    Speaks,
    Switchboard,
    Watch,
    a_model,
    hand,
    history,
    rests,
    texts,
    types,
    used,
)

AT_ONCE = RetryPolicy(first_s=0.001, longest_s=0.001)

LEASE_S = 1.0


class Follows(Speaks):
    """Answers by what it is told, so it does not matter which worker asks."""

    def __init__(self) -> None:
        super().__init__([])

    def _deltas(self, request: ModelRequest) -> list[Delta | Exception]:
        said = [m.role for m in request.messages]
        if request.tool_choice == "none":
            return [TextDelta("a summary"), used(10), Finish("stop")]
        if said == ["user"] and len(str(request.messages[0].parts)) < 100:
            called = ToolCall("c1", "clock", {})
            return [called, used(900), Finish("tool_calls")]
        if request.attempt == 1:
            return [ProviderError("overloaded", "busy", retryable=True)]
        return [TextDelta("noon"), used(10), Finish("stop")]

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        for delta in self._deltas(request):
            if isinstance(delta, Exception):
                raise delta
            yield delta


class HaltsAt(Halting):
    """Halts at the n-th command of its kind."""

    def __init__(self, stack: Stack, kind: type[ChatCommand], nth: int) -> None:
        super().__init__(stack, kind)
        self._left = nth

    async def execute(self, chat_id: UUID, command: ChatCommand, **how: Any) -> Handled:
        if isinstance(command, self._kind):
            self._left -= 1
            if self._left:
                return await super(Halting, self).execute(chat_id, command, **how)
        return await super().execute(chat_id, command, **how)


SAMPLED = [
    (StartAttempt, 2),
    (CommitStep, 2),
    (CommitCompaction, 1),
    (ScheduleRetry, 1),
]
"""Commits of every kind that a worker may not live to make."""

REST = [
    (StartAttempt, 1),
    (CommitStep, 1),
    (StartAttempt, 3),
    (StartAttempt, 4),
    (StartAttempt, 5),
    (CommitStep, 3),
    (FinishTurn, 1),
]


@pytest.mark.parametrize(
    ("kind", "nth"),
    [*SAMPLED, *(pytest.param(*one, marks=pytest.mark.slow) for one in REST)],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
async def test_the_turn_ends_as_if_nothing_had_happened(
    stack: Stack, watch: Watch, database: Database, kind: type[ChatCommand], nth: int
) -> None:
    """A call of a tool, its result, a summary, a failure that passes, an answer."""
    halting = HaltsAt(stack, kind, nth)
    models = Switchboard(a_model(Follows(), context_limit=1000))
    async with (
        Stack(database, stack.guard) as other,
        hand(
            stack, "dead", models=models, chats=halting, lease_s=LEASE_S, retry=AT_ONCE
        ) as dead,
    ):
        chat = await ChatByHand.create(stack, "?")
        await halting.halted.wait()
        await dead.die()
        async with hand(other, "alive", models=models, lease_s=LEASE_S, retry=AT_ONCE):
            state = await watch.until(chat.id, rests)
    assert [text for text in texts(state) if text] == ["noon"]
    assert [m.role for m in state.messages] == [
        "user", "assistant", "tool", "user", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert len(state.summaries) == 1
    events = types(await history(stack, chat.id))
    assert events.count("run_acquired") == 2
    assert events.count("history_compacted") == events.count("turn_finished") == 1
