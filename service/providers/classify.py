"""What kind of failure a vendor reports, by the first rule that matches.

Rules look at the HTTP status and at what the vendor says (its code, type and message,
in lower case). Words of a message decide only where a status does not, or where
vendors are known to send one status for several things.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from service.providers.provider import ErrorKind, ProviderError

DETAIL_LENGTH = 500
"""Characters of what a vendor says that a chat's error carries."""

Transport = Literal["connect", "read", "silent"]


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a failed call."""

    status: int | None = None
    says: str = ""
    """Code, type and message as the vendor sent them."""
    transport: Transport | None = None
    """The connection failed: could not be made, broke, or fell silent."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The kind of a failure, and whether the same request may go through later."""

    kind: ErrorKind
    retryable: bool


def _again(kind: ErrorKind) -> Verdict:
    return Verdict(kind, retryable=True)


def _final(kind: ErrorKind) -> Verdict:
    return Verdict(kind, retryable=False)


_INTERRUPTED = ("context canceled", "request interrupted", "operation interrupted")
_USAGE_LIMIT = (
    "insufficient_quota",
    "ai budget of",
    "credit balance",
    "credit_balance",
    "billing_error",
    "billing_hard_limit",
    "spend_limit_exceeded",
    "usage_limit_exceeded",
)
_QUOTA = ("quota", "billing", "payment required")
_AUTH = ("authentication", "unauthorized", "invalid api key", "invalid_api_key")
_RATE_LIMIT = (
    "rate limit",
    "rate_limit",
    "rate limited",
    "rate-limited",
    "too many requests",
)
_DISABLED = ("provider is disabled", "provider_disabled", "provider disabled")
_TIMEOUT = (
    "deadline exceeded",
    "timeout",
    "timed out",
    "unavailable",
    "connection reset",
    "connection refused",
    "broken pipe",
    "bad gateway",
)
_CONFIG = (
    "invalid model",
    "model not found",
    "model_not_found",
    "unsupported model",
    "context length exceeded",
    "context_length_exceeded",
    "context_exceeded",
    "maximum context length",
    "prompt is too long",
    "malformed config",
)
_SERVER = ("server error", "server_error", "api_error")


def _says(words: Iterable[str]) -> Callable[[Failure], bool]:
    pattern = re.compile("|".join(map(re.escape, words)))
    return lambda failure: pattern.search(failure.says.lower()) is not None


_config = _says(_CONFIG)
_quota = _says(_QUOTA)
_timeout = _says(_TIMEOUT)
_server = _says(_SERVER)


def _silent(failure: Failure) -> bool:
    return failure.transport == "silent"


Rule = tuple[Callable[[Failure], bool], Verdict]


def _status(*statuses: int) -> Callable[[Failure], bool]:
    return lambda failure: failure.status in statuses


def _either(*tests: Callable[[Failure], bool]) -> Callable[[Failure], bool]:
    return lambda failure: any(test(failure) for test in tests)


def _unless_config(test: Callable[[Failure], bool]) -> Callable[[Failure], bool]:
    return lambda failure: test(failure) and not _config(failure)


def _no_quota(failure: Failure) -> bool:
    # 429 with the word quota is a rate limit: waiting helps
    return failure.status == 402 or (failure.status != 429 and _quota(failure))


def _away(failure: Failure) -> bool:
    if failure.status is not None:
        return failure.status in (408, 502, 503, 504)
    return failure.transport is not None or _timeout(failure)


def _server_fault(failure: Failure) -> bool:
    if failure.status is not None:
        return failure.status >= 500
    return _server(failure)


RULES: tuple[Rule, ...] = (
    (_says(_INTERRUPTED), _final("generic")),
    (_silent, _again("stream_silence_timeout")),
    (_either(_status(529), _says(["overloaded"])), _again("overloaded")),
    (_either(_says(_USAGE_LIMIT), _no_quota), _final("usage_limit")),
    (_either(_status(401), _says(_AUTH)), _final("auth")),
    (_unless_config(_either(_status(403), _says(["forbidden"]))), _final("auth")),
    (_unless_config(_either(_status(429), _says(_RATE_LIMIT))), _again("rate_limit")),
    # gateways send 503 for it: before timeout
    (_says(_DISABLED), _final("provider_disabled")),
    (_unless_config(_away), _again("timeout")),
    (_either(_config, _status(400, 404, 405, 409, 413, 422)), _final("config")),
    (_server_fault, _again("generic")),
)

_MESSAGES: dict[ErrorKind, str] = {
    "overloaded": "{subject} is temporarily overloaded",
    "usage_limit": "{subject} refused the request: a usage limit is reached",
    "auth": "{subject} refused the key; check the key, its permissions and billing",
    "rate_limit": "{subject} is limiting requests",
    "provider_disabled": "{subject} is disabled",
    "timeout": "{subject} is temporarily unavailable",
    "stream_silence_timeout": "{subject} did not send data in time",
    "config": "{subject} refused the request; check the model and its settings",
    "content_filter": "{subject} withheld the answer",
}


def classify(failure: Failure) -> Verdict:
    """The verdict of the first rule that matches; else it is nobody's to retry."""
    for matches, verdict in RULES:
        if matches(failure):
            return verdict
    return _final("generic")


def message_for(verdict: Verdict, *, subject: str, status: int | None) -> str:
    """What clients are told; `subject` is the vendor's display name."""
    told = _MESSAGES.get(verdict.kind)
    if told is None:
        known = verdict.retryable or status is not None
        told = "{subject} returned an unexpected error"
        if not known:
            told = "the chat request failed unexpectedly"
    return told.format(subject=subject)


def truncated(subject: str) -> ProviderError:
    """The stream ended without saying that the answer is complete."""
    message = f"the stream of {subject} was closed unexpectedly"
    return ProviderError(kind="timeout", message=message, retryable=True)


_URL = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.I)
_KEY = re.compile(r"\b(?:sk|pk|key)-[\w*.-]{3,}|\bbearer\s+\S+", re.I)


def detail_of(text: str, *, secrets: Iterable[str] = ()) -> str | None:
    """What a vendor says, fit for a chat: one short line, no key, no URL."""
    for secret in secrets:
        text = text.replace(secret, "[key]") if secret else text
    text = _KEY.sub("[key]", _URL.sub("[url]", text))
    line = " ".join(text.split())
    return line[:DETAIL_LENGTH] or None
