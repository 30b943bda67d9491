"""What a chat is at a version: the fold of its events, and the 13 execution states.

Frozen; `evolve` makes the next one. `History` shares one list between successive
states, so that folding n messages costs O(n).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import overload
from uuid import UUID

from service.domain.events.chat import (
    AttemptKind,
    ChatError,
    ClientTool,
    ClientType,
    ModelRef,
    Origin,
    PendingCall,
    PlanMode,
    Role,
    TitleSource,
    TurnSettings,
    Usage,
    Visibility,
)
from service.domain.parts import Part


class Status(StrEnum):
    """The status that clients see."""

    WAITING = "waiting"
    RUNNING = "running"
    INTERRUPTING = "interrupting"
    REQUIRES_ACTION = "requires_action"
    ERROR = "error"


class ExecutionState(StrEnum):
    """Status, queue and archived in one: 13 legal states, and INVALID."""

    N = "N"
    W = "W"
    E0 = "E0"
    E1 = "E1"
    R0 = "R0"
    R1 = "R1"
    I0 = "I0"
    I1 = "I1"
    A0 = "A0"
    A1 = "A1"
    XW = "XW"
    XE0 = "XE0"
    XE1 = "XE1"
    INVALID = "Invalid"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the history. `id` is the version of its event."""

    id: int
    role: Role
    visibility: Visibility
    parts: tuple[Part, ...]
    created_at: datetime
    created_by: UUID | None = None
    settings: TurnSettings | None = None
    queued_id: int | None = None
    replaces: tuple[int, int] | None = None
    """(epoch, attempt) whose preview this message replaces."""
    model_config_id: UUID | None = None
    usage: Usage | None = None
    """Tokens of the model call that it is the answer of."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message that waits for the turn to end. `id` is the version of its event."""

    id: int
    parts: tuple[Part, ...]
    created_at: datetime
    created_by: UUID
    settings: TurnSettings | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """An open attempt: what the model is saying now lives in es.live_parts under it."""

    epoch: int
    attempt: int
    kind: AttemptKind
    version: int
    """Version of the event that opened it."""
    started_at: datetime
    asked: ModelRef | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """A failed attempt that is tried again: what the banner shows."""

    attempt: int
    delay_ms: int
    retrying_at: datetime
    error: ChatError


@dataclass(frozen=True, slots=True)
class PendingAction:
    """Calls that wait for a client, and until when."""

    calls: tuple[PendingCall, ...]
    deadline: datetime


@dataclass(frozen=True, slots=True)
class Holder:
    """Who may work on the chat: set by run_acquired, cleared by run_abandoned.

    `term` survives the clearing in `ChatState.term`, so it only ever grows.
    """

    worker: str
    term: int


class History(Sequence[Message]):
    """An immutable sequence of messages that shares its list with its successors."""

    __slots__ = ("_items", "_length")

    def __init__(self, items: list[Message] | None = None, length: int = 0) -> None:
        self._items: list[Message] = items if items is not None else []
        self._length = length

    def append(self, message: Message) -> History:
        """The history with one message more; this one does not change."""
        items = self._items
        if len(items) != self._length:
            # another successor already grew this list: branch off
            items = items[: self._length]
        items.append(message)
        return History(items, self._length + 1)

    def truncate(self, length: int) -> History:
        """The first `length` messages."""
        return History(self._items, min(length, self._length))

    def before(self, message_id: int) -> History:
        """The messages older than this one."""
        return self.truncate(self._place_of(message_id))

    def find(self, message_id: int) -> Message | None:
        """The message with this id."""
        place = self._place_of(message_id)
        if place < self._length and self._items[place].id == message_id:
            return self._items[place]
        return None

    def _place_of(self, message_id: int) -> int:
        """Where the message stands, or would stand: ids ascend."""
        return bisect_left(
            self._items, message_id, hi=self._length, key=lambda message: message.id
        )

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        if isinstance(index, slice):
            return [self._items[i] for i in range(*index.indices(self._length))]
        if index < 0:
            index += self._length
        if not 0 <= index < self._length:
            raise IndexError(index)
        return self._items[index]

    def __iter__(self) -> Iterator[Message]:
        for index in range(self._length):
            yield self._items[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, History):
            return NotImplemented
        return len(self) == len(other) and all(
            a == b for a, b in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class ChatState:
    """A chat at `version`. Version 0 is a chat that does not exist."""

    version: int = 0
    organization_id: UUID | None = None
    owner_id: UUID | None = None
    title: str = ""
    title_source: TitleSource = "fallback"
    client_type: ClientType = "api"
    labels: dict[str, str] = field(default_factory=dict)
    parent_chat_id: UUID | None = None
    root_chat_id: UUID | None = None
    """The first chat of its family; None for that one."""
    children: tuple[UUID, ...] = ()
    """The rest of its family, oldest first; only a root has some."""
    origin: Origin | None = None
    """Where a fork comes from."""
    plan_mode: PlanMode = ""
    workspace_id: UUID | None = None
    model_config_id: UUID | None = None
    mcp_server_ids: tuple[UUID, ...] = ()
    client_tools: tuple[ClientTool, ...] = ()
    pin_key: str | None = None
    """Sort key among its owner's pins; None for a chat that is no pin."""
    read_up_to: int = 0
    """The newest message that its owner has seen."""
    first_unread: int | None = None
    """The first answer after that one."""
    default_prompt: int = 0
    """Number of the text that every model is told first; 0: none."""
    deployment_prompt: str = ""
    """What the operator had added to it when the chat was created."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    archived: bool = False
    status: Status = Status.WAITING
    last_error: ChatError | None = None
    messages: History = field(default_factory=History)
    summaries: tuple[int, ...] = ()
    """Ids of the messages that the model sees in place of all before them."""
    context_limit: int | None = None
    """What a vendor said, when it refused a prompt, would have fitted its model."""
    queue: tuple[QueuedMessage, ...] = ()
    turn_id: int | None = None
    """Id of the user message that began the running turn; None between turns."""
    turn_plan_mode: PlanMode = ""
    """The plan mode of that message's turn, whatever becomes of the chat's own."""
    epoch: int = 0
    """Version of the newest event that changed history or granted an epoch."""
    attempt: int = 0
    """Attempts started within this epoch."""
    episode: Episode | None = None
    retry: Retry | None = None
    action: PendingAction | None = None
    compaction: int | None = None
    """Version of the request to shorten the history, until that is done or moot."""
    holder: Holder | None = None
    term: int = 0
    """The highest term ever acquired."""

    @property
    def exists(self) -> bool:
        return self.owner_id is not None

    @property
    def is_root(self) -> bool:
        return self.root_chat_id is None

    @property
    def summary_id(self) -> int:
        """The message that stands for all before it; 0: none does."""
        return self.summaries[-1] if self.summaries else 0
