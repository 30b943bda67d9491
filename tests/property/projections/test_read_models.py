"""Any log of legal histories, cut into any batches, makes the same read models."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from psycopg import Rollback

from projections.apply import apply
from projections.projection import Entry
from projections.registry import PROJECTIONS
from service.db.pool import Connection
from service.domain.chat.evolve import fold
from service.domain.chat.public import (
    public_chat,
    public_message,
    public_queued,
    visible,
)
from service.domain.chat.state import ChatState, Status
from service.domain.parts import TextPart
from service.readmodels.chats import (
    ChatFilters,
    ChatRow,
    get_extras,
    list_chats,
    pins,
    running_of,
)
from service.readmodels.messages import list_messages, prompts
from service.readmodels.queue import list_queue
from service.readmodels.runnable import runnable_chats
from tests import builders as b
from tests.property.domain.courses import COURSES, Course, run
from tests.property.projections.spent import assert_ledger
from tests.property.projections.told import assert_watch_feed
from tests.unit.projections.log import Log, of_types

TABLES = [table for projection in PROJECTIONS for table in projection.tables]
SEARCHED = "SELECT id FROM read.search WHERE chat_id = %s AND id > 0"
URGENCY = [Status.INTERRUPTING, Status.REQUIRES_ACTION, Status.RUNNING]
CAPPED = {Status.RUNNING, Status.INTERRUPTING}
ALL = 10_000


class Batches(NamedTuple):
    """A log, and where it is cut: anywhere, also inside an append."""

    log: Log
    cuts: Sequence[Sequence[Entry]]

    def __repr__(self) -> str:
        chats = {chat.int: version for chat, version in self.log.versions.items()}
        return f"chats at {chats}, cut into {[len(cut) for cut in self.cuts]}"


@st.composite
def logs(draw: st.DrawFn) -> Batches:
    """Up to two chats whose appends are shuffled together, by clocks that differ."""
    courses = draw(st.lists(COURSES.map(run), min_size=1, max_size=2))
    chance = random.Random(draw(st.integers(0, 2**32)))
    log = Log()
    waiting = {
        UUID(int=number): _appends(course) for number, course in enumerate(courses, 1)
    }
    while any(waiting.values()):
        chat_id = chance.choice([c for c, appends in waiting.items() if appends])
        at = b.NOW + timedelta(microseconds=chance.randint(-3, len(log.entries)))
        events = waiting[chat_id].pop(0)
        log.append(chat_id, *[e.model_copy(update={"at": at}) for e in events])
    return Batches(log, _cut(log.entries, draw(st.sampled_from([1, 2, 7, 50])), chance))


def _appends(course: Course) -> list[list[Any]]:
    return [
        course.events[first:last] for first, last in pairwise(sorted(course.borders))
    ]


def _cut(
    entries: Sequence[Entry], longest: int, chance: random.Random
) -> list[Sequence[Entry]]:
    batches, start = [], 0
    while start < len(entries):
        end = start + chance.randint(1, longest)
        batches.append(entries[start:end])
        start = end
    return batches


on_postgres = settings(
    max_examples=25,
    deadline=None,
    # an example takes a tenth of a second here: shrinking one would take minutes
    phases=[Phase.explicit, Phase.generate],
    # the transaction of each example is rolled back, so it may share the database
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@on_postgres
@given(logs())
async def test_read_models_equal_the_fold(
    connection: Connection, batches: Batches
) -> None:
    states = {
        chat_id: fold(
            ChatState(), [e.event for e in batches.log.entries if e.chat_id == chat_id]
        )
        for chat_id in batches.log.versions
    }
    async with connection.transaction():
        await project(connection, batches.cuts)
        await assert_chats(connection, states)
        for chat_id, state in states.items():
            await assert_messages(connection, chat_id, state)
            await assert_queue(connection, chat_id, state)
        await assert_runnable(connection, states)
        await assert_watch_feed(connection, batches.log)
        await assert_ledger(connection, batches.log)
        raise Rollback


@on_postgres
@given(logs())
async def test_batch_size_never_changes_a_read_model(
    connection: Connection, batches: Batches
) -> None:
    whole = await made_of(connection, [batches.log.entries])
    assert await made_of(connection, batches.cuts) == whole


@on_postgres
@given(logs())
async def test_batch_applied_twice_equals_once(
    connection: Connection, batches: Batches
) -> None:
    once = await made_of(connection, batches.cuts)
    twice = [batch for cut in batches.cuts for batch in (cut, cut)]
    assert await made_of(connection, twice) == once


@on_postgres
@given(logs())
async def test_whole_log_replayed_over_itself_changes_nothing(
    connection: Connection, batches: Batches
) -> None:
    once = await made_of(connection, batches.cuts)
    assert await made_of(connection, [*batches.cuts, *batches.cuts]) == once


async def project(connection: Connection, batches: Sequence[Sequence[Entry]]) -> None:
    for batch in batches:
        for projection in PROJECTIONS:
            await apply(connection, projection, of_types(projection, batch))


async def made_of(
    connection: Connection, batches: Sequence[Sequence[Entry]]
) -> dict[str, list[Any]]:
    """Every row of every table, after these batches."""
    tables = {}
    async with connection.transaction():
        await project(connection, batches)
        for table in TABLES:
            found = await connection.execute(
                f"SELECT to_jsonb(t) FROM read.{table}__v1 AS t ORDER BY 1"  # noqa: S608
            )
            tables[table] = [row for (row,) in await found.fetchall()]
        raise Rollback
    return tables


async def assert_chats(connection: Connection, states: dict[UUID, ChatState]) -> None:
    for owner in {state.owner_id for state in states.values() if state.owner_id}:
        theirs = {c: s for c, s in states.items() if s.owner_id == owner}
        ranks = ranked(theirs)
        assert await pins(connection, owner) == [
            (chat_id, theirs[chat_id].pin_key) for chat_id in ranks
        ]
        running = [s for s in theirs.values() if s.status in CAPPED]
        assert await running_of(connection, owner) == len(running)
        for archived in (False, True):
            wanted = {c: s for c, s in theirs.items() if s.archived == archived}
            listed = await listed_chats(connection, owner, archived)
            assert [row.public() for row in listed] == [
                shown(chat_id, theirs[chat_id], ranks) for chat_id in in_order(wanted)
            ]
    for chat_id, state in states.items():
        assert (await get_extras(connection, chat_id)).pin_order == ranked(
            {c: s for c, s in states.items() if s.owner_id == state.owner_id}
        ).get(chat_id, 0)


def in_order(states: dict[UUID, ChatState]) -> list[UUID]:
    """Pins by their keys, then the rest, the newest first."""
    rest = [chat_id for chat_id, state in states.items() if state.pin_key is None]
    rest.sort(key=lambda chat_id: (states[chat_id].updated_at, chat_id), reverse=True)
    return [*ranked(states), *rest]


def ranked(states: dict[UUID, ChatState]) -> dict[UUID, int]:
    """Of one owner's chats the pins, in order, as 1, 2, ..."""
    keys = sorted((s.pin_key, chat_id) for chat_id, s in states.items() if s.pin_key)
    return {chat_id: place for place, (_, chat_id) in enumerate(keys, 1)}


