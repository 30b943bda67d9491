"""A client's state, built from frames: the Python twin of the page's reducer.

The property that it serves: a state folded from a snapshot and the frames after it
equals a state fetched afresh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Preview:
    """What the model is saying now, as a client pieces it together."""

    epoch: int
    attempt: int
    seq: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(
            p["part"].get("text", "") for p in self.parts if p["part"]["type"] == "text"
        )


@dataclass
class ChatOnScreen:
    """Messages by id, queue, status, error and preview; and what ended."""

    status: str | None = None
    error: dict[str, Any] | None = None
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    queue: list[dict[str, Any]] = field(default_factory=list)
    preview: Preview | None = None
    turns: list[tuple[int | None, str]] = field(default_factory=list)
    title: str = ""
    caught_up: bool = False

    def take(self, name: str, data: dict[str, Any]) -> None:
        """Apply one frame; frames that only concern the connection change nothing."""
        getattr(self, f"_{name}", lambda _: None)(data)

    def _snapshot(self, data: dict[str, Any]) -> None:
        self.title = data["chat"]["title"]
        self.status = data["chat"]["status"]
        self.error = data["chat"]["last_error"]
        self.messages = {m["id"]: m for m in data["messages"]}
        self.queue = data["queued_messages"]
        self.preview = None
        if shown := data["preview"]:
            self.preview = Preview(
                shown["epoch"], shown["attempt"], shown["seq"], list(shown["parts"])
            )

    _resync = _snapshot

    def _chat_updated(self, data: dict[str, Any]) -> None:
        self.title = data["chat"]["title"]

    def _message(self, data: dict[str, Any]) -> None:
        message = data["message"]
        assert message["id"] not in self.messages, "a message came twice"
        self.messages[message["id"]] = message
        if self.preview and data.get("replaces") == {
            "epoch": self.preview.epoch,
            "attempt": self.preview.attempt,
        }:
            self.preview = None

    def _message_part(self, data: dict[str, Any]) -> None:
        preview = self.preview
        if preview is None:
            preview = self.preview = Preview(data["epoch"], data["attempt"])
        assert (preview.epoch, preview.attempt) == (data["epoch"], data["attempt"])
        assert data["seq"] == preview.seq + 1, "a part was lost or came twice"
        preview.seq = data["seq"]
        preview.parts.append({"role": data["role"], "part": data["part"]})

    def _preview_reset(self, data: dict[str, Any]) -> None:
        self.preview = None

    def _queue_update(self, data: dict[str, Any]) -> None:
        self.queue = data["queued_messages"]

    def _status(self, data: dict[str, Any]) -> None:
        self.status = data["status"]
        if self.status != "error":
            self.error = None

    def _error(self, data: dict[str, Any]) -> None:
        if "version" in data:  # else it is about the connection, not the chat
            self.error = data["error"]

    def _turn_finished(self, data: dict[str, Any]) -> None:
        self.turns.append((data["turn_id"], data["outcome"]))

    def _caught_up(self, data: dict[str, Any]) -> None:
        self.caught_up = True
