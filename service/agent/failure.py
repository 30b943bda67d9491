"""An attempt that failed: when it is tried again, or that it is not.

A retry is an event: it closes the attempt and says when the next one begins, so any
worker goes on from there.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from service.agent.attempt import Attempt
from service.agent.hold import Hold
from service.agent.means import Means
from service.domain.commands.chat import FinishError, ScheduleRetry, Spent
from service.domain.events.chat import ChatError, ModelRef
from service.providers.provider import ProviderError

logger = logging.getLogger(__name__)


async def retry_later(
    error: ProviderError,
    opened: Attempt,
    ref: ModelRef,
    *,
    hold: Hold,
    means: Means,
    spent: Spent | None = None,
) -> ChatError | None:
    """Commit when the attempt is made again; gives the error when it is not."""
    said = chat_error(error, ref.provider)
    _log(error, opened, ref)
    if not error.retryable:
        return said
    delay_s = means.retry.delay_s(opened.number, asked_s=error.retry_after_s)
    if delay_s is None:
        message = f"gave up after {opened.number} attempts: {said.message}"
        return said.model_copy(update={"message": message})
    means.metrics.retry(ref.provider, ref.model, error.kind)
    fence = hold.fence(opened.epoch)
    await hold.commit(
        ScheduleRetry(
            **fence,
            attempt=opened.number,
            delay_ms=round(delay_s * 1000),
            retrying_at=fence["now"] + timedelta(seconds=delay_s),
            error=said,
            spent=spent,
        )
    )
    return None


async def fail(
    error: ChatError, opened: Attempt, hold: Hold, *, spent: Spent | None = None
) -> None:
    """The turn ends here."""
    fence = hold.fence(opened.epoch)
    await hold.commit(FinishError(**fence, error=error, spent=spent))


def chat_error(error: ProviderError, provider: str | None) -> ChatError:
    """The failure as the chat keeps it."""
    return ChatError(
        message=error.message,
        kind=error.kind,
        detail=error.detail,
        provider=provider,
        retryable=error.retryable,
        status_code=error.status_code,
        context_limit=error.context_limit,
    )


def _log(error: ProviderError, opened: Attempt, ref: ModelRef) -> None:
    extra = {
        "provider": ref.provider,
        "model": ref.model,
        "attempt": opened.number,
        "kind": error.kind,
        "status_code": error.status_code,
        "retryable": error.retryable,
    }
    logger.warning("a model call failed", extra=extra)
