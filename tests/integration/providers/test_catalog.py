"""Settings in memory, on a real log: what is kept, until when, and each race of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from service.db.guard import Guard
from service.db.pool import Connection, Database, connect
from service.errors import DatabaseAway, HeldConnection
from service.platform.catalog import Catalog, UserSettings
from service.platform.model_configs import delete_model_config, update_model_config
from service.platform.providers import update_provider
from service.platform.stored_settings import (
    CUSTOM_PROMPT,
    DEPLOYMENT_PROMPT,
    update_setting,
    update_user_setting,
)
from service.platform.thresholds import update_threshold
from service.platform.users import ensure_first_user
from tests.integration.faults import cut
from tests.integration.providers.processes import (
    OWNER,
    PATIENCE_S,
    POOL,
    Process,
    config,
    provider,
)

BLOCKED = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = %s AND wait_event_type = 'Lock'
  AND datname = current_database()
"""


@pytest_asyncio.fixture
async def process(database: Database, guard: Guard) -> AsyncIterator[Process]:
    async with Process(database, guard) as running:
        yield running


@pytest_asyncio.fixture
async def elsewhere(database: Database) -> AsyncIterator[Connection]:
    """Somebody who changes things in another process."""
    async with await connect(database, role="service", name="elsewhere") as opened:
        yield opened


@pytest.fixture
def catalog(process: Process) -> Catalog:
    return process.catalog


