"""The view of a chat as frames: pure, one event at a time.

A `View` is what frames depend on: the fold without its messages, and what followers
have been shown. `see` gives an event's frames and the next view. Status frames come at
append borders only; every turn ends in one `turn_finished`, after its error and status.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from service import wire
from service.domain.chat.copies import replace
from service.domain.chat.evolve import evolve, message_of
from service.domain.chat.public import (
    public_action,
    public_chat,
    public_message,
    public_queued,
    public_retry,
    visible,
)
from service.domain.chat.state import ChatState, Episode, History, Message, Status
from service.domain.events.chat import (
    ActionRequired,
    ChatCreated,
    ChatEvent,
    ChatForked,
    GenerationAttemptStarted,
    HistoryTruncated,
    InterruptionFinished,
    MessageAppended,
    MessageQueued,
    QueueCleared,
    QueueItemDeleted,
    QueueItemMoved,
    RetryScheduled,
    StateReconciled,
    TurnFailed,
    TurnFinished,
    UsageRecorded,
)
from service.domain.events.metadata import MetadataEvent
from service.domain.times import rfc3339
from service.live.read import LivePart

Payload = tuple[str, dict[str, Any]]

_NO_MESSAGES = History()


@dataclass(frozen=True, slots=True)
class Frame:
    """One block on the wire, before it has an id. `body` ends with the blank line."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class View:
    """What the frames of the next event depend on. Small: it holds no messages."""

    chat: ChatState = field(default_factory=ChatState)
    shown_status: Status | None = None
    """The status that followers know: the one at the last border."""
    preview: Episode | None = None
    """The episode whose parts followers may have on the screen."""

    @property
    def version(self) -> int:
        return self.chat.version


def view_at(state: ChatState) -> View:
    """The view of a whole fold, which must stand at an append border."""
    return View(
        chat=replace(state, messages=_NO_MESSAGES),
        shown_status=state.status if state.exists else None,
        preview=state.episode,
    )


def advance(view: View, event: ChatEvent | None, *, at_border: bool) -> View:
    """The view after `event`, without its frames; None is an erased event."""
    chat = evolve(view.chat, event)
    shown = chat.status if at_border and chat.exists else view.shown_status
    preview = _preview_after(view.preview, chat, event)
    return View(replace(chat, messages=_NO_MESSAGES), shown, preview)


def see(
    view: View, chat_id: UUID, event: ChatEvent | None, *, at_border: bool
) -> tuple[View, list[Frame]]:
    """The view after `event`, and the event's frames, in order."""
    after = advance(view, event, at_border=at_border)
    if event is None:
        return after, []
    payloads = _show(chat_id, view, after, event)
    head = {
        "chat_id": str(chat_id),
        "version": after.version,
        "at": rfc3339(event.at),
    }
    return after, [_frame(name, {**head, **payload}) for name, payload in payloads]


def part_frame(chat_id: UUID, version: int, part: LivePart) -> Frame:
    """The frame of one live part; `version` is that of the event before the part."""
    return _frame(
        "message_part",
        {
            "chat_id": str(chat_id),
            "version": version,
            "epoch": part.epoch,
            "attempt": part.attempt,
            "seq": part.seq,
            **part.data,
        },
    )


def preview_reset(chat_id: UUID, version: int, episode: Episode) -> Frame:
    """Throw away what was shown of this episode."""
    return _frame(
        "preview_reset",
        {
            "chat_id": str(chat_id),
            "version": version,
            "epoch": episode.epoch,
            "attempt": episode.attempt,
        },
    )


def snapshot_frame(name: str, chat_id: UUID, version: int, **payload: Any) -> Frame:
    """A `snapshot` or `resync` frame."""
    return _frame(name, {"chat_id": str(chat_id), "version": version, **payload})


def control_frame(name: str, chat_id: UUID | None, **payload: Any) -> Frame:
    """A frame about the connection itself: caught_up, bye, error. It has no id."""
    return _frame(name, {"chat_id": chat_id and str(chat_id), **payload})


def _frame(name: str, payload: dict[str, Any]) -> Frame:
    data = wire.dumps({"type": name, **payload})
    return Frame(name, b"event: %b\ndata: %b\n\n" % (name.encode(), data))


def _show(chat_id: UUID, before: View, after: View, event: ChatEvent) -> list[Payload]:
    """What one event puts on the screen: the turn that it ends comes last."""
    payloads = _content(chat_id, before, after, event)
    if after.shown_status is not before.shown_status and after.shown_status:
        payloads.append(("status", {"status": after.shown_status.value}))
    return payloads + _ending(before, event)


