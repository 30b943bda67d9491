"""Events as lines for people: where, when, what, by whom; colours on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from service import wire
from service.cli.screen import printable
from service.cli.states import ABSENT, Difference
from service.domain.times import rfc3339
from service.eventstore.records import RecordedEvent

BRIEF_CHARS = 100
"""Of what an event says; a line of an event should be a line of a terminal."""

CHANGES = (
    "provider_changed", "model_config_changed", "setting_changed",
    "user_setting_changed", "compaction_threshold_changed",
)  # fmt: skip
"""Events of category platform: {"op": ..., "row": {...}}."""

NAMES = ("display_name", "key", "threshold_percent")
"""What such a row goes by, the first that it has."""

STYLES = {
    "chat_created": "bold blue",
    "message_appended": "green",
    "message_queued": "cyan",
    "run_acquired": "dim",
    "run_abandoned": "yellow",
    "generation_attempt_started": "dim",
    "step_committed": "dim green",
    "interrupt_requested": "yellow",
    "interruption_finished": "yellow",
    "turn_finished": "bold",
    "turn_failed": "bold red",
    "erased": "magenta",
    "stream_purged": "bold magenta",
    **dict.fromkeys(CHANGES, "blue"),
}


def new_console(*, stderr: bool = False) -> Console:
    """Colours and bars on a terminal, plain text elsewhere; NO_COLOR is heeded."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True, markup=False)


def log_line(event: RecordedEvent) -> Text:
    """An event in the whole log: position, time, stream, version, what."""
    line = Text()
    line.append(f"{event.position:>8} ", "bold")
    line.append(f"{rfc3339(event.recorded_at)[:23]}Z ", "dim")
    line.append(f"{event.stream.category} {event.stream.stream_id} ", "cyan")
    line.append(f"{event.version:>4} ")
    return _what(line, event)


def chat_line(event: RecordedEvent, before: datetime | None) -> Text:
    """An event in its stream: version, time since the one before, append, what."""
    line = Text()
    line.append(f"{event.version:>5} ", "bold")
    line.append(f"{rfc3339(event.recorded_at)[11:23]} ", "dim")
    since = 0.0 if before is None else (event.recorded_at - before).total_seconds()
    line.append(f"{since:+9.3f}s " if since else " " * 11, "yellow")
    # one bar for each append: what one command caused
    line.append("| " if not event.at_border else "' ", "dim")
    return _what(line, event)


def difference_lines(found: Iterable[Difference]) -> Iterator[Text]:
    """What was there in red, what is there now in green."""
    for path, before, after in found:
        yield Text(path, "bold")
        for sign, value, style in (("-", before, "red"), ("+", after, "green")):
            if value is not ABSENT:
                yield Text(f"  {sign} {printable(wire.dumps(value).decode())}", style)


def _what(line: Text, event: RecordedEvent) -> Text:
    line.append(f"{event.type:<26} ", STYLES.get(event.type, ""))
    line.append(brief(event.type, event.data or {}))
    actor = (event.metadata or {}).get("actor")
    if actor:
        line.append(f"  ({printable(str(actor))})", "dim")
    return line


def brief(type_: str, data: Mapping[str, Any]) -> str:
    """What an event says, on one line."""
    try:
        said = _BRIEFS.get(type_, _anything)(data)
    except (KeyError, TypeError, AttributeError, StopIteration):
        said = _anything(data)  # a shape of another release
    text = " ".join(printable(said).split())
    return text if len(text) <= BRIEF_CHARS else f"{text[: BRIEF_CHARS - 3]}..."


def _message(data: Mapping[str, Any]) -> str:
    shown = f"{data.get('role', 'user')}: {_parts(data.get('parts', []))}"
    queued = data.get("queued_id")
    return shown if queued is None else f"{shown} [was queued as {queued}]"


def _parts(parts: Sequence[Mapping[str, Any]]) -> str:
    texts = []
    for part in parts:
        match part.get("type"):
            case "text":
                texts.append(str(part.get("text", "")))
            case "tool-call" | "tool-result" as kind:
                texts.append(f"[{kind} {part.get('tool_name')}]")
            case kind:
                texts.append(f"[{kind}]")
    return " ".join(texts)


def _step(data: Mapping[str, Any]) -> str:
    usage = data.get("usage") or {}
    told = [f"{data['kind']} {data['epoch']}.{data['attempt']}"]
    if (tokens := usage.get("total_tokens")) is not None:
        told.append(f"{tokens} tokens")
    if (runtime := data.get("runtime_ms")) is not None:
        told.append(f"{runtime} ms")
    return ", ".join(told)


def _change(data: Mapping[str, Any]) -> str:
    """A change of the platform: what was done to which row."""
    row = data["row"]
    name = next(row[key] for key in NAMES if row.get(key) is not None)
    return f"{data['op']} {name}"


def _anything(data: Mapping[str, Any]) -> str:
    left = {k: v for k, v in data.items() if k != "at" and v is not None}
    return wire.dumps(left).decode() if left else ""


_BRIEFS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "chat_created": lambda data: str(data["title"]),
    "message_appended": _message,
    "message_queued": _message,
    "run_acquired": lambda data: f"{data['worker']}, term {data['term']}",
    "run_abandoned": lambda data: f"{data['worker']}, term {data['term']}",
    "generation_attempt_started": lambda data: (
        f"{data['kind']} {data['epoch']}.{data['attempt']}"
    ),
    "step_committed": _step,
    "turn_failed": lambda data: str(data["error"]["message"]),
    **dict.fromkeys(CHANGES, _change),
}
