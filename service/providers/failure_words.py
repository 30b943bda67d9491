"""The words by which failures are told apart, in lower case.

They are what vendors, gateways and transports say, so they change when those do. Order
and meaning are in `service.providers.classify`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

INTERRUPTED = ("chat interrupted", "request interrupted", "operation interrupted")

CANCELLED = ("context canceled", "context cancelled", "cancellederror")

CONTINUITY = (
    "no tool output found for function call",
    "was provided without its required",
)
"""A history that the Responses API does not take: a call without its output, or an
answer without the reasoning that led to it. Our doing, not the user's."""

CUT = (
    "before message_stop",
    "before a terminal event",
    "before the terminal event",
    "without sending complete message body",
    "incomplete chunked read",
    "stream closed unexpectedly",
    "stream ended unexpectedly",
)

USAGE_LIMIT = (
    "insufficient_quota",
    "ai budget of",
    "credit balance",
    "credit_balance",
    "billing_error",
    "billing_hard_limit",
    "spend_limit_exceeded",
    "usage_limit_exceeded",
)
"""Whatever the status: waiting does not help."""

QUOTA = ("quota", "billing", "payment required")

AUTH = (
    "authentication",
    "unauthorized",
    "invalid api key",
    "invalid_api_key",
    "invalid x-api-key",
)

FORBIDDEN = ("forbidden", "permission_error", "permission_denied")

RATE_LIMIT = (
    "rate limit",
    "rate_limit",
    "rate-limited",
    "too many requests",
)

DISABLED = ("provider is disabled", "provider_disabled", "provider disabled")

TIMEOUT = (
    "deadline exceeded",
    "timeout",
    "timed out",
    "unavailable",
    "connection reset",
    "connection refused",
    "connection error",
    "client connection lost",
    "broken pipe",
    "bad gateway",
    "goaway",
    "stream closed",
    "stream reset",
    "rst_stream",
    "use of closed",
    "server disconnected",
)

CONFIG = (
    "invalid model",
    "model not found",
    "model_not_found",
    "not_found_error",
    "unsupported model",
    "context length exceeded",
    "context_length_exceeded",
    "context_exceeded",
    "exceed_context_size",
    "exceed context limit",
    "exceeds the context window",
    "available context size",
    "maximum context length",
    "maximum prompt length",
    "maximum model length",
    "prompt is too long",
    "maximum number of tokens allowed",
    "malformed config",
    "resolve aws credentials",
    "unable to locate credentials",
    "could not load credentials",
)

SERVER = ("server error", "server_error", "api_error")

EOF = re.compile(r"\beof\b")
"""The word alone: `geofence` is no end of a file."""

_DISABLED_NAME = re.compile(r"provider [\w\"'` .-]{1,60} (?:is|was|has been) disabled")
"""A gateway names the provider in between."""


def says(text: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words is there."""
    return any(word in text for word in words)


def disabled(text: str) -> bool:
    """Whether an operator has switched the provider off."""
    return says(text, DISABLED) or _DISABLED_NAME.search(text) is not None


@dataclass(frozen=True, slots=True)
class Reset:
    """One HTTP/2 stream was ended by an error code, by the peer or by us."""

    code: str
    by_peer: bool

    @property
    def passing(self) -> bool:
        """Whether the same request may go through on another stream."""
        return self.by_peer and self.code in _PASSING


_PASSING = frozenset(
    {"no_error", "internal_error", "refused_stream", "cancel", "enhance_your_calm"}
)
"""RFC 9113, 7: the others say that one of the two breaks the protocol."""

_NUMBERS = {
    "0": "no_error",
    "2": "internal_error",
    "7": "refused_stream",
    "8": "cancel",
    "11": "enhance_your_calm",
}

_RESETS = (
    # as gateways written in Go say it, and as Python's h2 does
    re.compile(r"stream error: stream id \d+; (?P<code>\w+)(?P<peer>; received from)?"),
    re.compile(
        r"streamreset stream_id:\s*\d+, error_code:\s*(?:errorcodes\.)?(?P<code>\w+), "
        r"remote_reset:\s*(?P<peer>true)?"
    ),
)


def reset_in(text: str) -> Reset | None:
    """The reset of a stream that an error is about, if it is about one."""
    for pattern in _RESETS:
        if match := pattern.search(text):
            code = match["code"]
            return Reset(_NUMBERS.get(code, code), by_peer=match["peer"] is not None)
    return None


_STATUS = re.compile(r"(?:status(?:[ _]?code)?|http)\s{0,4}[:=]?\s{0,4}(\d{3})\b")

_KNOWN = re.compile(r"(?<![\w:.-])(401|403|408|429|500|502|503|504|529)(?![\w:]|\.\d)")
"""A number that stands alone; behind a colon it is a port."""

_STREAM_ID = re.compile(r"stream id\s{0,4}[:=]?\s{0,4}$")
_STREAM_ID_LENGTH = 18


def status_in(text: str) -> int | None:
    """The HTTP status that an error's text tells, where nothing else does."""
    if match := _STATUS.search(text):
        return int(match[1])
    for match in _KNOWN.finditer(text):
        start = match.start()
        if not _STREAM_ID.search(text[max(0, start - _STREAM_ID_LENGTH) : start]):
            return int(match[1])
    return None


VENDORS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("OpenAI Compatible", ("openai-compat", "openai_compat", "openai compatible")),
    ("Azure OpenAI", ("azure openai", "azure-openai")),
    ("OpenRouter", ("openrouter",)),
    ("AWS Bedrock", ("bedrock",)),
    ("Vercel AI Gateway", ("vercel",)),
    ("Anthropic", ("anthropic", "claude")),
    ("Google", ("google", "gemini", "vertex")),
    ("OpenAI", ("openai",)),
)
"""Display names, and what gives a vendor away; those that speak for others first."""

ANY_VENDOR = "The AI provider"


def vendor_in(text: str) -> str:
    """The display name of the vendor that an error seems to come from."""
    named = (name for name, words in VENDORS if says(text, words))
    return next(named, ANY_VENDOR)
