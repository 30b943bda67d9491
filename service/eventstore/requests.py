"""Who asks for something, under which key, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Required, TypedDict
from uuid import UUID, uuid4

from service.domain.events.chat import ChatEvent
from service.domain.ids import CHAT
from service.eventstore.fold import Loaded
from service.eventstore.records import StreamName


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a command.

    `events` are (version, event) of this request; after a `duplicate` those that the
    first one appended, and `loaded` may be further than they are.
    """

    outcome: Literal["appended", "duplicate"]
    events: tuple[tuple[int, ChatEvent], ...]
    loaded: Loaded


@dataclass(frozen=True, slots=True)
class Request:
    """One request, over one chat or several."""

    chat_id: UUID
    """The chat whose result the caller gets."""
    name: str
    """Of the command, for the log of the process."""
    key: str
    request_hash: bytes
    metadata: Mapping[str, Any]
    keyed: bool
    """The key is the caller's, so it may have been used before."""

    @property
    def stream(self) -> StreamName:
        return StreamName(CHAT, self.chat_id)


class Attribution(TypedDict, total=False):
    """Keywords of every command: whose it is, and how its repetition is recognised.

    A key needs the hash of what was asked.
    """

    actor: Required[str]
    key: str | None
    request_hash: bytes | None
    correlation_id: str | None
    causation_id: str | None


@dataclass(frozen=True, slots=True)
class Caller:
    """An attribution, as what asks."""

    actor: str
    key: str | None = None
    request_hash: bytes | None = None
    correlation_id: str | None = None
    causation_id: str | None = None

    def asks(self, chat_id: UUID, name: str) -> Request:
        """The request. Without a caller's key it gets one of its own, so that an append
        whose connection is lost is still appended once."""
        if self.key is None:
            own = uuid4()
            return Request(
                chat_id, name, f"auto:{own}", own.bytes, self._metadata(), keyed=False
            )
        if self.request_hash is None:
            raise ValueError("an idempotency key needs the hash of its request")
        return Request(
            chat_id, name, self.key, self.request_hash, self._metadata(), keyed=True
        )

    def _metadata(self) -> dict[str, Any]:
        metadata = {"actor": self.actor}
        if self.correlation_id is not None:
            metadata["correlation_id"] = self.correlation_id
        if self.causation_id is not None:
            metadata["causation_id"] = self.causation_id
        return metadata
