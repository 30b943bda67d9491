"""es.state_at gives what `evolve` gives, for any course and at every version."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from service.db.pool import Connection, Database, connect
from service.domain.chat.state import (
    ChatState,
    Episode,
    Holder,
    PendingAction,
    Retry,
)
from service.domain.events.chat import (
    ChatError,
    ChatEvent,
    Origin,
    PendingCall,
    TurnSettings,
)
from service.domain.ids import CHAT
from service.eventstore import codec, store
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)
from tests import builders as b
from tests.property.domain.anything import EVENTS
from tests.property.domain.courses import COURSES, PARKING, Intent, replayed, run

STATE_AT = "SELECT es.state_at(%s, %s)"

REAL = settings(
    max_examples=12,
    deadline=None,
    # an example takes a second: shrinking one would take minutes
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""A fixture's database serves all examples: each writes a chat of its own."""


@pytest_asyncio.fixture
async def connection(database: Database) -> Any:
    async with await connect(database, role="service", name="test") as opened:
        yield opened


async def write(
    connection: Connection, events: Sequence[ChatEvent | None], borders: Sequence[int]
) -> UUID:
    """A chat with these events; None is an erased one."""
    stream = StreamName(CHAT, uuid4())
    for first, last in pairwise(borders):
        encoded = tuple(
            NewEvent("erased", 1, {"was": "x"}) if e is None else codec.encode(e, {})
            for e in events[first:last]
        )
        append = StreamAppend(stream, ANY, encoded)
        await store.append(
            connection, [AppendRequest((append,), f"k:{first}", bytes(32))]
        )
    return stream.stream_id


async def state_at(connection: Connection, chat: UUID, version: int | None) -> Any:
    row = await (await connection.execute(STATE_AT, [chat, version])).fetchone()
    assert row is not None
    return row[0]


PLAIN = (
    *("version", "exists", "title", "title_source", "archived", "client_type"),
    *("labels", "epoch", "attempt", "term", "turn_id", "turn_plan_mode"),
    *("last_error", "plan_mode", "pin_key", "read_up_to", "first_unread"),
    *("compaction", "organization_id", "owner_id", "parent_chat_id", "root_chat_id"),
    *("workspace_id", "model_config_id", "origin", "created_at", "updated_at"),
    *("context_limit", "default_prompt", "deployment_prompt"),
)
"""What both call by the same name, and hold as one value."""

IDS = (
    *("organization_id", "owner_id", "parent_chat_id", "root_chat_id"),
    *("workspace_id", "model_config_id"),
)

SHAPES: dict[str, TypeAdapter[Any]] = {
    "last_error": TypeAdapter(ChatError),
    "origin": TypeAdapter(Origin),
    "retry": TypeAdapter(Retry),
    "holder": TypeAdapter(Holder),
    "episode": TypeAdapter(Episode),
}


def summary(state: ChatState) -> dict[str, Any]:
    """The fold as es.state_at tells it, with values of Python."""
    return {name: getattr(state, name) for name in PLAIN} | {
        "status": state.status.value,
        "messages": len(state.messages),
        "queue": [item.id for item in state.queue],
        "children": list(state.children),
        "summaries": list(state.summaries),
        "mcp_server_ids": list(state.mcp_server_ids),
        "client_tools": [tool.name for tool in state.client_tools],
        "episode": state.episode,
        "holder": state.holder,
        "retry": state.retry,
        "action": state.action,
    }


def told(state: dict[str, Any]) -> dict[str, Any]:
    """What es.state_at said, with values of Python."""
    read = dict(state)
    for name in IDS:
        read[name] = state[name] and UUID(state[name])
    for name in ("children", "mcp_server_ids"):
        read[name] = [UUID(each) for each in state[name]]
    for name in ("created_at", "updated_at"):
        read[name] = state[name] and datetime.fromisoformat(state[name])
    for name, shape in SHAPES.items():
        read[name] = state[name] and shape.validate_python(state[name])
    read["action"] = state["action"] and _action(state["action"])
    return read


def _action(told: dict[str, Any]) -> PendingAction:
    calls = tuple(PendingCall.model_validate(call) for call in told["tool_calls"])
    return PendingAction(calls, datetime.fromisoformat(told["deadline"]))


async def check(
    connection: Connection, events: Sequence[Any], borders: Sequence[int]
) -> None:
    chat = await write(connection, events, borders)
    states = replayed(list(events))
    # at most fifty questions of a long chat: each folds it from its beginning
    for version in range(0, len(events) + 1, len(events) // 50 + 1):
        border = borders[bisect_left(borders, version)]
        found = told(await state_at(connection, chat, version))
        assert found == summary(states[border])
    newest = summary(states[-1])
    assert told(await state_at(connection, chat, None)) == newest
    assert told(await state_at(connection, chat, len(events) + 5)) == newest


FULL = ChatError(message="too long", kind="config", context_limit=4096)
COMPACTED = b.a_compacted_chat()
PICKED = TurnSettings(model_config_id=UUID(int=5))


@pytest.mark.parametrize(
    "events",
    [
        COMPACTED,
        [*COMPACTED, b.user(), *b.a_summary(17, 17), b.truncated(17), b.user()],
        [*COMPACTED, b.truncated(2), b.user("rather")],
        [*COMPACTED, b.forked(16), b.user("mine")],
        [*b.a_turn(), b.turn_failed(error=FULL), b.user(), b.turn_failed(5)],
        [*b.a_turn(), b.turn_failed(error=FULL), b.user(settings=PICKED)],
        [*b.a_turn(), b.turn_failed(error=FULL), b.model_changed(None)],
        [*b.a_turn(), b.turn_failed(error=FULL), b.forked(5)],
        [*b.an_idle_chat(), b.usage_recorded(), b.title_changed()],
        [b.created(default_prompt=2, deployment_prompt="be kind"), b.user()],
    ],
    ids=[
        *("compacted", "edited-after", "edited-before", "forked", "too-long"),
        *("picked-another", "changed-model", "forked-too-long", "named", "prompts"),
    ],
)
async def test_state_at_knows_summaries_and_limits(
    connection: Connection, events: list[ChatEvent]
) -> None:
    await check(connection, events, range(len(events) + 1))


@REAL
@given(COURSES | PARKING)
async def test_state_at_is_the_fold_of_any_course(
    connection: Connection, course: list[Intent]
) -> None:
    """Between borders it tells the state at the next one."""
    taken = run(course)
    if taken.events:
        await check(connection, taken.events, sorted(taken.borders))


@REAL
@given(st.lists(EVENTS | st.none(), min_size=1, max_size=12))
async def test_state_at_is_the_fold_of_any_events(
    connection: Connection, events: list[ChatEvent | None]
) -> None:
    """Also of those that no chat ever has, and of erased ones."""
    await check(connection, events, range(len(events) + 1))
