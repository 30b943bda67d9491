"""Constraints of providers, model configs and settings."""

from __future__ import annotations

from uuid import uuid4

import psycopg
import pytest

from service.db.pool import Connection
from tests.sql.batch import value
from tests.sql.models import add_config, add_provider, change

PROVIDERS = {
    "kind = 'other'": "providers__kind__check",
    "display_name = ''": "providers__display_name__check",
    "display_name = repeat('x', 201)": "providers__display_name__check",
    "base_url = 'ftp://x'": "providers__base_url__check",
    "base_url = 'x http://y'": "providers__base_url__check",
    "kind = 'openai_compat'": "providers__kind__base_url__check",
}

CONFIGS = {
    "model = ''": "model_configs__model__check",
    "display_name = ''": "model_configs__display_name__check",
    "context_limit = 0": "model_configs__context_limit__check",
    "compaction_threshold = -1": "model_configs__compaction_threshold__check",
    "compaction_threshold = 101": "model_configs__compaction_threshold__check",
    "max_output_tokens = 0": "model_configs__max_output_tokens__check",
    "temperature = -0.1": "model_configs__temperature__check",
    "temperature = 2.1": "model_configs__temperature__check",
    "temperature = 'NaN'": "model_configs__temperature__check",
    "reasoning_effort = 'huge'": "model_configs__reasoning_effort__check",
    "max_reasoning_effort = ''": "model_configs__max_reasoning_effort__check",
    "options = '[]'": "model_configs__options__check",
    "price_input = -1": "model_configs__price_input__check",
    "price_output = 'NaN'": "model_configs__price_output__check",
    "price_cache_read = -0.1": "model_configs__price_cache_read__check",
    "price_cache_write = 1000001": "model_configs__price_cache_write__check",
}


@pytest.mark.parametrize("setting", PROVIDERS)
async def test_provider_out_of_bounds(service: Connection, setting: str) -> None:
    provider = await add_provider(service)
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        await change(service, provider, setting)
    assert caught.value.diag.constraint_name == PROVIDERS[setting]


@pytest.mark.parametrize("setting", CONFIGS)
async def test_config_out_of_bounds(service: Connection, setting: str) -> None:
    config = await add_config(service, await add_provider(service))
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        await change(service, config, setting)
    assert caught.value.diag.constraint_name == CONFIGS[setting]


@pytest.mark.parametrize(
    "setting",
    [
        "context_limit = 1", "compaction_threshold = 0", "compaction_threshold = 100",
        "temperature = 0", "temperature = 2", "price_input = 0",
        "price_output = 0.000001", "reasoning_effort = 'xhigh'", "options = '{}'",
    ],
)  # fmt: skip
async def test_config_at_its_bounds(service: Connection, setting: str) -> None:
    config = await add_config(service, await add_provider(service))
    await change(service, config, setting)
    assert await value(
        service, f"SELECT {setting} FROM platform.model_configs"  # noqa: S608
    )  # fmt: skip


async def test_names_are_taken_by_what_is_not_deleted(service: Connection) -> None:
    one, two = await add_provider(service), await add_provider(service)
    await change(service, one, "display_name = 'A'")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await change(service, two, "display_name = 'A'")
    await change(service, one, "deleted_at = now()")
    await change(service, two, "display_name = 'A'")


async def test_config_is_not_made_twice(service: Connection) -> None:
    provider = await add_provider(service)
    one, two = [await add_config(service, provider) for _ in range(2)]
    await change(service, one, "display_name = 'A'")
    with pytest.raises(psycopg.errors.UniqueViolation):
        await change(service, two, "display_name = 'A'")
    await change(service, two, "model = 'other', display_name = 'A'")
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await add_config(service, uuid4())


@pytest.mark.parametrize("key", ["", "K", "1k", "a-b", "a b", "a" * 101])
async def test_malformed_keys_of_settings(service: Connection, key: str) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        await service.execute("INSERT INTO platform.settings VALUES (%s, '1')", [key])


async def test_provider_with_configs_cannot_be_removed_for_good(
    admin: Connection,
) -> None:
    """Spending refers to configs, they refer to it: it is only marked."""
    await add_config(admin, await add_provider(admin))
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        await admin.execute("DELETE FROM platform.providers")


async def test_config_takes_its_thresholds_along(admin: Connection) -> None:
    config = await add_config(admin, await add_provider(admin))
    user = uuid4()
    await admin.execute("INSERT INTO platform.users VALUES (%s, 'u')", [user])
    await admin.execute(
        "INSERT INTO platform.compaction_thresholds VALUES (%s, %s, 50)",
        [user, config],
    )
    await admin.execute("DELETE FROM platform.model_configs")
    count = "SELECT count(*) FROM platform.compaction_thresholds"
    assert await value(admin, count) == 0
