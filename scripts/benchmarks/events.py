"""Real chat events: what an ordinary turn leaves in the log, over and over.

Encoded once, outside the clock: every scheme that is compared begins with the same
plain values and makes of them what its store wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import cycle
from uuid import UUID, uuid4

from service.domain.events.chat import (
    ChatCreated,
    ChatEvent,
    GenerationAttemptStarted,
    MessageAppended,
    ModelRef,
    RunAcquired,
    StepCommitted,
    TurnFinished,
    Usage,
)
from service.domain.ids import CHAT
from service.domain.parts import TextPart
from service.eventstore.codec import encode
from service.eventstore.records import (
    AppendRequest,
    NewEvent,
    StreamAppend,
    StreamName,
    StreamResult,
)
from service.platform.users import FIRST_USER

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ORGANIZATION = UUID("00000000-0000-4000-8000-000000000001")
"""The default organization, from the first migration."""

QUESTION = "How do I find out which of my services holds a lock on this table, and why?"
ANSWER = (
    "Look at pg_locks together with pg_stat_activity: the first says who holds or"
    " awaits a lock, the second what that session is doing. Join them by process id,"
    " keep the rows of your table, and read the column granted."
)
HASH = bytes(32)
METADATA = {"actor": f"user:{FIRST_USER}", "correlation_id": str(UUID(int=7))}


def chat_created() -> ChatCreated:
    """A chat of the first user, whose token the service prints at its start."""
    return ChatCreated(
        at=AT, organization_id=ORGANIZATION, owner_id=FIRST_USER, title="locks"
    )


def user_message(text: str = QUESTION) -> MessageAppended:
    """What a person asks."""
    return MessageAppended(
        at=AT, role="user", parts=(TextPart(text=text),), created_by=FIRST_USER
    )


def assistant_message(text: str = ANSWER) -> MessageAppended:
    """What the model answers; on a waiting chat it is shown and starts nothing."""
    return MessageAppended(at=AT, role="assistant", parts=(TextPart(text=text),))


def a_turn(first: int) -> list[ChatEvent]:
    """The events of one turn whose user message has version `first`."""
    usage = Usage(input_tokens=912, output_tokens=64, total_tokens=976)
    return [
        user_message(),
        RunAcquired(at=AT, worker="worker-1", term=first),
        GenerationAttemptStarted(at=AT, epoch=first, attempt=1, kind="model"),
        assistant_message().model_copy(update={"epoch": first, "attempt": 1}),
        StepCommitted(
            at=AT,
            epoch=first,
            attempt=1,
            kind="model",
            usage=usage,
            runtime_ms=1_840,
            finish_reason="stop",
            asked=ModelRef(provider="scripted", model="default"),
        ),
        TurnFinished(at=AT, turn_id=first),
    ]


def encoded_turns() -> Iterator[NewEvent]:
    """Events of turns without end, each ready for a store; metadata as in production.

    Versions inside the data are of the first turn: they are only looked at by folds.
    """
    return cycle([encode(event, METADATA) for event in a_turn(2)])


@dataclass(slots=True)
class Writer:
    """A chat that grows by one event a request, with the fence that `Chats` uses."""

    stream: StreamName = field(default_factory=lambda: StreamName(CHAT, uuid4()))
    version: int = 0
    digest: bytes | None = None
    events: Iterator[NewEvent] = field(default_factory=encoded_turns)
    keys: str = ""
    """What its keys begin with; made once, for it is no work of a store."""

    def __post_init__(self) -> None:
        self.keys = f"{FIRST_USER}:{self.stream.stream_id}-"

    def request(self) -> AppendRequest:
        """The next event, with a key of its own."""
        append = StreamAppend(
            self.stream, self.version, (next(self.events),), self.digest
        )
        return AppendRequest((append,), f"{self.keys}{self.version}", HASH)

    def moved(self, result: StreamResult) -> None:
        """Stand after the event that was appended."""
        self.version, self.digest = result.last_version, result.digest
