"""A chat as a client knows it: the fold of the frames of its stream.

The one reducer: the command line, the tests and your programs use it. The property that
it keeps: a view folded from a snapshot and the frames after it equals a fresh one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from service.client.shapes import (
    Action,
    Chat,
    ChatError,
    Frame,
    Message,
    Outcome,
    Part,
    QueuedMessage,
    Retry,
    Status,
    text_of,
)

RETRY = ("attempt", "delay_ms", "retrying_at", "error")

AT_REST = frozenset({"waiting", "error", "requires_action"})
"""Statuses in which nothing goes on until somebody says something."""


class Turn(NamedTuple):
    """A turn that ended. `id` is the id of the user message that began it."""

    id: int | None
    outcome: Outcome


@dataclass
class Preview:
    """What the model is saying now: the parts of one attempt, in order."""

    epoch: int
    attempt: int
    seq: int = 0
    """Number of the last part."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    """Each is `{"role", "part"}`; texts come as deltas, to be joined."""

    @property
    def text(self) -> str:
        """What is being said, without reasoning and calls."""
        return text_of([shown["part"] for shown in self.parts])


@dataclass
class ChatView:
    """Messages by id, queue, status, error and preview; and the turns that ended.

    Feed every frame to `take`. A view that began with a snapshot knows the messages
    that the snapshot had (the last 50), and the turns that ended after it; one that
    began with `after="0"` knows all of them.
    """

    chat: Chat | None = None
    """The header as it came last; status and error are kept apart."""
    status: Status | None = None
    error: ChatError | None = None
    messages: dict[int, Message] = field(default_factory=dict)
    queue: list[QueuedMessage] = field(default_factory=list)
    preview: Preview | None = None
    action: Action | None = None
    """The calls that wait for a client, while the status is requires_action."""
    retry: Retry | None = None
    """The attempt that failed, until another one says something."""
    turns: list[Turn] = field(default_factory=list)
    caught_up: bool = False
    """The stream has reached the present once."""
    last_id: str = ""
    """Place of the last frame: `follow(chat, after=view.last_id)` goes on here."""

    @property
    def title(self) -> str:
        """The chat's title."""
        return self.chat["title"] if self.chat else ""

    @property
    def at_rest(self) -> bool:
        """Nothing runs: the next thing to happen is up to the user."""
        return self.status in AT_REST

    @property
    def answer(self) -> str:
        """What was answered to the last user message; empty before the first text."""
        texts: list[str] = []
        for message in reversed(self.messages.values()):
            if message["role"] == "user":
                break
            if message["role"] == "assistant":
                texts.append(text_of(message["content"]))
        return "\n".join(text for text in reversed(texts) if text)

    def apply(self, frame: Frame) -> None:
        """Fold a frame of `Client.follow`."""
        self.take(frame.name, frame.data)
        self.last_id = frame.id

    def take(self, name: str, data: dict[str, Any]) -> None:
        """Fold one frame; names that a newer service sends change nothing."""
        match name:
            case "snapshot" | "resync":
                self._replace(data)
            case "chat_updated":
                # its status may stand in the middle of an append; `status` does not
                self.chat = data["chat"]
            case "message":
                self._message(data["message"], data.get("replaces"))
            case "message_part":
                self._part(data)
            case "preview_reset":
                self.preview = self.retry = None
            case "history_truncated":
                self._truncate(data["from_id"])
            case "action_required":
                self.action = {
                    "tool_calls": data["tool_calls"],
                    "deadline": data["deadline"],
                }
            case "retry":
                self.retry = {name: data[name] for name in RETRY}  # type: ignore[assignment]
            case "queue_update":
                self.queue = data["queued_messages"]
            case "status":
                self._status(data["status"])
            case "error" if "version" in data:  # else it is about the connection
                self.error = data["error"]
            case "turn_finished":
                self.retry = None
                self.turns.append(Turn(data["turn_id"], data["outcome"]))
            case "caught_up":
                self.caught_up = True

    def unexpected(self, what: str) -> None:
        """Called for a frame that a whole stream would not have; ignores it.

        A subclass may raise: nothing but a fault of the service leads here.
        """

    def _replace(self, data: dict[str, Any]) -> None:
        chat: Chat = data["chat"]
        self.chat, self.status, self.error = chat, chat["status"], chat["last_error"]
        self.messages = {message["id"]: message for message in data["messages"]}
        self.queue = data["queued_messages"]
        self.action, self.retry = data.get("action_required"), data.get("retry")
        self.preview = None
        if (shown := data["preview"]) is not None:
            self.preview = Preview(
                shown["epoch"], shown["attempt"], shown["seq"], list(shown["parts"])
            )

    def _status(self, status: Status) -> None:
        self.status = status
        if status != "error":
            self.error = None
        if status != "requires_action":
            self.action = None
        if status != "running":
            self.retry = None

    def _truncate(self, from_id: int) -> None:
        self.messages = {i: m for i, m in self.messages.items() if i < from_id}
        self.retry = None

    def _message(self, message: Message, replaces: dict[str, int] | None) -> None:
        if message["id"] in self.messages:
            self.unexpected("a message came twice")
        self.messages[message["id"]] = message
        self.retry = None
        preview = self.preview
        if preview is not None and replaces == {
            "epoch": preview.epoch,
            "attempt": preview.attempt,
        }:
            self.preview = None

    def _part(self, data: dict[str, Any]) -> None:
        episode = (data["epoch"], data["attempt"])
        preview = self.preview
        if preview is None:
            preview = Preview(*episode)
        elif (preview.epoch, preview.attempt) != episode:
            self.unexpected("a part of another attempt came without a reset")
            preview = Preview(*episode)
        self.preview = preview
        if data["seq"] != preview.seq + 1:
            self.unexpected("a part was lost or came twice")
            if data["seq"] <= preview.seq:
                return
        preview.seq = data["seq"]
        part: Part = data["part"]
        preview.parts.append({"role": data["role"], "part": part})
