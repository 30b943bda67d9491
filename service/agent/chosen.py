"""Which model a turn asks, which one shortens its history, and how full is too full."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from service.agent.next_action import Window
from service.agent.turn import turn_settings
from service.domain.chat.context import said_limit
from service.domain.chat.state import ChatState
from service.domain.events.chat import ModelRef
from service.providers.models import Model, Models


@dataclass(frozen=True, slots=True)
class Chosen:
    """The models of one action; whatever an operator changes, it ends with these."""

    model: Model
    asked: ModelRef
    """The model as it is told to the log."""
    context_limit: int | None
    """Tokens that its prompts may have; None: unknown."""
    summariser: Model
    window: Window | None


async def choose(state: ChatState, models: Models) -> Chosen:
    """Look the chat's models up. Raises ProviderError when it has none that works."""
    owner_id, config_id = state.owner_id, state.model_config_id
    assert owner_id is not None  # noqa: S101  a chat that exists has an owner
    model = await models.resolve(owner_id=owner_id, model_config_id=config_id)
    summariser = await models.resolve(
        owner_id=owner_id, model_config_id=config_id, purpose="compaction"
    )
    limit = context_limit(state, model)
    window = None
    if limit is not None:
        # the prompt that is shortened must fit the model that reads all of it
        narrowest = _strictest([limit, summariser.context_limit]) or limit
        window = Window(narrowest, model.threshold_percent)
    return Chosen(model, asked_of(state, model), limit, summariser, window)


def context_limit(state: ChatState, model: Model) -> int | None:
    """What the model holds: as configured, or less where its vendor refused that.

    An answer's usage repeats what was configured then, which may have been raised
    since; it is listened to where nothing is configured.
    """
    if model.context_limit is None:
        return said_limit(state, model.ref.model_config_id)
    return _strictest([model.context_limit, state.context_limit])


def asked_of(state: ChatState, model: Model) -> ModelRef:
    """Without a config it is the message that may have named a model."""
    named = turn_settings(state).model
    if named is None or model.configured_name is not None:
        return model.ref
    return model.ref.model_copy(update={"model": named})


def _strictest(limits: Iterable[int | None]) -> int | None:
    return min((limit for limit in limits if limit), default=None)
