"""What kind of failure a vendor reports, by the first rule that matches.

Rules look at the HTTP status and at what is said (code, type, message, in lower case).
Words of a message decide only where a status does not, or where vendors are known to
send one status for several things.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from service.providers import failure_words as words
from service.providers.provider import ErrorKind, ProviderError
from service.providers.said import BODY_BYTES
from service.providers.said import DETAIL_LENGTH as DETAIL_LENGTH
from service.providers.said import detail_of as detail_of

Transport = Literal["connect", "read", "silent", "cut", "deadline"]

CONTINUITY_CODE = "provider_history_mismatch"
"""The whole detail of a failure that is our doing: to be found in logs, without ids."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of a failed call."""

    status: int | None = None
    says: str = ""
    """Code, type and message as the vendor sent them, or what the transport says."""
    transport: Transport | None = None
    """The connection failed: could not be made, broke, fell silent, ended too early; or
    we would not wait any longer."""
    cancelled: bool = False
    """A cancellation was reported."""
    ours_alive: bool = True
    """Nobody on our side has cancelled the call."""
    text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", self.says[:BODY_BYTES].lower())

    @property
    def known_status(self) -> int | None:
        """The status as the client had it, else as the vendor's text tells it."""
        if self.status is not None or self.transport is not None:
            return self.status
        return words.status_in(self.text)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The kind of a failure, and whether the same request may go through later."""

    kind: ErrorKind
    retryable: bool
    told: str | None = None
    """The message, where it is not that of the kind."""
    detail: str | None = None
    """Told in place of what the vendor says."""


def _again(kind: ErrorKind, told: str | None = None) -> Verdict:
    return Verdict(kind, retryable=True, told=told)


def _final(kind: ErrorKind, told: str | None = None) -> Verdict:
    return Verdict(kind, retryable=False, told=told)


Test = Callable[[Failure], bool]
Rule = tuple[Test, Verdict]


def _says(some: tuple[str, ...]) -> Test:
    return lambda failure: words.says(failure.text, some)


def _status(*statuses: int) -> Test:
    return lambda failure: failure.known_status in statuses


def _either(*tests: Test) -> Test:
    return lambda failure: any(test(failure) for test in tests)


_config = _says(words.CONFIG)


def _unless_config(test: Test) -> Test:
    return lambda failure: test(failure) and not _config(failure)


def _transport(what: Transport) -> Test:
    return lambda failure: failure.transport == what


def _no_quota(failure: Failure) -> bool:
    # 429 with the word quota is a rate limit: waiting helps
    status = failure.known_status
    return status == 402 or (status != 429 and words.says(failure.text, words.QUOTA))


def _cancelled(failure: Failure) -> bool:
    return failure.cancelled or words.says(failure.text, words.CANCELLED)


def _dropped(failure: Failure) -> bool:
    """A cancellation that nobody here asked for: the vendor's side let go."""
    return _cancelled(failure) and failure.ours_alive and failure.known_status is None


def _away(failure: Failure) -> bool:
    status = failure.known_status
    if status in (408, 502, 503, 504):
        return True
    if status is not None and status < 500:
        # a sentence about a parameter called timeout, say
        return False
    if status is None and (reset := words.reset_in(failure.text)) is not None:
        # its code says more than its words do
        return reset.passing
    if status is None and failure.transport is not None:
        return True
    text = failure.text
    return words.says(text, words.TIMEOUT) or words.EOF.search(text) is not None


def _server_fault(failure: Failure) -> bool:
    status = failure.known_status
    if status is not None:
        return status >= 500
    return words.says(failure.text, words.SERVER)


_CUT_TOLD = "the stream of {subject} was closed unexpectedly"
_TOO_LONG_TOLD = "the request to {subject} timed out before it was complete"
_CONTINUITY = Verdict(
    "generic",
    retryable=False,
    told="{subject} does not take the chat's history: an internal mismatch, not a "
    "matter of billing or settings; go on in a new chat",
    detail=CONTINUITY_CODE,
)

RULES: tuple[Rule, ...] = (
    (_says(words.INTERRUPTED), _final("generic", "the request was interrupted")),
    (_says(words.CONTINUITY), _CONTINUITY),
    (_transport("silent"), _again("stream_silence_timeout")),
    (_either(_transport("cut"), _says(words.CUT)), _again("timeout", _CUT_TOLD)),
    (_either(_status(529), _says(("overloaded",))), _again("overloaded")),
    (_either(_says(words.USAGE_LIMIT), _no_quota), _final("usage_limit")),
    (_either(_status(401), _says(words.AUTH)), _final("auth")),
    (_unless_config(_either(_status(403), _says(words.FORBIDDEN))), _final("auth")),
    (
        _unless_config(_either(_status(429), _says(words.RATE_LIMIT))),
        _again("rate_limit"),
    ),
    # gateways send 503 for it: before timeout
    (lambda failure: words.disabled(failure.text), _final("provider_disabled")),
    (_transport("deadline"), _final("timeout", _TOO_LONG_TOLD)),
    (_unless_config(_either(_away, _dropped)), _again("timeout")),
    (_either(_config, _status(400, 404, 405, 409, 413, 422)), _final("config")),
    (_server_fault, _again("generic")),
    (_cancelled, _final("generic", "the request was cancelled")),
)

_MESSAGES: dict[ErrorKind, str] = {
    "overloaded": "{subject} is temporarily overloaded",
    "usage_limit": "{subject} refused the request: a usage limit is reached",
    "auth": "{subject} refused the key; check the key, its permissions and billing",
    "rate_limit": "{subject} is limiting requests",
    "provider_disabled": "{subject} is disabled",
    "missing_key": "{subject} has no key; set one for the provider",
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
    told = verdict.told or _MESSAGES.get(verdict.kind)
    if told is None:
        known = verdict.retryable or status is not None
        told = "{subject} returned an unexpected error"
        if not known:
            told = "the chat request failed unexpectedly"
    return told.format(subject=subject)


def truncated(subject: str) -> ProviderError:
    """The stream ended without saying that the answer is complete."""
    message = _CUT_TOLD.format(subject=subject)
    return ProviderError(kind="timeout", message=message, retryable=True)
