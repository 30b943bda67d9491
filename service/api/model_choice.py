"""The model config that a client chooses: there is one, and it can be asked."""

from __future__ import annotations

from uuid import UUID

from starlette.requests import Request

from service.api.context import context_of
from service.api.perform import Target, was_accepted
from service.api.problems import invalid
from service.auth.policy import Subject
from service.errors import FieldError

FIELD = "model_config_id"
TOLD = "there is no such model config, or it is disabled"


async def check_model_of(request: Request, target: Target, wanted: UUID | None) -> None:
    """`check_model` for the chat in the path."""
    await check_model(request, target.subject, target.chat_id, wanted, key=target.key)


async def check_model(
    request: Request,
    subject: Subject,
    chat_id: UUID,
    wanted: UUID | None,
    *,
    key: str | None,
) -> None:
    """Raises Rejection `invalid-request` for a config that no turn could use."""
    if wanted is None or await context_of(request).usable_model(wanted):
        return
    # what was accepted once is answered again, whatever became of its model
    if key is None or not await was_accepted(request, subject, chat_id, key):
        raise invalid(FieldError(FIELD, TOLD))
