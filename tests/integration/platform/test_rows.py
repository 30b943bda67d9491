"""Rows of schema platform: what goes in comes out, what does not fit is refused."""

from __future__ import annotations

from decimal import Decimal
from uuid import uuid4

import psycopg
import pytest

from service.db.pool import Connection
from service.platform.model_configs import (
    delete_model_config,
    insert_model_config,
    list_model_configs,
    update_model_config,
)
from service.platform.providers import (
    count_models,
    delete_provider,
    insert_provider,
    list_providers,
    update_provider,
)
from service.platform.stored_settings import (
    delete_setting,
    delete_user_setting,
    list_settings,
    list_user_settings,
    update_setting,
    update_user_setting,
)
from service.platform.thresholds import (
    delete_threshold,
    list_thresholds,
    update_threshold,
)
from service.platform.users import ensure_user
from tests.sql.batch import rows, value


async def test_provider_comes_out_as_it_went_in(service: Connection) -> None:
    provider_id = await insert_provider(
        service,
        kind="openai_compat",
        display_name="Ours",
        base_url="http://models.example/v1",
        api_key_encrypted=b"sealed",
    )
    (row,) = await list_providers(service)
    assert (row.id, row.kind, row.display_name) == (
        provider_id,
        "openai_compat",
        "Ours",
    )
    assert (row.base_url, row.enabled) == ("http://models.example/v1", True)
    assert row.api_key_encrypted == b"sealed"


async def test_update_changes_what_is_named_and_moves_updated_at(
    service: Connection,
) -> None:
    provider_id = await insert_provider(service, kind="openai", display_name="A")
    (before,) = await list_providers(service)
    assert await update_provider(service, provider_id, display_name="B", enabled=False)
    (after,) = await list_providers(service)
    assert (after.display_name, after.enabled, after.kind) == ("B", False, "openai")
    assert after.updated_at > before.updated_at
    assert after.created_at == before.created_at


async def test_update_of_nothing_changes_nothing(service: Connection) -> None:
    provider_id = await insert_provider(service, kind="openai", display_name="A")
    before = await list_providers(service)
    assert await update_provider(service, provider_id)
    assert await list_providers(service) == before
    assert not await update_provider(service, uuid4())
    assert not await update_provider(service, uuid4(), enabled=False)


async def test_unknown_columns_are_refused(service: Connection) -> None:
    provider_id = await insert_provider(service, kind="openai", display_name="A")
    with pytest.raises(ValueError, match="'deleted_at'"):
        await update_provider(service, provider_id, deleted_at=None)
    with pytest.raises(ValueError, match="'id'"):
        await insert_model_config(
            service, provider_id=provider_id, model="m", context_limit=1, id=uuid4()
        )


async def test_deleted_provider_is_gone_with_its_key_and_frees_its_name(
    service: Connection, admin: Connection
) -> None:
    provider_id = await insert_provider(
        service, kind="openai", display_name="A", api_key_encrypted=b"sealed"
    )
    assert await delete_provider(service, provider_id)
    assert not await delete_provider(service, provider_id)
    assert not await update_provider(service, provider_id, display_name="B")
    assert await list_providers(service) == []
    assert await rows(admin, "SELECT api_key_encrypted FROM platform.providers") == [
        (None,)
    ]
    await insert_provider(service, kind="anthropic", display_name="A")


async def test_model_config_comes_out_as_it_went_in(service: Connection) -> None:
    provider_id = await insert_provider(service, kind="openai", display_name="A")
    config_id = await insert_model_config(
        service,
        provider_id=provider_id,
        model="big",
        context_limit=200_000,
        temperature=0.2,
        options={"top_p": 0.9, "extra_body": {"x": [1]}},
        price_input=Decimal("2.50"),
        price_cache_read=Decimal("0.00001"),
    )
    (row,) = await list_model_configs(service)
    assert (row.id, row.provider_id, row.display_name) == (
        config_id,
        provider_id,
        "big",
    )
    assert (row.context_limit, row.compaction_threshold) == (200_000, 70)
    assert (row.temperature, row.options) == (
        0.2,
        {"top_p": 0.9, "extra_body": {"x": [1]}},
    )
    assert (row.price_input, row.price_output) == (Decimal("2.50"), None)
    assert row.price_cache_read == Decimal("0.00001")
    assert row.is_default
    assert await count_models(service, provider_id) == 1
    assert await update_model_config(service, config_id, options={}, enabled=False)
    (row,) = await list_model_configs(service)
    assert (row.options, row.enabled, row.is_default) == ({}, False, False)
    assert await delete_model_config(service, config_id)
    assert not await delete_model_config(service, config_id)
    assert await list_model_configs(service) == []
    assert await count_models(service, provider_id) == 0
    assert await value(service, "SELECT count(*) FROM platform.model_configs") == 1


async def test_settings_by_key(service: Connection) -> None:
    await update_setting(service, "deployment_prompt", {"text": "a"})
    await update_setting(service, "deployment_prompt", {"text": "b"})
    await update_setting(service, "model_override.title", {"model_config_id": "x"})
    assert await list_settings(service) == {
        "deployment_prompt": {"text": "b"},
        "model_override.title": {"model_config_id": "x"},
    }
    assert await delete_setting(service, "model_override.title")
    assert not await delete_setting(service, "model_override.title")
    found = await rows(service, "SELECT version, updated_by FROM platform.settings")
    assert found == [(2, "system")]


async def test_settings_of_users_are_their_own(service: Connection) -> None:
    one = await ensure_user(service, uuid4(), name="one")
    two = await ensure_user(service, uuid4(), name="two")
    await update_user_setting(service, one, "custom_prompt", value={"text": "a"})
    await update_user_setting(service, one, "custom_prompt", value={"text": "b"})
    assert await list_user_settings(service, one) == {"custom_prompt": {"text": "b"}}
    assert await list_user_settings(service, two) == {}
    assert await value(service, "SELECT version FROM platform.user_settings") == 2
    assert await delete_user_setting(service, one, "custom_prompt")
    assert not await delete_user_setting(service, one, "custom_prompt")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await update_user_setting(service, uuid4(), "custom_prompt", value={})


async def test_thresholds_by_user_and_model(service: Connection) -> None:
    user = await ensure_user(service, uuid4(), name="one")
    provider_id = await insert_provider(service, kind="openai", display_name="A")
    config_id = await insert_model_config(
        service, provider_id=provider_id, model="m", context_limit=1000
    )
    await update_threshold(service, user, config_id, percent=50)
    await update_threshold(service, user, config_id, percent=100)
    assert await list_thresholds(service, user) == {config_id: 100}
    assert await list_thresholds(service, uuid4()) == {}
    with pytest.raises(psycopg.errors.CheckViolation):
        await update_threshold(service, user, config_id, percent=101)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await update_threshold(service, user, uuid4(), percent=1)
    assert await delete_threshold(service, user, config_id)
    assert not await delete_threshold(service, user, config_id)