def _content(
    chat_id: UUID, before: View, after: View, event: ChatEvent
) -> list[Payload]:
    if isinstance(event, UsageRecorded):
        return []
    if isinstance(event, MetadataEvent):
        return [_header(chat_id, after.chat)]
    reset = _reset(before.preview) if after.preview is not before.preview else []
    match event:
        case ChatCreated():
            return [_header(chat_id, after.chat)]
        case MessageAppended():
            return _appended(chat_id, before, after, event)
        case MessageQueued() | QueueItemDeleted() | QueueItemMoved() | QueueCleared():
            return [_queue(chat_id, after.chat)]
        case HistoryTruncated(from_id=from_id):
            return [*reset, ("history_truncated", {"from_id": from_id})]
        case ChatForked():
            queue = [_queue(chat_id, after.chat)] if before.chat.queue else []
            return [*reset, *queue, _header(chat_id, after.chat)]
        case RetryScheduled():
            return [*reset, *_retry(after.chat)]
        case GenerationAttemptStarted() if before.chat.retry is not None:
            # nothing was shown since, but the banner goes
            failed = {"epoch": event.epoch, "attempt": before.chat.retry.attempt}
            return [("preview_reset", failed)]
        case ActionRequired():
            return [*reset, *_action(after.chat)]
        case TurnFailed(error=error) | StateReconciled(error=error):
            told = error.model_dump(mode="json", exclude_none=True)
            return [*reset, ("error", {"error": told})]
        case _:
            return reset


def _ending(before: View, event: ChatEvent) -> list[Payload]:
    """The end of the turn, if this event ends one."""
    match event:
        case TurnFailed(turn_id=turn_id):
            return [_turn(turn_id, "failed")]
        case TurnFinished(turn_id=turn_id):
            return [_turn(turn_id, "finished")]
        case InterruptionFinished(turn_id=turn_id):
            return [_turn(turn_id, "interrupted")]
        case HistoryTruncated() | ChatForked() if before.chat.turn_id is not None:
            return [_turn(before.chat.turn_id, "interrupted")]
        case StateReconciled() if before.chat.turn_id is not None:
            return [_turn(before.chat.turn_id, "failed")]
        case _:
            return []


def _preview_after(
    preview: Episode | None, chat: ChatState, event: ChatEvent | None
) -> Episode | None:
    """The episode whose parts stay on the screen after `event`."""
    match event:
        case GenerationAttemptStarted():
            return chat.episode
        case MessageAppended() if preview is not None:
            replaced = (event.epoch, event.attempt) == (preview.epoch, preview.attempt)
            return None if replaced else preview
        case _:
            return preview if chat.episode is not None else None


def _reset(preview: Episode | None) -> list[Payload]:
    if preview is None:
        return []
    return [("preview_reset", {"epoch": preview.epoch, "attempt": preview.attempt})]


def _header(chat_id: UUID, chat: ChatState) -> Payload:
    return "chat_updated", {"chat": public_chat(chat_id, chat)}


def _appended(
    chat_id: UUID, before: View, after: View, event: MessageAppended
) -> list[Payload]:
    message = message_of(event, after.version)
    payloads: list[Payload] = []
    if visible(message):
        payloads.append(("message", _message(chat_id, message)))
    if message.queued_id is not None:
        payloads.append(_queue(chat_id, after.chat))
    if after.chat.model_config_id != before.chat.model_config_id:
        payloads.append(_header(chat_id, after.chat))
    return payloads


def _message(chat_id: UUID, message: Message) -> dict[str, Any]:
    payload: dict[str, Any] = {"message": public_message(chat_id, message)}
    if message.replaces is not None:
        epoch, attempt = message.replaces
        payload["replaces"] = {"epoch": epoch, "attempt": attempt}
    return payload


def _queue(chat_id: UUID, chat: ChatState) -> Payload:
    queued = [public_queued(chat_id, item) for item in chat.queue]
    return "queue_update", {"queued_messages": queued}


def _retry(chat: ChatState) -> list[Payload]:
    return [("retry", public_retry(chat.retry))] if chat.retry else []


def _action(chat: ChatState) -> list[Payload]:
    return [("action_required", public_action(chat.action))] if chat.action else []


def _turn(turn_id: int | None, outcome: str) -> Payload:
    return "turn_finished", {"turn_id": turn_id, "outcome": outcome}
