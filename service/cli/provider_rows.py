"""Providers and models as the commands find and show them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TypeVar

from service.db.pool import Connection
from service.domain.times import rfc3339
from service.errors import SetupError
from service.platform.model_configs import ModelConfigRow, list_model_configs
from service.platform.providers import ProviderRow, list_providers

Row = TypeVar("Row", ProviderRow, ModelConfigRow)

UUID_CHARS = 36
"""An id is shown whole, whatever the width."""

PRICES = ("price_input", "price_output", "price_cache_read", "price_cache_write")


async def find_provider(connection: Connection, reference: str) -> ProviderRow:
    """By id or by name. Raises SetupError unless there is one."""
    named = [
        row
        for row in await list_providers(connection)
        if reference in (str(row.id), row.display_name)
    ]
    return _only(named, reference, "provider")


async def find_model(connection: Connection, reference: str) -> ModelConfigRow:
    """By id, name or the vendor's name. Raises SetupError unless there is one."""
    named = [
        row
        for row in await list_model_configs(connection)
        if reference in (str(row.id), row.display_name, row.model)
    ]
    return _only(named, reference, "model")


def _only(found: Sequence[Row], reference: str, kind: str) -> Row:
    if not found:
        raise SetupError(f"there is no {kind} {reference!r}; see `parley {kind} list`")
    if len(found) > 1:
        ids = ", ".join(str(row.id) for row in found)
        raise SetupError(f"{reference!r} names several; give one of the ids {ids}")
    return found[0]


def provider_json(row: ProviderRow, models: int) -> dict[str, object]:
    """A provider for programs, without its key."""
    return {
        "id": str(row.id),
        "kind": row.kind,
        "display_name": row.display_name,
        "base_url": row.base_url,
        "enabled": row.enabled,
        "has_api_key": row.api_key_encrypted is not None,
        "models": models,
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }


def model_json(row: ModelConfigRow, provider: ProviderRow | None) -> dict[str, object]:
    """A model config for programs; prices as text, for they are decimals."""
    return {
        "id": str(row.id),
        "provider_id": str(row.provider_id),
        "provider": provider and provider.display_name,
        "model": row.model,
        "display_name": row.display_name,
        "enabled": row.enabled,
        "usable": usable(row, provider),
        "is_default": row.is_default,
        "context_limit": row.context_limit,
        "compaction_threshold": row.compaction_threshold,
        "max_output_tokens": row.max_output_tokens,
        "temperature": row.temperature,
        "reasoning_effort": row.reasoning_effort,
        "max_reasoning_effort": row.max_reasoning_effort,
        "options": dict(row.options),
        **{name: _text(getattr(row, name)) for name in PRICES},
        "created_at": rfc3339(row.created_at),
        "updated_at": rfc3339(row.updated_at),
    }


def _text(price: Decimal | None) -> str | None:
    return None if price is None else f"{price.normalize():f}"


def usable(row: ModelConfigRow, provider: ProviderRow | None) -> bool:
    """Whether chats may use it."""
    return row.enabled and provider is not None and provider.enabled
