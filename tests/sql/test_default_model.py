"""Exactly one default among the usable model configs, whatever is done to them."""

from __future__ import annotations

import asyncio
import random

import psycopg
import pytest

from service.db.pool import Connection
from tests.sql.batch import rows, value
from tests.sql.conftest import Open
from tests.sql.models import add_config, add_provider, change, defaults, usable

BLOCKERS = "SELECT cardinality(pg_blocking_pids(%s))"


async def test_first_config_becomes_the_default(service: Connection) -> None:
    provider = await add_provider(service)
    assert await defaults(service) == []
    first = await add_config(service, provider)
    await add_config(service, provider)
    assert await defaults(service) == [first]


async def test_first_usable_config_becomes_the_default(service: Connection) -> None:
    """A disabled one, or one of a disabled provider, does not count."""
    off = await add_provider(service, enabled=False)
    await add_config(service, off, is_default=True)
    on = await add_provider(service)
    await add_config(service, on, enabled=False, is_default=True)
    assert await defaults(service) == []
    usable_one = await add_config(service, on)
    assert await defaults(service) == [usable_one]


async def test_setting_one_clears_the_other(service: Connection) -> None:
    provider = await add_provider(service)
    first = await add_config(service, provider)
    second = await add_config(service, provider)
    await change(service, second, "is_default = true")
    assert await defaults(service) == [second]
    third = await add_config(service, provider, is_default=True)
    assert await defaults(service) == [third]
    await change(service, first, "is_default = true")
    assert await defaults(service) == [first]


@pytest.mark.parametrize(
    "setting",
    ["enabled = false", "deleted_at = now()", "is_default = false"],
    ids=["disabled", "deleted", "unset"],
)
async def test_oldest_other_follows(service: Connection, setting: str) -> None:
    provider = await add_provider(service)
    first = await add_config(service, provider)
    second = await add_config(service, provider)
    await add_config(service, provider)
    await change(service, first, setting)
    assert await defaults(service) == [second]


async def test_default_that_is_removed_is_followed(admin: Connection) -> None:
    provider = await add_provider(admin)
    first = await add_config(admin, provider)
    second = await add_config(admin, provider)
    await admin.execute("DELETE FROM platform.model_configs WHERE id = %s", [first])
    assert await defaults(admin) == [second]


async def test_only_config_stays_the_default_when_unset(service: Connection) -> None:
    only = await add_config(service, await add_provider(service))
    await change(service, only, "is_default = false")
    assert await defaults(service) == [only]


async def test_unusable_config_cannot_be_made_the_default(service: Connection) -> None:
    provider = await add_provider(service)
    first = await add_config(service, provider)
    off = await add_config(service, provider, enabled=False)
    await change(service, off, "is_default = true")
    assert await defaults(service) == [first]


@pytest.mark.parametrize(
    "setting", ["enabled = false", "deleted_at = now()"], ids=["disabled", "deleted"]
)
async def test_provider_takes_the_default_along(
    service: Connection, setting: str
) -> None:
    one, two = await add_provider(service), await add_provider(service)
    first, second = await add_config(service, one), await add_config(service, two)
    await change(service, one, setting)
    assert await defaults(service) == [second]
    await change(service, two, "enabled = false")
    assert await defaults(service) == []
    await change(service, two, "enabled = true")
    assert await defaults(service) == [second]
    if setting == "enabled = false":
        await change(service, one, "enabled = true")
        assert await defaults(service) == [second]  # who has it keeps it
        await change(service, first, "is_default = true")
        assert await defaults(service) == [first]


async def test_many_rows_at_once_keep_one_default(service: Connection) -> None:
    provider = await add_provider(service)
    configs = [await add_config(service, provider) for _ in range(3)]
    for setting in ("is_default = true", "is_default = false", "is_default = true"):
        query = f"UPDATE platform.model_configs SET {setting}"  # noqa: S608
        await service.execute(query.encode())
        assert len(await defaults(service)) == 1
    await service.execute("UPDATE platform.model_configs SET enabled = false")
    assert await defaults(service) == []
    await service.execute("UPDATE platform.model_configs SET enabled = true")
    assert await defaults(service) == [configs[0]]


async def test_rolled_back_change_leaves_the_default(service: Connection) -> None:
    provider = await add_provider(service)
    first, second = [await add_config(service, provider) for _ in range(2)]
    async with service.transaction(force_rollback=True):
        await change(service, second, "is_default = true")
        assert await defaults(service) == [second]
    assert await defaults(service) == [first]


async def test_second_change_waits_and_sees_what_the_first_left(
    service: Connection, admin: Connection, open_as: Open
) -> None:
    """Both set another default: the one that commits last has it."""
    provider = await add_provider(service)
    configs = [await add_config(service, provider) for _ in range(3)]
    other = await open_as("service")
    async with service.transaction():
        await change(service, configs[1], "is_default = true")
        late = asyncio.create_task(change(other, configs[2], "is_default = true"))
        async with asyncio.timeout(10):
            blockers = 0
            while not blockers:
                blockers = await value(admin, BLOCKERS, [other.info.backend_pid])
    await late
    assert await defaults(service) == [configs[2]]


async def test_default_holds_under_concurrent_changes(
    service: Connection, open_as: Open
) -> None:
    """Six sessions set, unset, disable, enable, delete: no deadlock, one default."""
    providers = [await add_provider(service) for _ in range(2)]
    configs = [await add_config(service, providers[n % 2]) for n in range(6)]
    settings = (
        "is_default = true", "is_default = false", "enabled = false", "enabled = true",
        "deleted_at = now()", "deleted_at = NULL", "display_name = id::text || 'x'",
    )  # fmt: skip

    async def session(number: int) -> None:
        chance = random.Random(number)
        connection = await open_as("service")
        for _ in range(25):
            async with connection.transaction():
                for _ in range(chance.randint(1, 3)):
                    if chance.random() < 0.2:
                        row = chance.choice(providers)
                        setting = chance.choice(("enabled = false", "enabled = true"))
                    else:
                        row, setting = chance.choice(configs), chance.choice(settings)
                    await change(connection, row, setting)
                left = await usable(connection)
                assert len(await defaults(connection)) == min(1, len(left))
                assert set(await defaults(connection)) <= set(left)

    async with asyncio.timeout(60):
        await asyncio.gather(*(session(number) for number in range(6)))
    left = await usable(service)
    assert len(await defaults(service)) == min(1, len(left))


async def test_two_defaults_are_refused_should_triggers_be_off(
    admin: Connection,
) -> None:
    provider = await add_provider(admin)
    for _ in range(2):
        await add_config(admin, provider)
    await admin.execute("ALTER TABLE platform.model_configs DISABLE TRIGGER USER")
    with pytest.raises(psycopg.errors.ExclusionViolation):
        await admin.execute("UPDATE platform.model_configs SET is_default = true")


async def test_healing_is_audited_after_what_it_heals(service: Connection) -> None:
    """The log's last word about a config is its row."""
    provider = await add_provider(service)
    configs = [await add_config(service, provider) for _ in range(2)]
    await change(service, configs[1], "is_default = true")
    await change(service, configs[1], "enabled = false")
    found = await rows(
        service,
        """
        SELECT DISTINCT ON (stream_id) stream_id, data #> '{row,is_default}'
        FROM es.events WHERE type = 'model_config_changed'
        ORDER BY stream_id, version DESC
        """,
    )
    assert dict(found) == {configs[0]: True, configs[1]: False}
