"""Which model a chat is answered by: configs in tables, and what becomes of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from service.db.guard import Guard
from service.db.pool import Connection, Database, connect
from service.domain.events.chat import ModelRef, Usage
from service.errors import SetupError
from service.platform.model_configs import (
    delete_model_config,
    insert_model_config,
    update_model_config,
)
from service.platform.providers import delete_provider, update_provider
from service.platform.secrets import SecretBox, new_key
from service.platform.stored_settings import MODEL_OVERRIDES, update_setting
from service.platform.thresholds import update_threshold
from service.platform.users import ensure_first_user
from service.providers.choose import VendorModel
from service.providers.lookup import NO_MODEL, Catalogued
from service.providers.models import DEFAULT_OUTPUT_TOKENS, Model
from service.providers.provider import ModelRequest, ProviderError, TextDelta
from tests.builders import created, state_of, user
from tests.fixtures import moves
from tests.fixtures.model_servers import ModelServer
from tests.fixtures.openai_server import OpenAIServer
from tests.fixtures.responses_server import ResponsesServer
from tests.integration.providers.processes import (
    OWNER,
    SECRETS,
    Process,
    config,
    provider,
)

TITLE, COMPACTION = MODEL_OVERRIDES["title"], MODEL_OVERRIDES["compaction"]


@pytest_asyncio.fixture
async def process(database: Database, guard: Guard) -> AsyncIterator[Process]:
    async with Process(database, guard) as running:
        yield running


@pytest_asyncio.fixture
async def elsewhere(database: Database) -> AsyncIterator[Connection]:
    """Somebody who changes things in another process."""
    async with await connect(database, role="service", name="elsewhere") as opened:
        await ensure_first_user(opened)
        yield opened


@pytest_asyncio.fixture
async def vendor() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as running:
        yield running


async def refused(process: Process, config_id: UUID | None = None) -> ProviderError:
    with pytest.raises(ProviderError) as error:
        await process.model(config_id)
    assert not error.value.retryable
    return error.value


async def text_of(model: Model) -> str:
    """What the model says to a first message."""
    request = ModelRequest(
        messages=list(state_of(created(), user("hello")).messages),
        tools=(),
        model=model.configured_name,
        options=model.options,
    )
    deltas = [delta async for delta in model.provider.stream(request)]
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


# without a config


async def test_without_anything_the_script_plays(process: Process) -> None:
    for config_id in (None, uuid4()):
        model = await process.model(config_id)
        assert model.ref == ModelRef(provider="scripted", model="default")
        assert not model.names_chats
        assert (model.context_limit, model.cost(Usage(input_tokens=1))) == (None, None)


async def test_without_a_config_the_environments_model_is_asked(
    database: Database, guard: Guard, elsewhere: Connection, vendor: OpenAIServer
) -> None:
    environment = VendorModel("openai", "env", vendor.url, vendor.key)
    async with Process(database, guard, environment=environment) as process:
        model = await process.model()
        assert model.ref == ModelRef(provider="openai-compat", model="env")
        assert model.names_chats
        vendor.answer(moves.Say(("Hi.",)), moves.Finish("stop"))
        assert await text_of(model) == "Hi."
        assert vendor.requests[-1].body["model"] == "env"
        config_id = await config(elsewhere, await provider(elsewhere))
        await process.heard("model_config_changed", 2)
        assert (await process.model()).ref.model_config_id == config_id


# which config


async def test_a_chats_own_config_else_the_default(
    process: Process, elsewhere: Connection
) -> None:
    provider_id = await provider(elsewhere)
    first = await config(elsewhere, provider_id, model="first")
    second = await config(elsewhere, provider_id, model="second")
    assert (await process.model()).ref.model_config_id == first
    model = await process.model(second)
    assert model.ref == ModelRef(
        provider="openai-compat", model="second", model_config_id=second
    )
    assert model.names_chats
    await delete_model_config(elsewhere, second)
    # the last is what the trigger adds for the first, which is the default
    await process.heard("model_config_changed", 4)
    assert (await process.model(second)).ref.model_config_id == first
    assert (await process.model(uuid4())).ref.model_config_id == first


async def test_a_config_is_found_before_the_news_of_it(
    database: Database, elsewhere: Connection, guard: Guard
) -> None:
    """A chat may name it before the tail has brought the event that made it."""
    async with Process(database, guard, deaf=True) as process:
        first = await config(elsewhere, await provider(elsewhere))
        assert (await process.model()).ref.model_config_id == first
        provider_id = await provider(elsewhere, display_name="Other")
        second = await config(elsewhere, provider_id)
        assert not (await process.catalog.snapshot()).usable(second)
        assert (await process.model(second)).ref.model_config_id == second


async def test_a_config_that_is_gone_is_looked_for_once(
    process: Process, elsewhere: Connection
) -> None:
    await config(elsewhere, await provider(elsewhere))
    await process.heard("model_config_changed", 2)
    await process.model()
    one, two = uuid4(), uuid4()
    reads = process.catalog.reads
    for config_id in (one, two, one, two, one):
        await process.model(config_id)
    assert process.catalog.reads == reads + 2


async def test_a_config_whose_provider_is_gone_is_gone(
    process: Process, elsewhere: Connection
) -> None:
    gone = await provider(elsewhere, display_name="Gone")
    lost = await config(elsewhere, gone)
    stays = await config(elsewhere, await provider(elsewhere))
    await delete_provider(elsewhere, gone)
    assert (await process.model(lost)).ref.model_config_id == stays


async def test_a_disabled_config_is_told(
    process: Process, elsewhere: Connection
) -> None:
    provider_id = await provider(elsewhere)
    off = await config(elsewhere, provider_id, display_name="Off", enabled=False)
    await config(elsewhere, provider_id)
    error = await refused(process, off)
    assert error.kind == "config"
    assert error.message == "the model Off is disabled; choose another"


async def test_a_disabled_provider_is_told(
    process: Process, elsewhere: Connection
) -> None:
    off = await config(elsewhere, await provider(elsewhere, enabled=False))
    other = await provider(elsewhere, display_name="Other")
    stays = await config(elsewhere, other)
    error = await refused(process, off)
    assert error.kind == "provider_disabled"
    assert "Ours" in error.message
    assert (await process.model()).ref.model_config_id == stays


async def test_configs_of_which_none_can_be_used_are_no_reason_to_ask_another(
    process: Process, elsewhere: Connection
) -> None:
    """An operator who switches all off does not mean the environment's model."""
    await config(elsewhere, await provider(elsewhere), enabled=False)
    for config_id in (None, uuid4()):
        error = await refused(process, config_id)
        assert (error.kind, error.message) == ("config", NO_MODEL)


