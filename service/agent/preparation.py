"""What a prompt needs and could not be had fails its attempt, not the worker."""

from __future__ import annotations

import logging
from collections.abc import Awaitable

from service.providers.provider import ModelRequest, ProviderError

logger = logging.getLogger(__name__)


async def prepared(made: Awaitable[ModelRequest]) -> ModelRequest:
    """The request. Raises ProviderError, which may pass, when it cannot be made."""
    try:
        return await made
    except Exception as error:
        logger.exception("a prompt cannot be put together")
        message = "what the prompt consists of could not be read"
        raise ProviderError("generic", message, retryable=True) from error
