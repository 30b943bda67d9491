"""Models by the configs that operators keep; without any, the environment's.

What a config says is looked up for each request, in memory (service.platform.catalog):
a change holds from the next request on, in every process. Whoever has a `Model` ends
with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from pydantic import JsonValue

from service.domain.cost import Prices
from service.domain.events.chat import ModelRef, Purpose
from service.errors import SetupError
from service.platform.catalog import Catalog, Snapshot, UserSettings
from service.platform.model_configs import ModelConfigRow
from service.platform.providers import ProviderRow
from service.platform.secrets import SecretBox, SecretUnreadable
from service.platform.snapshot import Override
from service.providers.choose import (
    SILENCE_S,
    Api,
    Vendor,
    VendorModel,
    default_api,
    open_provider,
)
from service.providers.clients import Clients, Place
from service.providers.models import DEFAULT_OUTPUT_TOKENS, EFFORTS, Model
from service.providers.options import read_options
from service.providers.provider import ProviderError
from service.providers.scripted import Scripted

logger = logging.getLogger(__name__)

NO_MODEL = "no model is set up that can be used; ask an operator to enable one"

PERCENT = range(101)

MOST_GONE = 10_000
"""Ids of configs that are known to be gone; a megabyte of them. More are looked for
again."""


class Catalogued:
    """`Models` of a deployment; an async context manager that closes its clients."""

    def __init__(
        self,
        catalog: Catalog,
        secrets: Callable[[], SecretBox],
        environment: VendorModel | None,
        *,
        scripted_rate: float,
        silence_s: float = SILENCE_S,
    ) -> None:
        """`secrets` is called when a key is needed; an `environment` of None: scripted.

        It may raise SetupError, which is a missing key to whoever asks.
        """
        self._catalog = catalog
        self._secrets = secrets
        self._clients = Clients(
            partial(open_provider, scripted_rate=scripted_rate, silence_s=silence_s)
        )
        self._environment = _environment(environment, self._clients, scripted_rate)
        self._seen: Snapshot | None = None
        self._options: dict[tuple[UUID, datetime], Mapping[str, JsonValue]] = {}
        self._warned: set[str] = set()
        self._gone: set[UUID] = set()

    @property
    def clients(self) -> int:
        """Clients of vendors that are open."""
        return len(self._clients)

    async def __aenter__(self) -> Catalogued:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._clients.close()

    async def resolve(
        self,
        *,
        owner_id: UUID,
        model_config_id: UUID | None,
        purpose: Purpose = "turn",
    ) -> Model:
        """See `Models.resolve`. Raises DatabaseAway too."""
        snapshot = await self._snapshot_with(model_config_id)
        self._see(snapshot)
        user = await self._catalog.user(owner_id)
        override = snapshot.overrides.get(purpose)
        if override is not None:
            model = self._overridden(snapshot, override, user, purpose)
            if model is not None:
                return model
        config = _config_of(snapshot, model_config_id)
        if config is not None:
            return self._model(snapshot, config, user)
        if snapshot.configs:
            raise ProviderError(kind="config", message=NO_MODEL)
        return self._environment

    async def _snapshot_with(self, config_id: UUID | None) -> Snapshot:
        """A config that we have not heard of may be new, and the chat faster than the
        news of it. One that a read has not found is gone: no id comes back."""
        snapshot = await self._catalog.snapshot()
        if config_id is None or config_id in snapshot.configs:
            return snapshot
        if config_id in self._gone:
            return snapshot
        snapshot = await self._catalog.newest()
        if config_id not in snapshot.configs:
            if len(self._gone) >= MOST_GONE:
                self._gone.clear()
            self._gone.add(config_id)
        return snapshot

    def _see(self, snapshot: Snapshot) -> None:
        """Let go of what belongs to an older snapshot."""
        if snapshot is self._seen:
            return
        self._seen, self._options, self._warned = snapshot, {}, set()
        providers = snapshot.providers.values()
        self._clients.keep({(row.id, row.updated_at) for row in providers})

    def _overridden(
        self,
        snapshot: Snapshot,
        override: Override,
        user: UserSettings,
        purpose: Purpose,
    ) -> Model | None:
        """The model of a purpose; None when it cannot be used: nothing fails of it."""
        config = snapshot.configs.get(override.model_config_id)
        reason = "there is no such config"
        if config is not None and config.provider_id in snapshot.providers:
            try:
                model = self._model(snapshot, config, user)
            except ProviderError as error:
                reason = str(error)
            else:
                return _thinking(model, override.reasoning_effort)
        if purpose not in self._warned:
            # once a snapshot: turns ask all the time
            self._warned.add(purpose)
            logger.warning(
                "the model of a purpose cannot be used",
                extra={"purpose": purpose, "reason": reason},
            )
        return None

    def _model(
        self, snapshot: Snapshot, config: ModelConfigRow, user: UserSettings
    ) -> Model:
        """Raises ProviderError when the config cannot be used."""
        row = snapshot.providers[config.provider_id]
        if not config.enabled:
            message = f"the model {config.display_name} is disabled; choose another"
            raise ProviderError(kind="config", message=message)
        if not row.enabled:
            message = f"the provider {row.display_name} is disabled"
            raise ProviderError(kind="provider_disabled", message=message)
        options = self._options_of(config)
        chosen = _vendor_model(row, config.model, self._key(row), options)
        provider = self._clients.provider(
            Place((row.id, row.updated_at), chosen.api), chosen
        )
        threshold = user.thresholds.get(config.id, config.compaction_threshold)
        if threshold not in PERCENT:
            threshold = config.compaction_threshold
        return Model(
            provider=provider,
            ref=ModelRef(
                provider=provider.name, model=config.model, model_config_id=config.id
            ),
            context_limit=config.context_limit,
            threshold_percent=threshold,
            max_output_tokens=config.max_output_tokens or DEFAULT_OUTPUT_TOKENS,
            temperature=config.temperature,
            default_effort=config.reasoning_effort,
            max_effort=config.max_reasoning_effort,
            options=options,
            prices=_prices(config),
        )

    def _options_of(self, config: ModelConfigRow) -> Mapping[str, JsonValue]:
        """Read once a version, with one warning."""
        version = (config.id, config.updated_at)
        if version not in self._options:
            options = read_options(config.options, model=config.display_name)
            self._options[version] = options
        return self._options[version]

    def _key(self, row: ProviderRow) -> str | None:
        """The provider's key; None for a server that needs none.

        Raises ProviderError (missing_key) when there is none, or none that can be read.
        """
        if row.api_key_encrypted is None:
            if row.base_url is not None:
                return None
            message = f"the provider {row.display_name} has no API key"
            raise ProviderError(kind="missing_key", message=message)
        try:
            return self._secrets().decrypt(row.api_key_encrypted)
        except (SecretUnreadable, SetupError) as error:
            if row.display_name not in self._warned:
                self._warned.add(row.display_name)
                logger.warning(
                    "a provider's key cannot be read",
                    extra={"provider": row.display_name, "reason": str(error)},
                )
            message = f"the API key of {row.display_name} cannot be read"
            raise ProviderError(kind="missing_key", message=message) from error


def _config_of(snapshot: Snapshot, config_id: UUID | None) -> ModelConfigRow | None:
    """The config, enabled or not; of one that is gone, or whose provider is: the
    default, if there is one."""
    config = snapshot.configs.get(config_id) if config_id is not None else None
    if config is None or config.provider_id not in snapshot.providers:
        return snapshot.default
    return config


def _environment(chosen: VendorModel | None, clients: Clients, rate: float) -> Model:
    if chosen is None:
        script = Scripted(rate=rate)
        ref = ModelRef(provider=script.name, model="default")
        return Model(script, ref, names_chats=False)
    provider = clients.provider(Place(None, chosen.api), chosen)
    return Model(provider, ModelRef(provider=provider.name, model=chosen.name))


def _vendor_model(
    row: ProviderRow,
    model: str,
    key: str | None,
    options: Mapping[str, JsonValue],
) -> VendorModel:
    vendor: Vendor = "anthropic" if row.kind == "anthropic" else "openai"
    api: Api = default_api(vendor, row.base_url)
    match options.get("api"):
        case "chat" | "responses" as wanted if vendor == "openai":
            api = wanted
    return VendorModel(vendor, model, row.base_url, key, api, str(row.id))


def _prices(config: ModelConfigRow) -> Prices:
    return Prices(
        input=config.price_input,
        output=config.price_output,
        cache_read=config.price_cache_read,
        cache_write=config.price_cache_write,
    )


def _thinking(model: Model, effort: str | None) -> Model:
    """The model, thinking no more than this, and so much unless asked for less."""
    if effort not in EFFORTS:
        return model
    most = model.effort(effort)
    return replace(model, default_effort=most, max_effort=most)
