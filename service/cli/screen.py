"""A chat in a terminal: frames in, text out.

What was shown while it was said is not shown again when its message is committed; what
the message has beyond that (its last parts may come with it, not before it) is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from service import wire
from service.client.client import Frame

ARGS_CHARS = 200

Part = Mapping[str, Any]


class Preview:
    """What is on the screen of the attempt that is being watched."""

    def __init__(self, epoch: int = 0, attempt: int = 0) -> None:
        self.episode = (epoch, attempt)
        self._texts: dict[str, str] = {}
        self._ids: set[tuple[str, str]] = set()

    @property
    def empty(self) -> bool:
        """Nothing of it is on the screen."""
        return not self._texts and not self._ids

    def add(self, part: Part) -> None:
        """This part is shown now."""
        kind = part["type"]
        if "text" in part:
            self._texts[kind] = self._texts.get(kind, "") + part["text"]
        elif "args_delta" not in part:
            self._ids.add((kind, part.get("tool_call_id", "")))

    def rest_of(self, part: Part) -> Part | None:
        """What of a committed part is not shown yet; None when all of it is."""
        kind = part["type"]
        if "text" not in part:
            shown = (kind, part.get("tool_call_id", "")) in self._ids
            return None if shown else part
        text, seen = part["text"], self._texts.get(kind, "")
        if seen.startswith(text):
            self._texts[kind] = seen[len(text) :]
            return None
        self._texts[kind] = ""
        return {**part, "text": text.removeprefix(seen)}


class Screen:
    """Writes one chat."""

    def __init__(self, out: TextIO, *, echo_user: bool = True) -> None:
        self._out = out
        self._echo_user = echo_user
        self._preview = Preview()
        self._fresh_line = True
        self._kind = ""
        self._queue: set[int] = set()

    def show(self, frame: Frame) -> None:
        """Write what a frame adds."""
        data = frame.data
        match frame.name:
            case "snapshot" | "resync":
                self._snapshot(data)
            case "message_part":
                self._live(data["epoch"], data["attempt"], [data])
            case "message":
                self._committed(data)
            case "preview_reset":
                if not self._preview.empty:
                    self._line("[that answer was dropped; another attempt follows]")
                self._preview = Preview()
            case "history_truncated":
                self._preview = Preview()
                self._line(f"[taken back: message {data['from_id']} and all after it]")
            case "queue_update":
                self.show_queue(data["queued_messages"])
            case "action_required":
                self._action(data)
            case "retry":
                wait_s = data["delay_ms"] / 1000
                self._line(f"[{data['error']['message']}; again in {wait_s:g} s]")
            case "error":
                self._line(f"[error: {data['error']['message']}]")
            case "turn_finished" if data["outcome"] != "finished":
                self._line(f"[turn {data['outcome']}]")
            case "turn_finished":
                self._end_line()

    def show_messages(self, messages: Sequence[Mapping[str, Any]]) -> None:
        """Write a history."""
        for message in messages:
            self._message(message)

    def show_queue(self, queued: Sequence[Mapping[str, Any]]) -> None:
        """Write what waits and did not wait before."""
        for item in queued:
            if item["id"] not in self._queue:
                self._line(f"[waits: {_text(item['content'])}]")
        self._queue = {item["id"] for item in queued}

    def prompt(self, text: str) -> None:
        """Ask for a line."""
        self._end_line()
        self._write(text)
        # the person ends the line
        self._fresh_line = True

    def _snapshot(self, data: Mapping[str, Any]) -> None:
        self.show_messages(data["messages"])
        self.show_queue(data.get("queued_messages", ()))
        if (action := data.get("action_required")) is not None:
            self._action(action)
        if (preview := data.get("preview")) is not None:
            self._live(preview["epoch"], preview["attempt"], preview["parts"])

    def _action(self, action: Mapping[str, Any]) -> None:
        for call in action["tool_calls"]:
            told = f"{call['tool_name']} {_brief(call.get('args'))}"
            self._line(f"[waits for your answer to {told} until {action['deadline']}]")

    def _live(self, epoch: int, attempt: int, parts: Sequence[Part]) -> None:
        if self._preview.episode != (epoch, attempt):
            self._preview = Preview(epoch, attempt)
        for live in parts:
            self._preview.add(live["part"])
            self._part(live["role"], live["part"])

    def _committed(self, data: Mapping[str, Any]) -> None:
        message, replaces = data["message"], data.get("replaces")
        if message["role"] == "user" and not self._echo_user:
            return
        episode = replaces and (replaces["epoch"], replaces["attempt"])
        if episode == self._preview.episode:
            rest = map(self._preview.rest_of, message["content"])
            message = {**message, "content": [part for part in rest if part]}
        self._message(message)

    def _message(self, message: Mapping[str, Any]) -> None:
        if message["role"] == "user":
            self._line(f"> {_text(message['content'])}")
            return
        for part in message["content"]:
            self._part(message["role"], part)
        self._end_line()

    def _part(self, role: str, part: Part) -> None:
        kind = f"{role} {part['type']}"
        if kind != self._kind:
            self._end_line()
            self._kind = kind
        match part["type"]:
            case "text" | "reasoning":
                self._write(part["text"])
            case "tool-call" if "args_delta" not in part:
                self._line(f"[{part['tool_name']} {_brief(part.get('args'))}]")
            case "tool-result":
                self._line(f"[{part['tool_name']}: {_brief(part.get('result'))}]")

    def _line(self, text: str) -> None:
        self._end_line()
        self._write(text)
        self._end_line()

    def _write(self, text: str) -> None:
        self._out.write(printable(text))
        self._out.flush()
        self._fresh_line = text.endswith("\n")

    def _end_line(self) -> None:
        self._kind = ""
        if not self._fresh_line:
            self._out.write("\n")
            self._out.flush()
            self._fresh_line = True


def _text(parts: Sequence[Part]) -> str:
    return " ".join(p.get("text", f"[{p['type']}]") for p in parts)


def _brief(value: object) -> str:
    return wire.dumps(value).decode()[:ARGS_CHARS]


def printable(text: str) -> str:
    """Without control characters: what a model says must not steer the terminal."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
