"""From a prompt in the making to the call; the last look at guard and lease between.

What a prompt needs and could not be had fails its attempt, not the worker.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from service.agent.assemble import LivePart
from service.agent.call import Answer, ask
from service.agent.hold import Hold
from service.agent.means import Means
from service.providers.models import Model
from service.providers.provider import ModelRequest, ProviderError

logger = logging.getLogger(__name__)


async def ask_for(
    made: Awaitable[ModelRequest],
    model: Model,
    answer: Answer,
    *,
    hold: Hold,
    means: Means,
    show: Callable[[LivePart], None] | None = None,
) -> None:
    """Make the request and ask. Raises ProviderError, LeaseLost."""
    request = await _prepared(made)
    means.guard.check("a model call")
    hold.check()
    await ask(request, model, answer, means=means, show=show)


async def _prepared(made: Awaitable[ModelRequest]) -> ModelRequest:
    """The request. Raises ProviderError, which may pass, when it cannot be made."""
    try:
        return await made
    except Exception as error:
        logger.exception("a prompt cannot be put together")
        message = "what the prompt consists of could not be read"
        raise ProviderError("generic", message, retryable=True) from error