@asynccontextmanager
async def held_up(database: Database) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Nobody reads settings meanwhile; what it gives waits until somebody tries to."""
    async with await connect(database, role=None, name="locker") as connection:

        async def tried() -> None:
            async with asyncio.timeout(PATIENCE_S):
                waits = 0
                while not waits:
                    await connection.execute("SELECT pg_stat_clear_snapshot()")
                    found = await connection.execute(BLOCKED, [POOL])
                    ((waits,),) = await found.fetchall()

        async with connection.transaction():
            await connection.execute(
                "LOCK TABLE platform.settings, platform.compaction_thresholds "
                "IN ACCESS EXCLUSIVE MODE"
            )
            yield tried


async def test_what_was_read_is_kept(catalog: Catalog, elsewhere: Connection) -> None:
    await ensure_first_user(elsewhere)
    first = await catalog.snapshot()
    assert await catalog.snapshot() is first
    assert await catalog.user(OWNER) == UserSettings()
    assert await catalog.user(OWNER) == UserSettings()
    assert catalog.reads == 2


async def test_a_change_of_a_config_is_heard_of_without_polling(
    process: Process, catalog: Catalog, elsewhere: Connection
) -> None:
    assert (await catalog.snapshot()).default is None
    provider_id = await provider(elsewhere)
    config_id = await config(elsewhere, provider_id)
    await process.heard("provider_changed")
    await process.heard("model_config_changed", 2)
    default = (await catalog.snapshot()).default
    assert default is not None
    assert default.id == config_id
    await update_provider(elsewhere, provider_id, enabled=False)
    await process.heard("provider_changed", 2)
    assert (await catalog.snapshot()).default is None
    await delete_model_config(elsewhere, config_id)
    await process.heard("model_config_changed", 4)
    assert (await catalog.snapshot()).configs == {}


async def test_a_change_of_a_setting_is_heard_of(
    process: Process, catalog: Catalog, elsewhere: Connection
) -> None:
    assert (await catalog.snapshot()).deployment_prompt == (True, "")
    await update_setting(elsewhere, DEPLOYMENT_PROMPT, {"text": "Be brief."})
    await process.heard("setting_changed")
    assert (await catalog.snapshot()).deployment_prompt == (False, "Be brief.")


async def test_what_a_user_changes_is_heard_of_and_leaves_the_rest_alone(
    process: Process, catalog: Catalog, elsewhere: Connection
) -> None:
    await ensure_first_user(elsewhere)
    config_id = await config(elsewhere, await provider(elsewhere))
    await process.heard("model_config_changed")
    snapshot = await catalog.snapshot()
    assert await catalog.user(OWNER) == UserSettings()
    await update_user_setting(elsewhere, OWNER, CUSTOM_PROMPT, value={"text": "Hm."})
    await process.heard("user_setting_changed")
    assert await catalog.user(OWNER) == UserSettings("Hm.")
    await update_threshold(elsewhere, OWNER, config_id, percent=40)
    await process.heard("compaction_threshold_changed")
    assert await catalog.user(OWNER) == UserSettings("Hm.", {config_id: 40})
    assert await catalog.snapshot() is snapshot


async def test_a_read_that_began_before_a_change_is_not_kept(
    database: Database, process: Process, catalog: Catalog, elsewhere: Connection
) -> None:
    provider_id = await provider(elsewhere, display_name="before")
    await process.heard("provider_changed")
    async with held_up(database) as tried:
        early = asyncio.create_task(catalog.snapshot())
        await tried()
        # it has read the providers already, all at one moment
        await update_provider(elsewhere, provider_id, display_name="after")
        await process.heard("provider_changed", 2)
        late = asyncio.create_task(catalog.snapshot())
    old, new = await asyncio.gather(early, late)
    assert old.providers[provider_id].display_name == "before"
    assert new.providers[provider_id].display_name == "after"
    assert await catalog.snapshot() is new


async def test_who_gives_up_does_not_take_it_away_from_the_others(
    database: Database, catalog: Catalog
) -> None:
    async with held_up(database) as tried:
        first = asyncio.create_task(catalog.snapshot())
        await tried()
        second = asyncio.create_task(catalog.snapshot())
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    assert (await second).configs == {}
    assert catalog.reads == 1


async def test_a_database_that_is_away_is_told_and_nothing_old_is_used(
    database: Database, process: Process, catalog: Catalog, elsewhere: Connection
) -> None:
    await catalog.snapshot()
    await update_setting(elsewhere, DEPLOYMENT_PROMPT, {"text": "new"})
    await process.heard("setting_changed")
    async with held_up(database) as tried:
        asking = [asyncio.create_task(catalog.snapshot()) for _ in range(2)]
        await tried()
        await cut(database, "service")
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseAway] * 2
    assert (await catalog.snapshot()).deployment_prompt == (False, "new")


async def test_nothing_is_kept_before_the_tail_has_begun(process: Process) -> None:
    catalog = Catalog(process.pool)
    await catalog.snapshot()
    await catalog.snapshot()
    assert catalog.reads == 2


async def test_what_changed_while_the_tail_was_away_is_not_missed(
    database: Database, process: Process, catalog: Catalog, elsewhere: Connection
) -> None:
    before = await catalog.snapshot()
    await cut(database, "tail")
    # an idle tail learns of it when it reads next
    process.tail.ring_log(None)
    await process.silence(True)
    assert await catalog.snapshot() is not before
    await update_setting(elsewhere, DEPLOYMENT_PROMPT, {"text": "new"})
    await process.silence(False)
    await process.heard("setting_changed")
    after = await catalog.snapshot()
    assert after.deployment_prompt == (False, "new")
    assert await catalog.snapshot() is after


async def test_another_history_is_read_anew(catalog: Catalog) -> None:
    before = await catalog.snapshot()
    await catalog.user(OWNER)
    catalog.forget_all()
    assert await catalog.snapshot() is not before
    await catalog.user(OWNER)
    assert catalog.reads == 4


async def test_nobody_asks_while_holding_a_connection(
    process: Process, catalog: Catalog
) -> None:
    await catalog.snapshot()
    async with process.pool.connection():
        with pytest.raises(HeldConnection):
            await catalog.snapshot()


async def test_changes_of_one_transaction_are_seen_together(
    process: Process, catalog: Catalog, elsewhere: Connection
) -> None:
    async with elsewhere.transaction():
        provider_id = await provider(elsewhere)
        configs = [
            await config(elsewhere, provider_id, display_name=f"m{number}")
            for number in range(3)
        ]
        await update_model_config(elsewhere, configs[2], is_default=True)
        assert (await catalog.snapshot()).configs == {}
    await process.heard("model_config_changed", 6)
    snapshot = await catalog.snapshot()
    assert set(snapshot.configs) == set(configs)
    assert snapshot.default == snapshot.configs[configs[2]]
