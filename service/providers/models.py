"""Which model a turn asks: its provider, its limits, and what it costs.

`Model` is a snapshot: whoever asks with it finishes with it, whatever an operator
changes meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from pydantic import JsonValue

from service.domain.cost import Prices, cost_micros
from service.domain.events.chat import ModelRef, Purpose, Usage
from service.providers.provider import Provider

DEFAULT_THRESHOLD = 70
"""Percent of its context that a prompt takes before it is shortened."""

DEFAULT_OUTPUT_TOKENS = 32_000
"""Of one answer, where no config says another limit."""

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
"""How much a model thinks, from nothing on."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be asked."""

    provider: Provider
    ref: ModelRef
    context_limit: int | None = None
    """Tokens; None: unknown, so nothing is ever shortened by itself."""
    threshold_percent: int = DEFAULT_THRESHOLD
    """The owner's own, else the config's; 100: never."""
    max_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    temperature: float | None = None
    default_effort: str | None = None
    max_effort: str | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    prices: Prices | None = None
    names_chats: bool = True
    """Whether it is asked for titles unasked; scripts are not."""

    @property
    def configured_name(self) -> str | None:
        """What its config calls it at the vendor; None: the provider's default."""
        return None if self.ref.model_config_id is None else self.ref.model

    def effort(self, wanted: str | None) -> str | None:
        """What was wanted, else the config's default, but not above its maximum."""
        chosen = wanted if wanted in EFFORTS else self.default_effort
        if chosen not in EFFORTS or self.max_effort not in EFFORTS:
            return chosen if chosen in EFFORTS else None
        return min(chosen, self.max_effort, key=EFFORTS.index)

    def cost(self, usage: Usage | None) -> int | None:
        """Micro-dollars, rounded up; None: nobody knows."""
        return cost_micros(usage, self.prices)


class Models(Protocol):
    """Finds models. Safe to call concurrently; cheap when nothing has changed."""

    async def resolve(
        self,
        *,
        owner_id: UUID,
        model_config_id: UUID | None,
        purpose: Purpose = "turn",
    ) -> Model:
        """The config's model; of one that is gone, or None: the default.

        For the purposes title and compaction an operator's override comes first; one
        that is unset, malformed or unavailable is passed over, with a warning.
        Raises ProviderError: config (no model at all, a disabled config), missing_key,
        provider_disabled.
        """
        ...


@dataclass(frozen=True, slots=True)
class OneModel:
    """`Models` of a process that asks one provider, whatever a chat wants."""

    model: Model

    @classmethod
    def of(cls, provider: Provider) -> OneModel:
        """The provider's default model, without limit or price."""
        ref = ModelRef(provider=provider.name, model="default")
        return cls(Model(provider, ref, names_chats=False))

    async def resolve(
        self,
        *,
        owner_id: UUID,
        model_config_id: UUID | None,
        purpose: Purpose = "turn",
    ) -> Model:
        """The one."""
        return self.model