def shown(chat_id: UUID, state: ChatState, ranks: dict[UUID, int]) -> dict[str, Any]:
    """The chat as the fold has it, in the shape of a list."""
    return public_chat(chat_id, state) | {
        "has_unread": state.first_unread is not None,
        "pin_order": ranks.get(chat_id, 0),
        "children": [],
    }


async def listed_chats(
    connection: Connection, owner: UUID, archived: bool
) -> list[ChatRow]:
    listed: list[ChatRow] = []
    cursor: str | None = None
    while True:
        # pages of two, so that most examples cross a page border
        page = await list_chats(
            connection, owner, limit=2, cursor=cursor,
            filters=ChatFilters(archived=archived),
        )  # fmt: skip
        listed += page.chats
        cursor = page.next_cursor
        if cursor is None:
            return listed


async def assert_messages(
    connection: Connection, chat_id: UUID, state: ChatState
) -> None:
    page = await list_messages(connection, chat_id, limit=ALL)
    assert not page.has_more
    assert [row.public() for row in page.messages] == [
        public_message(chat_id, message)
        for message in reversed(list(state.messages))
        if visible(message)
    ]
    assert await prompts(connection, chat_id, ALL) == [
        (message.id, "\n".join(texts))
        for message in reversed(list(state.messages))
        if message.role == "user" and visible(message)
        and (texts := [p.text for p in message.parts if isinstance(p, TextPart)])
    ]  # fmt: skip
    found = await connection.execute(SEARCHED, (chat_id,))
    assert {row for (row,) in await found.fetchall()} == {
        message.id
        for message in state.messages
        if visible(message)
        and any(isinstance(part, TextPart) and part.text for part in message.parts)
    }


async def assert_queue(connection: Connection, chat_id: UUID, state: ChatState) -> None:
    queue = await list_queue(connection, chat_id)
    assert [row.public() for row in queue] == [
        public_queued(chat_id, item) for item in state.queue
    ]


async def assert_runnable(
    connection: Connection, states: dict[UUID, ChatState]
) -> None:
    free = await runnable_chats(connection, ALL, lease_s=30)
    found = [chat.chat_id for chat in free]
    wanted = {c: s.status for c, s in states.items() if s.status in URGENCY}
    assert set(found) == set(wanted)
    assert [URGENCY.index(wanted[c]) for c in found] == sorted(
        URGENCY.index(status) for status in wanted.values()
    )
