"""Which model a process asks, from what its operator has set.

The vendors' libraries take seconds to load and tens of megabytes: they are imported
when a vendor was chosen, never before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Literal

from pydantic import SecretStr

from service.errors import SetupError
from service.providers.provider import Provider
from service.providers.scripted import Scripted

Vendor = Literal["openai", "anthropic"]

Api = Literal["chat", "responses", "messages"]
"""What is spoken: OpenAI has two, chat completions and responses; Anthropic has one."""

SILENCE_S = 600.0
"""Slow reasoning models are silent for minutes."""

KEYS: Mapping[Vendor, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
}


@dataclass(frozen=True, slots=True)
class VendorModel:
    """A vendor's model, and how to reach it."""

    vendor: Vendor
    name: str
    base_url: str | None = None
    """Absent: the vendor's own."""
    api_key: str | None = field(default=None, repr=False)
    api: Api = "chat"
    account: str | None = None
    """Tells accounts with one vendor apart: none can read what another has signed."""


def default_api(vendor: Vendor, base_url: str | None) -> Api:
    """What a server speaks that nobody says more of.

    Those that copied OpenAI's API all have chat completions, few have responses.
    """
    if vendor == "anthropic":
        return "messages"
    return "responses" if base_url is None else "chat"


def name_of(chosen: VendorModel) -> str:
    """What a vendor's provider is called in errors, in the log and in metrics."""
    if chosen.vendor == "openai" and chosen.base_url is not None:
        return "openai-compat"
    return chosen.vendor


def choose(
    model: str, *, base_url: str | None, keys: Mapping[Vendor, SecretStr | None]
) -> VendorModel | None:
    """The model of this name, `vendor:name`; None is the scripted one.

    Raises SetupError when its key is missing.
    """
    if model == "scripted":
        return None
    for vendor, variable in KEYS.items():
        if not model.startswith(f"{vendor}:"):
            continue
        key = keys.get(vendor)
        if key is None and base_url is None:
            raise SetupError(
                f"{variable}: PARLEY_MODEL={model} needs a key; set {variable}, or "
                "PARLEY_MODEL_BASE_URL to a server that needs none"
            )
        return VendorModel(
            vendor,
            model.removeprefix(f"{vendor}:"),
            base_url,
            key.get_secret_value() if key is not None else None,
            default_api(vendor, base_url),
        )
    raise SetupError(
        f"PARLEY_MODEL: expected scripted, openai:NAME or anthropic:NAME, not {model!r}"
    )


@asynccontextmanager
async def open_provider(
    chosen: VendorModel | None, *, scripted_rate: float, silence_s: float = SILENCE_S
) -> AsyncIterator[Provider]:
    """The provider, with its connections; closed on exit.

    A connection that is silent for `silence_s` is broken.
    """
    if chosen is None:
        yield Scripted(rate=scripted_rate)
        return
    # in a thread: a loop that stands still for seconds looks dead to others
    await asyncio.to_thread(_load)
    from service.providers.vendor.model import open_vendor

    async with open_vendor(chosen, silence_s=silence_s) as provider:
        yield provider


def _load() -> ModuleType:
    from service.providers.vendor import model

    return model
