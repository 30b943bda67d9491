"""What pydantic-ai raises, as the errors of our protocol."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Collection, Mapping

from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UserError,
)

from service.providers.classify import (
    Failure,
    Transport,
    Verdict,
    classify,
    detail_of,
    message_for,
    truncated,
)
from service.providers.provider import ProviderError

logger = logging.getLogger(__name__)

FRAMES = 3
"""Of a stack, in the log: where a library failed, without the values it had."""


def provider_error(
    error: Exception, *, subject: str, secrets: Collection[str]
) -> ProviderError:
    """The error as clients see it; `subject` is the vendor's display name."""
    match error:
        case ModelAPIError():
            return _of_api(error, subject, secrets)
        case UnexpectedModelBehavior():
            # a stream without anything in it, or whose parts contradict each other
            return truncated(subject)
        case UserError():
            verdict = Verdict("config", retryable=False)
        case _:
            verdict = Verdict("generic", retryable=False)
    _log(error, subject)
    message = message_for(verdict, subject=subject, status=None)
    return ProviderError(verdict.kind, message, verdict.retryable)


def _of_api(
    error: ModelAPIError, subject: str, secrets: Collection[str]
) -> ProviderError:
    said = _said(error.body)
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    words = (error.provider_error_code, error.provider_error_type, said)
    says = " ".join(word for word in words if word)
    transport = _transport(error)
    if status is None and transport is None and not says:
        return truncated(subject)
    verdict = classify(Failure(status=status, says=says, transport=transport))
    return ProviderError(
        verdict.kind,
        message_for(verdict, subject=subject, status=status),
        verdict.retryable,
        status,
        detail=detail_of(said, secrets=secrets),
        retry_after_s=error.retry_after,
    )


def _transport(error: ModelAPIError) -> Transport | None:
    if not isinstance(error, ModelConnectionError):
        return None
    if isinstance(error, ModelTimeoutError) and error.phase == "read":
        return "silent"
    return "read" if error.phase == "read" else "connect"


def _said(body: object) -> str:
    """The vendor's message in an error body, wherever it has it."""
    if isinstance(body, Mapping):
        for key in ("error", "message", "detail"):
            if said := _said(body.get(key)):
                return said
        return ""
    return body.strip().partition("\n")[0] if isinstance(body, str) else ""


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
