"""What operators and users have set, typed: parsed once, when it is read.

Nothing stored is trusted. A value that is malformed counts as not set, with a warning,
for a chat shall not fail because of a setting.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, JsonValue, ValidationError

from service.platform.model_configs import ModelConfigRow
from service.platform.providers import ProviderRow
from service.platform.stored_settings import (
    CUSTOM_PROMPT,
    DEPLOYMENT_PROMPT,
    MODEL_OVERRIDES,
)

logger = logging.getLogger(__name__)


class Override(BaseModel):
    """The model that a purpose has of its own, and how much it thinks."""

    model_config_id: UUID
    reasoning_effort: str | None = None


class _DeploymentPrompt(BaseModel):
    text: str = ""
    include_default: bool | None = None


class _CustomPrompt(BaseModel):
    text: str = ""


S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that holds for the whole deployment, as of one moment."""

    providers: Mapping[UUID, ProviderRow]
    """Those that are not deleted."""
    configs: Mapping[UUID, ModelConfigRow]
    """Those that are not deleted, enabled or not."""
    settings: Mapping[str, JsonValue] = field(default_factory=dict, repr=False)
    deployment_prompt: tuple[bool, str] = field(default=(True, ""), repr=False)
    """Whether the built-in prompt comes first, and the operator's own text."""
    overrides: Mapping[str, Override] = field(default_factory=dict)
    """By purpose: title, compaction."""

    @classmethod
    def of(
        cls,
        providers: Sequence[ProviderRow],
        configs: Sequence[ModelConfigRow],
        settings: Mapping[str, JsonValue],
    ) -> Snapshot:
        """The rows by id, the settings parsed."""
        overrides = {
            purpose: parsed
            for purpose, key in MODEL_OVERRIDES.items()
            if (parsed := _parsed(Override, settings, key)) is not None
        }
        return cls(
            providers={row.id: row for row in providers},
            configs={row.id: row for row in configs},
            settings=settings,
            deployment_prompt=_deployment_prompt(settings),
            overrides=overrides,
        )

    @property
    def default(self) -> ModelConfigRow | None:
        """The config of chats that name none; the database keeps it usable."""
        for config in self.configs.values():
            if config.is_default and self.usable(config.id):
                return config
        return None

    def config(self, config_id: UUID) -> ModelConfigRow | None:
        """The config, if it is enabled."""
        config = self.configs.get(config_id)
        return config if config is not None and config.enabled else None

    def usable(self, config_id: UUID) -> bool:
        """Whether the config and its provider are enabled."""
        config = self.config(config_id)
        provider = self.providers.get(config.provider_id) if config else None
        return provider is not None and provider.enabled


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What one user has set."""

    custom_prompt: str = field(default="", repr=False)
    thresholds: Mapping[UUID, int] = field(default_factory=dict)
    """Percent of the context that a prompt takes before it is shortened, by config."""

    @classmethod
    def of(
        cls, settings: Mapping[str, JsonValue], thresholds: Mapping[UUID, int]
    ) -> UserSettings:
        """The settings parsed."""
        prompt = _parsed(_CustomPrompt, settings, CUSTOM_PROMPT)
        return cls(prompt.text if prompt else "", thresholds)


def _deployment_prompt(settings: Mapping[str, JsonValue]) -> tuple[bool, str]:
    """Who says nothing of the built-in prompt replaces it with a text of their own."""
    prompt = _parsed(_DeploymentPrompt, settings, DEPLOYMENT_PROMPT)
    if prompt is None:
        return True, ""
    if prompt.include_default is None:
        return not prompt.text.strip(), prompt.text
    return prompt.include_default, prompt.text


def _parsed(shape: type[S], settings: Mapping[str, JsonValue], key: str) -> S | None:
    if settings.get(key) is None:
        return None
    try:
        return shape.model_validate(settings[key])
    except ValidationError:
        # not what is wrong with it: that would quote the value
        logger.warning("a malformed setting is ignored", extra={"setting": key})
        return None
