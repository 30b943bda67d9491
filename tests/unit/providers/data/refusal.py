"""The shape of answers that are errors: status, headers, body, what to make of it.

Codes and types are those that the vendors document; the sentences are ours, but for the
words that vendors always use. Each says what it has to come to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service import wire
from service.providers.choose import Api
from service.providers.provider import ErrorKind

JSON = "application/json"
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Refusal:
    """What a vendor answers, and what we make of it."""

    name: str
    api: Api
    status: int
    body: bytes
    kind: ErrorKind
    retryable: bool = False
    detail: str | None = None
    """Has to be in what the chat is told; None: whatever it is."""
    code: int | None = -1
    """The status that is told; -1: the one that was sent."""
    wait_s: float | None = None
    limit: int | None = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    """Nothing of the body is told."""


def openai(
    message: str, *, type: str | None = None, code: str | None = None, **more: Any
) -> bytes:
    """The envelope of OpenAI, and of everybody who speaks like it."""
    error = {"message": message, "type": type, "param": None, "code": code, **more}
    return wire.dumps({"error": error})


def anthropic(type: str, message: str) -> bytes:
    """The envelope of Anthropic."""
    error = {"type": type, "message": message}
    return wire.dumps({"type": "error", "error": error, "request_id": "req_1"})


def event(name: str, data: bytes) -> bytes:
    """One event of a stream that began well."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


INVALID = "invalid_request_error"
TOO_LONG = (
    "This model's maximum context length is 128000 tokens. However, your messages "
    "resulted in 130021 tokens."
)
