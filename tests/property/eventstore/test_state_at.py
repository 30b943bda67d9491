"""es.state_at gives what `evolve` gives, for any course and at every version."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.db.pool import Connection, Database, connect
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatError, ChatEvent
from service.domain.ids import CHAT
from service.eventstore import codec, store
from service.eventstore.records import (
    ANY,
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
)
from tests.property.domain.anything import EVENTS
from tests.property.domain.courses import COURSES, PARKING, Intent, replayed, run

STATE_AT = "SELECT es.state_at(%s, %s)"

REAL = settings(
    max_examples=12,
    deadline=None,
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


def summary(state: ChatState) -> dict[str, Any]:
    """The fold as es.state_at tells it, with values of Python."""
    episode, holder = state.episode, state.holder
    return {
        "version": state.version,
        "exists": state.exists,
        "status": state.status.value,
        "title": state.title,
        "archived": state.archived,
        "client_type": state.client_type,
        "labels": state.labels,
        "epoch": state.epoch,
        "attempt": state.attempt,
        "term": state.term,
        "turn_id": state.turn_id,
        "messages": len(state.messages),
        "queue": [item.id for item in state.queue],
        "episode": episode
        and (
            episode.epoch,
            episode.attempt,
            episode.kind,
            episode.version,
            episode.started_at,
        ),
        "holder": holder and (holder.worker, holder.term),
        "last_error": state.last_error,
        "organization_id": state.organization_id,
        "owner_id": state.owner_id,
        "parent_chat_id": state.parent_chat_id,
        "root_chat_id": state.root_chat_id,
        "created_at": state.created_at,
        "updated_at": state.updated_at,
    }


def told(state: dict[str, Any]) -> dict[str, Any]:
    """What es.state_at said, with values of Python."""
    episode, holder, error = state["episode"], state["holder"], state["last_error"]
    read = dict(state)
    for name in ("organization_id", "owner_id", "parent_chat_id", "root_chat_id"):
        read[name] = state[name] and UUID(state[name])
    for name in ("created_at", "updated_at"):
        read[name] = state[name] and datetime.fromisoformat(state[name])
    read["last_error"] = error and ChatError.model_validate(error)
    read["holder"] = holder and (holder["worker"], holder["term"])
    read["episode"] = episode and (
        episode["epoch"],
        episode["attempt"],
        episode["kind"],
        episode["version"],
        datetime.fromisoformat(episode["started_at"]),
    )
    return read


async def check(
    connection: Connection, events: Sequence[Any], borders: Sequence[int]
) -> None:
    chat = await write(connection, events, borders)
    states = replayed(list(events))
    for version in range(len(events) + 1):
        border = borders[bisect_left(borders, version)]
        found = told(await state_at(connection, chat, version))
        assert found == summary(states[border])
    newest = summary(states[-1])
    assert told(await state_at(connection, chat, None)) == newest
    assert told(await state_at(connection, chat, len(events) + 5)) == newest


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
