"""A follower who remembers everything, and finds what a whole stream would not have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service.client.shapes import Frame, Message, text_of
from service.client.view import ChatView


@dataclass
class Witness(ChatView):
    """The view of one chat, from its first event on; `faults` is empty if all is well.

    `seen` are its messages, also those that a resync has left out of the view.
    """

    faults: list[str] = field(default_factory=list)
    seen: dict[int, Message] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)
    _version: int = 0
    _newest: int = 0
    """The highest id of a message so far, also of one that is gone."""

    def apply(self, frame: Frame) -> None:
        """Fold a frame, and look whether it can follow those before."""
        if frame.name != "caught_up":  # it has no id of its own
            self._look_at_id(frame)
        match frame.name:
            case "message":
                self._look_at_message(frame.data)
            case "turn_finished":
                self._look_at_turn(frame.data["turn_id"])
            case "history_truncated":
                from_id = frame.data["from_id"]
                self.seen = {i: m for i, m in self.seen.items() if i < from_id}
            case "snapshot" | "resync":
                self.seen |= {m["id"]: m for m in frame.data["messages"]}
        super().apply(frame)

    def unexpected(self, what: str) -> None:
        """A part that was lost, came twice, or belongs to another attempt."""
        self.faults.append(what)

    def _look_at_id(self, frame: Frame) -> None:
        if frame.id in self._ids:
            self.faults.append(f"frame {frame.id} came twice")
        self._ids.add(frame.id)
        version = frame.data.get("version", self._version)
        if version < self._version:
            what = f"frame {frame.id} of version {version} came after {self._version}"
            self.faults.append(what)
        self._version = max(self._version, version)

    def _look_at_message(self, data: dict[str, Any]) -> None:
        message: Message = data["message"]
        id_, preview = message["id"], self.preview
        if id_ in self.seen:
            # the view calls this unexpected, too, if it has it
            if id_ not in self.messages:
                self.faults.append(f"message {id_} came twice")
        elif id_ < self._newest:
            self.faults.append(f"message {id_} came after message {self._newest}")
        self._newest = max(self._newest, id_)
        self.seen[id_] = message
        if preview is None or data.get("replaces") != {
            "epoch": preview.epoch,
            "attempt": preview.attempt,
        }:
            return
        if not text_of(message["content"]).startswith(preview.text):
            # its last parts may come with it, not before it; nothing else may differ
            self.faults.append(f"message {id_} is not what was said before it came")

    def _look_at_turn(self, turn_id: int | None) -> None:
        if any(turn.id == turn_id for turn in self.turns):
            self.faults.append(f"turn {turn_id} ended twice")
