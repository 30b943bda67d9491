"""Structured logs: lines of text for people, lines of JSON for programs.

A record is a constant message with its values in `extra`; `log_context` adds what the
surrounding work knows (correlation_id, chat_id, turn_id) to every record within it.
Never content: no prompts, messages, tokens or headers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from typing import Literal, TextIO

from service import wire

LogFormat = Literal["text", "json"]

_context: ContextVar[Mapping[str, object]] = ContextVar("log_context")

_OWN_FIELDS = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", (), None)).keys()
    | {"message", "asctime", "taskName", "color_message"}
)
"""What every record has; anything else came in through `extra`."""

_QUIET = ("httpx2", "httpcore2", "asyncio", "psycopg.pool", "uvicorn", "yoyo")
"""Libraries whose INFO repeats ours, or says nothing that we need."""


def set_up(*, level: str, format_: LogFormat, stream: TextIO) -> None:
    """Send all records of the process to `stream`, and nothing anywhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLines() if format_ == "json" else _TextLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class log_context:
    """Add values to every record that is written within.

    No generator: its frame would stay as long as a stream does.
    """

    __slots__ = ("_token", "_values")
    _token: Token[Mapping[str, object]]

    def __init__(self, **values: object) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._token = _context.set({**current_context(), **self._values})

    def __exit__(self, *_: object) -> None:
        _context.reset(self._token)


def current_context() -> Mapping[str, object]:
    """What `log_context` added round here."""
    return _context.get({})


def correlation_id() -> str | None:
    """The id of the request that is being served, if any."""
    value = current_context().get("correlation_id")
    return None if value is None else str(value)


def _values(record: logging.LogRecord) -> dict[str, object]:
    extra = {k: v for k, v in vars(record).items() if k not in _OWN_FIELDS}
    return {**current_context(), **extra}


def _at(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class _TextLines(logging.Formatter):
    """`2026-01-02T03:04:05.678Z info  service.app: message key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        values = "".join(f" {k}={_plain(v)}" for k, v in _values(record).items())
        line = (
            f"{_at(record)} {record.levelname.lower():7} {record.name}: "
            f"{_one_line(record.getMessage())}{values}"
        )
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "at": _at(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_values(record),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return wire.dumps(fields, default=str).decode()


def _one_line(text: str) -> str:
    """A message of a library may have lines of its own, or codes for a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text.strip())


def _plain(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and not any(c.isspace() for c in text)
    return text if text and plain else repr(text)
