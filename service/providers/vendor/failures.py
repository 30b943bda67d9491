"""What pydantic-ai raises, as the errors of our protocol."""

from __future__ import annotations

import logging
import traceback
from asyncio import CancelledError
from collections.abc import Collection, Iterator
from typing import Any

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UserError,
)

from service import wire
from service.providers.classify import (
    Failure,
    Transport,
    Verdict,
    classify,
    detail_of,
    message_for,
    truncated,
)
from service.providers.context_limit import context_limit_in, find_context_limit
from service.providers.failure_words import ANY_VENDOR, vendor_in
from service.providers.provider import ProviderError
from service.providers.said import BODY_BYTES, retry_after_s, said_in

logger = logging.getLogger(__name__)

FRAMES = 3
"""Of a stack, in the log: where a library failed, without the values it had."""

CAUSES = 8
"""Errors behind an error: of the SDK, the HTTP client, the transport, the socket."""


def provider_error(
    error: Exception, *, subject: str, secrets: Collection[str]
) -> ProviderError:
    """The error as clients see it; `subject` is the vendor's display name.

    What is classified already comes back as it is. Without a subject, what the error
    says is searched for one.
    """
    match error:
        case ProviderError():
            return error
        case ModelAPIError():
            return _of_api(error, subject, secrets)
        case UnexpectedModelBehavior():
            # a stream without anything in it, or whose parts contradict each other
            return truncated(subject or ANY_VENDOR)
        case UserError():
            verdict = Verdict("config", retryable=False)
        case _:
            verdict = Verdict("generic", retryable=False)
    _log(error, subject)
    message = message_for(verdict, subject=subject or ANY_VENDOR, status=None)
    return ProviderError(verdict.kind, message, verdict.retryable)


def _of_api(
    error: ModelAPIError, subject: str, secrets: Collection[str]
) -> ProviderError:
    body = _parsed(error.body)
    said = said_in(body)
    failure = _failure(error, said)
    if failure == Failure():
        return truncated(subject or ANY_VENDOR)
    verdict, status = classify(failure), failure.known_status
    if verdict.detail is not None:
        fault = {"provider": subject, "error": verdict.detail}
        logger.error("a vendor does not take the history of a chat", extra=fault)
    limit = None
    if verdict.kind == "config":
        limit = context_limit_in(said) or find_context_limit(body)
    name = subject or vendor_in(failure.text)
    return ProviderError(
        verdict.kind,
        message_for(verdict, subject=name, status=status),
        verdict.retryable,
        status,
        detail=verdict.detail or detail_of(said, secrets=secrets),
        retry_after_s=_retry_after_s(error),
        context_limit=limit,
    )


def _parsed(body: Any) -> Any:
    """The body as JSON, also where a gateway does not say that it is."""
    text = body[:BODY_BYTES] if isinstance(body, str | bytes) else None
    if not text or text != body or text.strip()[:1] not in ("{", "[", b"{", b"["):
        return body
    try:
        return wire.loads(text)
    except ValueError:
        # cut off, or as deep as no message is
        return body


def _failure(error: ModelAPIError, said: str) -> Failure:
    told = [error.provider_error_code, error.provider_error_type, said]
    transport = _transport(error)
    if transport is not None:
        told += [str(cause) for cause in _causes(error)]
    return Failure(
        status=error.status_code if isinstance(error, ModelHTTPError) else None,
        says=" ".join(word for word in told if word),
        transport=transport,
        cancelled=any(isinstance(cause, CancelledError) for cause in _causes(error)),
    )


def _transport(error: ModelAPIError) -> Transport | None:
    if isinstance(error, ModelRequestTimeout):
        return "deadline"
    if not isinstance(error, ModelConnectionError):
        return None
    if isinstance(error, ModelTimeoutError) and error.phase == "read":
        return "silent"
    return "read" if error.phase == "read" else "connect"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and those that it was raised from."""
    cause: BaseException | None = error
    for _ in range(CAUSES):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__


def _retry_after_s(error: ModelAPIError) -> float | None:
    """From the headers, as we read them; else what the library made of them."""
    headers = error.headers if isinstance(error, ModelHTTPError) else None
    told = retry_after_s(headers or {})
    if told is None and error.retry_after is not None:
        told = retry_after_s({"retry-after": str(error.retry_after)})
    return told


def _log(error: Exception, subject: str) -> None:
    """Which error and where; its text may quote what a user wrote."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = [f"{frame.name}:{frame.lineno}" for frame in frames]
    logger.error(
        "a model library failed",
        extra={
            "provider": subject,
            "error": type(error).__qualname__,
            "where": " > ".join(where),
        },
    )
