"""The frames of event streams, for the OpenAPI document and for tests that hold us to
them. Each is a block with `id`, `event` and `data`; these models describe the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.api.shapes import ChatShape, EventShape, MessageShape, QueuedShape
from service.domain.chat.state import Status
from service.domain.events.chat import ChatError, Role

Frames = Mapping[str, type[BaseModel]]
"""The name of a frame to its data."""


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _OfChat(_Data):
    chat_id: UUID
    version: int = Field(description="Version of the chat that the frame is about.")


class _Recorded(_OfChat):
    at: datetime = Field(description="When it was recorded.")


class EpisodeShape(_Data):
    """Names one attempt of the model to say something, and so its preview."""

    epoch: int
    attempt: int


class LivePartShape(_Data):
    """A delta: text is appended to the text before it, other parts come whole."""

    role: Role
    part: dict[str, Any] = Field(
        description="A part of a message; a call that is being written has args_delta."
    )


class PreviewShape(EpisodeShape):
    """What the model has said of the answer that it is at."""

    seq: int
    parts: list[LivePartShape]


class PendingCallShape(_Data):
    """A call that waits for a client."""

    tool_call_id: str
    tool_name: str
    args: JsonValue = None


class ActionShape(_Data):
    """The calls that wait for a client, and until when."""

    tool_calls: list[PendingCallShape]
    deadline: datetime


class RetryShape(_Data):
    """An attempt that failed and is made again at `retrying_at`."""

    attempt: int
    delay_ms: int
    retrying_at: datetime
    error: ChatError


class SnapshotFrame(_OfChat):
    """The whole chat, first in a stream without a cursor."""

    type: Literal["snapshot"]
    chat: ChatShape
    messages: list[MessageShape] = Field(description="The newest ones, ascending.")
    has_more: bool
    queued_messages: list[QueuedShape]
    preview: PreviewShape | None
    action_required: ActionShape | None
    retry: RetryShape | None


class ResyncFrame(SnapshotFrame):
    """The whole chat, instead of what cannot be sent: replace what you have."""

    type: Literal["resync"]  # type: ignore[assignment]
    reason: str


class MessageFrame(_Recorded):
    """A message entered the history."""

    type: Literal["message"]
    message: MessageShape
    replaces: EpisodeShape | None = Field(
        default=None, description="The preview that it takes the place of."
    )


class MessagePartFrame(_OfChat, EpisodeShape, LivePartShape):
    """A delta of what the model says; `seq` counts from 1 without holes."""

    type: Literal["message_part"]
    seq: int


class PreviewResetFrame(_OfChat, EpisodeShape):
    """Throw this preview away: it was abandoned."""

    type: Literal["preview_reset"]
    at: datetime | None = None


class QueueUpdateFrame(_Recorded):
    """All messages that wait for the turn to end."""

    type: Literal["queue_update"]
    queued_messages: list[QueuedShape]


class HistoryTruncatedFrame(_Recorded):
    """This message and all after it left the history, by an edit."""

    type: Literal["history_truncated"]
    from_id: int


class ActionRequiredFrame(_Recorded, ActionShape):
    """Calls wait for a client: answer with POST .../tool-results."""

    type: Literal["action_required"]


class RetryFrame(_Recorded, RetryShape):
    """An attempt failed, and another one follows."""

    type: Literal["retry"]


class StatusFrame(_Recorded):
    """The chat's status is another one."""

    type: Literal["status"]
    status: Status


class ErrorFrame(_Data):
    """Why a turn failed; without a version it is about the connection."""

    type: Literal["error"]
    chat_id: UUID | None
    version: int | None = None
    at: datetime | None = None
    error: ChatError


class TurnFinishedFrame(_Recorded):
    """A turn ended."""

    type: Literal["turn_finished"]
    turn_id: int | None
    outcome: Literal["finished", "failed", "interrupted"]


class ChatUpdatedFrame(_Recorded):
    """The chat's header."""

    type: Literal["chat_updated"]
    chat: ChatShape


class CaughtUpFrame(_Data):
    """Once per connection: what follows is live."""

    type: Literal["caught_up"]
    chat_id: UUID | None = None


class ByeFrame(_Data):
    """The server ends this connection: reconnect."""

    type: Literal["bye"]
    chat_id: UUID | None = None
    reason: str = Field(description="lifetime, shutdown, upgrade, reset or purged.")


class StartOverFrame(_Data):
    """The cursor is of another history, or too old: fetch afresh what you keep."""

    type: Literal["resync"]
    reason: str


class GoneChatShape(_Data):
    """A chat that is deleted."""

    id: UUID
    version: int


class WatchedFrame(_Data):
    """A chat was created, or something about it is another."""

    type: Literal["created", "status_change", "title_change", "chat_change"]
    kind: Literal["created", "status_change", "title_change", "chat_change"]
    chat: ChatShape


class ClientNeededFrame(_Data):
    """Calls of a chat wait for a client."""

    type: Literal["action_required"]
    kind: Literal["action_required"]
    chat: ChatShape
    tool_calls: list[PendingCallShape]


class ChatDeletedFrame(_Data):
    """A chat was deleted."""

    type: Literal["deleted"]
    kind: Literal["deleted"]
    chat: GoneChatShape


CHAT_FRAMES: Frames = {
    "snapshot": SnapshotFrame, "resync": ResyncFrame, "message": MessageFrame,
    "message_part": MessagePartFrame, "preview_reset": PreviewResetFrame,
    "queue_update": QueueUpdateFrame, "status": StatusFrame, "error": ErrorFrame,
    "turn_finished": TurnFinishedFrame, "chat_updated": ChatUpdatedFrame,
    "history_truncated": HistoryTruncatedFrame, "retry": RetryFrame,
    "action_required": ActionRequiredFrame,
    "caught_up": CaughtUpFrame, "bye": ByeFrame,
}  # fmt: skip

EVENT_FRAMES: Frames = {
    "event": EventShape, "resync": StartOverFrame, "error": ErrorFrame,
    "caught_up": CaughtUpFrame, "bye": ByeFrame,
}  # fmt: skip

WATCH_FRAMES: Frames = {
    "created": WatchedFrame, "status_change": WatchedFrame,
    "title_change": WatchedFrame, "chat_change": WatchedFrame,
    "action_required": ClientNeededFrame,
    "deleted": ChatDeletedFrame, "resync": StartOverFrame, "error": ErrorFrame,
    "caught_up": CaughtUpFrame, "bye": ByeFrame,
}  # fmt: skip

WITHOUT_ID = frozenset({"caught_up", "bye"})
"""Frames about the connection; an `error` may be one, too."""
