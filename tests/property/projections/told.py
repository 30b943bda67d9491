"""What the fold tells owners of their chats: the reference of the watch feed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from projections.status import status_after
from service.db.pool import Connection
from service.domain.chat.evolve import MOVING, evolve, fold
from service.domain.chat.public import public_action, public_chat
from service.domain.chat.state import ChatState, Status
from service.domain.events.chat import ChatCreated, ChatEvent
from service.domain.times import rfc3339
from service.eventstore.records import RecordedEvent
from service.readmodels.watch_feed import read_watch_feed, watch_heads
from tests.unit.projections.log import Log

ALL = 10_000
TOLD_BY = {
    "title_changed": "title_change",
    "chat_archived": "deleted",
    "chat_unarchived": "created",
    "labels_changed": "chat_change",
    "chat_pinned": "chat_change",
    "chat_unpinned": "chat_change",
    "plan_mode_changed": "chat_change",
    "workspace_bound": "chat_change",
    "model_changed": "chat_change",
    "mcp_servers_changed": "chat_change",
    "read_cursor_moved": "chat_change",
}
"""Events that tell something by themselves."""


async def assert_watch_feed(connection: Connection, log: Log) -> None:
    """Each owner's rows are what the fold tells, numbered 1, 2, ..."""
    states = {
        chat_id: fold(
            ChatState(), [e.event for e in log.entries if e.chat_id == chat_id]
        )
        for chat_id in log.versions
    }
    told = Told()
    for recorded, event in log.entries:
        told.take(recorded, event)
    for owner in {state.owner_id for state in states.values() if state.owner_id}:
        theirs = [row for row in told.rows if states[row[0]].owner_id == owner]
        expected = [
            (number, {"kind": kind, "chat": seen(chat_id, states[chat_id], row)} | more)
            for number, (chat_id, kind, row, more) in enumerate(theirs, 1)
        ]
        rows = await read_watch_feed(connection, owner, 1, ALL)
        assert [(row.number, row.public()) for row in rows] == expected
        heads = await watch_heads(connection, [owner])
        assert list(heads.values()) == [(row.number, row.digest) for row in rows[-1:]]


def seen(chat_id: UUID, state: ChatState, row: dict[str, Any]) -> dict[str, Any]:
    """The chat in a row: as it is now, but for what the row itself says."""
    if "status" not in row:
        return {"id": str(chat_id)} | row
    return public_chat(chat_id, state) | row


class Told:
    """What the fold tells owners, append by append; the reference of the feed."""

    def __init__(self) -> None:
        self.rows: list[tuple[UUID, str, dict[str, Any], dict[str, Any]]] = []
        self._states: dict[UUID, ChatState] = {}
        self._told: dict[UUID, ChatState] = {}
        self._moved: dict[UUID, datetime] = {}

    def take(self, recorded: RecordedEvent, event: ChatEvent) -> None:
        chat_id, version = recorded.stream.stream_id, recorded.append_last
        before = self._states.get(chat_id, ChatState())
        state = self._states[chat_id] = evolve(before, event)
        if isinstance(event, ChatCreated | MOVING) or status_after(event):
            self._moved[chat_id] = max(event.at, self._moved.get(chat_id, event.at))
        told = self._told.get(chat_id)
        if told is not None and (kind := TOLD_BY.get(event.type)):
            moves = isinstance(event, MOVING)
            at = event.at if moves else self._moved[chat_id]
            self._row(chat_id, kind, version, told, at)
        if not recorded.at_border:
            return
        self._told[chat_id] = state
        if told is not None and told.status == state.status:
            return
        kind = "created" if told is None else "status_change"
        self._row(chat_id, kind, version, state, event.at)
        if state.status is Status.REQUIRES_ACTION and state.action is not None:
            calls = public_action(state.action)["tool_calls"]
            more = {"tool_calls": calls}
            self._row(chat_id, "action_required", version, state, event.at, more)

    def _row(
        self, chat_id: UUID, kind: str, version: int, told: ChatState, at: datetime,
        more: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        row: dict[str, Any] = {"version": version}
        if kind != "deleted":
            shown = public_chat(chat_id, told)
            row |= {name: shown[name] for name in ("status", "last_error")}
            row["updated_at"] = rfc3339(at)
        self.rows.append((chat_id, kind, row, more or {}))
