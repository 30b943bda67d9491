"""A chat in a terminal: frames in, text out.

Text that was shown while it was said is not shown again when its message is committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from service import wire
from service.client.client import Frame

ARGS_CHARS = 200


class Screen:
    """Writes one chat. Knows which attempt's parts are on the screen already."""

    def __init__(self, out: TextIO, *, echo_user: bool = True) -> None:
        self._out = out
        self._echo_user = echo_user
        self._shown: tuple[int, int] | None = None
        self._fresh_line = True
        self._kind = ""

    def show(self, frame: Frame) -> None:
        """Write what a frame adds."""
        data = frame.data
        match frame.name:
            case "snapshot" | "resync":
                self._snapshot(data)
            case "message_part":
                self._shown = (data["epoch"], data["attempt"])
                self._part(data["role"], data["part"])
            case "message":
                self._committed(data)
            case "preview_reset":
                self._shown = None
                self._line("[that answer was dropped; another attempt follows]")
            case "error":
                self._line(f"[error: {data['error']['message']}]")
            case "turn_finished" if data["outcome"] != "finished":
                self._line(f"[turn {data['outcome']}]")
            case "turn_finished":
                self._end_line()

    def prompt(self, text: str) -> None:
        """Ask for a line."""
        self._end_line()
        self._write(text)
        # the person ends the line
        self._fresh_line = True

    def _snapshot(self, data: Mapping[str, Any]) -> None:
        for message in data["messages"]:
            self._message(message)
        if (preview := data.get("preview")) is not None:
            self._shown = (preview["epoch"], preview["attempt"])
            for live in preview["parts"]:
                self._part(live["role"], live["part"])

    def _committed(self, data: Mapping[str, Any]) -> None:
        replaces = data.get("replaces")
        seen = replaces and (replaces["epoch"], replaces["attempt"]) == self._shown
        own = data["message"]["role"] == "user" and not self._echo_user
        if seen or own:
            self._end_line()
        else:
            self._message(data["message"])

    def _message(self, message: Mapping[str, Any]) -> None:
        if message["role"] == "user":
            self._line(f"> {_text(message['content'])}")
            return
        for part in message["content"]:
            self._part(message["role"], part)
        self._end_line()

    def _part(self, role: str, part: Mapping[str, Any]) -> None:
        kind = f"{role} {part['type']}"
        if kind != self._kind:
            self._end_line()
            self._kind = kind
        match part["type"]:
            case "text" | "reasoning":
                self._write(part["text"])
            case "tool-call" if "args" in part:
                args = wire.dumps(part["args"]).decode()[:ARGS_CHARS]
                self._line(f"[{part['tool_name']} {args}]")
            case "tool-result":
                result = wire.dumps(part.get("result")).decode()[:ARGS_CHARS]
                self._line(f"[{part['tool_name']}: {result}]")

    def _line(self, text: str) -> None:
        self._end_line()
        self._write(text)
        self._end_line()

    def _write(self, text: str) -> None:
        self._out.write(_printable(text))
        self._out.flush()
        self._fresh_line = text.endswith("\n")

    def _end_line(self) -> None:
        self._kind = ""
        if not self._fresh_line:
            self._out.write("\n")
            self._out.flush()
            self._fresh_line = True


def _text(parts: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(p.get("text", f"[{p['type']}]") for p in parts)


def _printable(text: str) -> str:
    """Without control characters: what a model says must not steer the terminal."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