# keys


async def test_a_vendor_without_a_key_is_told(
    process: Process, elsewhere: Connection
) -> None:
    vendors = await provider(elsewhere, kind="openai", base_url=None)
    error = await refused(process, await config(elsewhere, vendors))
    assert error.kind == "missing_key"
    assert error.message == "the provider Ours has no API key"


@pytest.mark.parametrize("away", ["key", "box"])
async def test_a_key_that_cannot_be_read_is_told_once(
    away: str,
    database: Database,
    guard: Guard,
    elsewhere: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sealed = SECRETS.encrypt("sk-secret")
    config_id = await config(
        elsewhere, await provider(elsewhere, api_key_encrypted=sealed)
    )

    def no_box() -> SecretBox:
        raise SetupError("others may read secret.key")

    async with Process(database, guard) as process:
        other = SecretBox([new_key()])
        models = Catalogued(
            process.catalog,
            (lambda: other) if away == "key" else no_box,
            None,
            scripted_rate=1.0,
        )
        with caplog.at_level(logging.WARNING, "service.providers.lookup"):
            for _ in range(2):
                with pytest.raises(ProviderError) as error:
                    await models.resolve(owner_id=OWNER, model_config_id=config_id)
    assert error.value.kind == "missing_key"
    assert [record.message for record in caplog.records] == [
        "a provider's key cannot be read"
    ]
    assert "sk-secret" not in caplog.text + str(error.value)


async def test_the_stored_key_is_what_the_vendor_gets(
    process: Process, elsewhere: Connection, vendor: OpenAIServer
) -> None:
    provider_id = await provider(
        elsewhere,
        base_url=vendor.url,
        api_key_encrypted=SECRETS.encrypt("sk-wrong"),
    )
    config_id = await config(elsewhere, provider_id)
    with pytest.raises(ProviderError) as error:
        await text_of(await process.model(config_id))
    assert error.value.kind == "auth"
    sealed = SECRETS.encrypt(vendor.key)
    await update_provider(elsewhere, provider_id, api_key_encrypted=sealed)
    await process.heard("provider_changed", 2)
    vendor.answer(moves.Say(("Hi.",)), moves.Finish("stop"))
    assert await text_of(await process.model(config_id)) == "Hi."


# what a config says


async def test_a_config_says_limits_prices_and_effort(
    process: Process, elsewhere: Connection
) -> None:
    provider_id = await provider(elsewhere)
    full = await config(
        elsewhere,
        provider_id,
        context_limit=200_000,
        compaction_threshold=60,
        max_output_tokens=500,
        temperature=0.3,
        reasoning_effort="medium",
        max_reasoning_effort="high",
        options={"top_p": 0.5},
        price_input=Decimal("2.5"),
        price_output=Decimal(10),
        price_cache_read=Decimal("0.25"),
    )
    model = await process.model(full)
    assert (model.context_limit, model.threshold_percent) == (200_000, 60)
    assert (model.max_output_tokens, model.temperature) == (500, 0.3)
    assert [model.effort(wanted) for wanted in (None, "low", "max", "?")] == [
        "medium",
        "low",
        "high",
        "medium",
    ]
    assert model.options == {"top_p": 0.5}
    usage = Usage(input_tokens=3, output_tokens=1, cache_read_tokens=1)
    assert model.cost(usage) == 18  # 7.5 + 10 + 0.25, rounded up
    plain = await process.model(await config(elsewhere, provider_id, model="plain"))
    assert (plain.max_output_tokens, plain.temperature) == (DEFAULT_OUTPUT_TOKENS, None)
    assert (plain.effort(None), plain.effort("low")) == (None, "low")
    assert (plain.cost(usage), plain.threshold_percent) == (None, 70)


async def test_stored_options_that_do_not_fit_are_left_out_with_one_warning(
    process: Process, elsewhere: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"top_p": 7, "newer": True, "store": False}
    config_id = await config(elsewhere, await provider(elsewhere), options=options)
    await process.heard("model_config_changed", 2)
    with caplog.at_level(logging.WARNING, "service.providers.options"):
        for _ in range(3):
            assert (await process.model(config_id)).options == {"store": False}
    assert len(caplog.records) == 1


async def test_a_users_threshold_comes_before_the_configs(
    database: Database, process: Process, elsewhere: Connection
) -> None:
    config_id = await config(elsewhere, await provider(elsewhere))
    await update_threshold(elsewhere, OWNER, config_id, percent=0)
    assert (await process.model(config_id)).threshold_percent == 0
    somebody = await process.models.resolve(owner_id=uuid4(), model_config_id=config_id)
    assert somebody.threshold_percent == 70


async def test_a_threshold_out_of_range_is_ignored(
    database: Database, process: Process, elsewhere: Connection
) -> None:
    config_id = await config(elsewhere, await provider(elsewhere))
    async with await connect(database, role=None, name="admin") as admin:
        # what no release of ours would write
        await admin.execute(
            "ALTER TABLE platform.compaction_thresholds "
            "DROP CONSTRAINT compaction_thresholds__threshold_percent__check"
        )
    await update_threshold(elsewhere, OWNER, config_id, percent=101)
    assert (await process.model(config_id)).threshold_percent == 70


# overrides


async def test_titles_and_summaries_may_have_a_model_of_their_own(
    process: Process, elsewhere: Connection
) -> None:
    provider_id = await provider(elsewhere)
    chats = await config(elsewhere, provider_id, model="chats")
    small = await config(
        elsewhere, provider_id, model="small", max_reasoning_effort="medium"
    )
    await update_setting(elsewhere, TITLE, {"model_config_id": str(small)})
    await update_setting(
        elsewhere,
        COMPACTION,
        {"model_config_id": str(small), "reasoning_effort": "high"},
    )
    title = await process.model(chats, purpose="title")
    compaction = await process.model(chats, purpose="compaction")
    assert title.ref.model_config_id == compaction.ref.model_config_id == small
    assert (title.effort(None), title.effort("max")) == (None, "medium")
    # what the override wants, within what the config allows
    assert [compaction.effort(wanted) for wanted in (None, "low", "max")] == [
        "medium",
        "low",
        "medium",
    ]
    assert (await process.model(chats)).ref.model_config_id == chats


@pytest.mark.parametrize("why", ["unknown", "config off", "provider off", "no key"])
async def test_an_override_that_cannot_be_used_is_passed_over_with_one_warning(
    why: str,
    process: Process,
    elsewhere: Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    chats = await config(elsewhere, await provider(elsewhere), model="chats")
    how = {"kind": "openai", "base_url": None} if why == "no key" else {}
    other = await provider(
        elsewhere, display_name="Other", enabled=why != "provider off", **how
    )
    small = await config(elsewhere, other, enabled=why != "config off")
    wanted = uuid4() if why == "unknown" else small
    await update_setting(elsewhere, TITLE, {"model_config_id": str(wanted)})
    await process.heard("setting_changed")
    with caplog.at_level(logging.WARNING, "service.providers.lookup"):
        for _ in range(2):
            model = await process.model(chats, purpose="title")
            assert model.ref.model_config_id == chats
    (record,) = caplog.records
    assert record.__dict__["purpose"] == "title"


# clients


@pytest.mark.parametrize(
    ("api", "make"), [("chat", OpenAIServer), ("responses", ResponsesServer)]
)
async def test_a_config_says_which_api_its_server_speaks(
    api: str,
    make: type[ModelServer],
    process: Process,
    elsewhere: Connection,
) -> None:
    async with make() as server:
        provider_id = await provider(
            elsewhere,
            base_url=server.url,
            api_key_encrypted=SECRETS.encrypt(server.key),
        )
        config_id = await config(elsewhere, provider_id, options={"api": api})
        server.answer(moves.Say(("Hi.",)), moves.Finish("stop"))
        assert await text_of(await process.model(config_id)) == "Hi."
        assert server.requests[-1].body["model"] == "small"


async def test_configs_of_a_provider_share_a_client(
    process: Process, elsewhere: Connection, vendor: OpenAIServer
) -> None:
    provider_id = await provider(
        elsewhere, base_url=vendor.url, api_key_encrypted=SECRETS.encrypt(vendor.key)
    )
    asked = []
    for name in ("one", "two"):
        config_id = await config(elsewhere, provider_id, model=name)
        vendor.answer(moves.Say(("Hi.",)), moves.Finish("stop"))
        await text_of(await process.model(config_id))
        asked.append(vendor.requests[-1].body["model"])
    assert asked == ["one", "two"]
    assert process.models.clients == 1


async def test_a_call_goes_on_with_the_client_that_was_replaced(
    process: Process, elsewhere: Connection, vendor: OpenAIServer
) -> None:
    provider_id = await provider(
        elsewhere, base_url=vendor.url, api_key_encrypted=SECRETS.encrypt(vendor.key)
    )
    config_id = await config(elsewhere, provider_id)
    held = moves.Wait()
    vendor.answer(moves.Say(("One",)), held, moves.Say((" two",)), moves.Finish("stop"))
    calling = asyncio.create_task(text_of(await process.model(config_id)))
    await vendor.arrived.wait()
    await update_provider(elsewhere, provider_id, display_name="Renamed")
    await process.heard("provider_changed", 2)
    vendor.answer(moves.Say(("Three",)), moves.Finish("stop"))
    assert await text_of(await process.model(config_id)) == "Three"
    assert process.models.clients == 2
    held.until.set()
    assert await calling == "One two"
    assert process.models.clients == 1


# two processes


async def test_what_one_process_changes_the_others_next_request_sees(
    database: Database, guard: Guard
) -> None:
    async with AsyncExitStack() as stack:
        here = await stack.enter_async_context(Process(database, guard))
        there = await stack.enter_async_context(Process(database, guard))
        assert not (await there.model()).names_chats
        async with here.pool.transaction() as connection:
            config_id = await insert_model_config(
                connection,
                provider_id=await provider(connection),
                model="small",
                context_limit=1000,
            )
        await there.heard("model_config_changed", 2)
        assert (await there.model()).context_limit == 1000
        reads = there.catalog.reads
        for limit in (2000, 3000):
            async with here.pool.transaction() as connection:
                await update_model_config(connection, config_id, context_limit=limit)
            await there.heard("model_config_changed", limit // 1000 + 1)
            assert (await there.model()).context_limit == limit
        # the users' part was not read again
        assert there.catalog.reads == reads + 2
