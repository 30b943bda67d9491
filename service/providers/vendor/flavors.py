"""What differs between vendors, and between the APIs of one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai.models import Model
from pydantic_ai.profiles.anthropic import AnthropicModelProfile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

from service.providers import files
from service.providers.choose import Api, Vendor, VendorModel
from service.providers.vendor.named import ChatModel, MessagesModel, ResponsesModel

OFFICIAL: Mapping[Vendor, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}

NO_KEY = "no-key"
"""The SDKs want one even where the server does not."""

NEVER = ("\0", "\0")
"""Tags that no text has: we look for reasoning in texts ourselves."""

_PLAIN = re.compile(r"(gpt-3|gpt-4|chatgpt-|gpt-5-chat)")
"""OpenAI's models that do not think: they refuse to be asked for encrypted thoughts."""

_COUNTS_THOUGHTS = re.compile(r"(gpt-[5-9]|o\d)")
"""OpenAI's models that refuse `max_tokens`, the name that servers of others know."""


@dataclass(frozen=True, slots=True)
class Flavor:
    """A vendor at an address, by one of its APIs."""

    name: str
    subject: str
    """As people call it."""
    identity: str
    """Who can read the metadata that this provider wrote."""
    api: Api
    official: bool
    """At the vendor's own address."""
    default: str
    accepts: files.Accepts
    inline_reasoning: bool
    make: Callable[[str], Model]


def flavor_of(
    chosen: VendorModel, http: httpx2.AsyncClient, timeout: httpx2.Timeout
) -> Flavor:
    """The flavor, on this HTTP client."""
    make = {"openai": _openai, "anthropic": _anthropic}[chosen.vendor]
    return make(chosen, http, timeout)


def _openai(
    chosen: VendorModel, http: httpx2.AsyncClient, timeout: httpx2.Timeout
) -> Flavor:
    client = AsyncOpenAI(
        api_key=chosen.api_key or NO_KEY,
        base_url=chosen.base_url or OFFICIAL["openai"],
        max_retries=0,
        timeout=timeout,
        http_client=http,
    )
    official = chosen.base_url is None
    if chosen.account is not None:
        client.organization = client.project = None
        _forget_environment(client, {})
    provider = (
        OpenAIProvider(openai_client=client)
        if official
        else OpenAICompatibleProvider("openai-compat", openai_client=client)
    )
    responses = chosen.api == "responses"

    def make(name: str) -> Model:
        profile = _openai_profile(name, official=official)
        if responses:
            return ResponsesModel(name, provider=provider, profile=profile)
        return ChatModel(name, provider=provider, profile=profile)

    chat = files.CHAT if official else files.COMPATIBLE
    return Flavor(
        name="openai" if official else "openai-compat",
        subject="OpenAI" if official else "The OpenAI-compatible server",
        identity=_identity(chosen),
        api="responses" if responses else "chat",
        official=official,
        default=chosen.name,
        accepts=files.RESPONSES if responses else chat,
        inline_reasoning=not official and not responses,
        make=make,
    )


def _openai_profile(name: str, *, official: bool) -> OpenAIModelProfile:
    profile = OpenAIModelProfile(
        openai_chat_streaming_requires_finish_reason=True,
        openai_supports_encrypted_reasoning_content=not _PLAIN.match(name),
        thinking_tags=NEVER,
    )
    if not official:
        takes = _COUNTS_THOUGHTS.match(name) is not None
        profile["openai_chat_supports_max_completion_tokens"] = takes
    return profile


def _anthropic(
    chosen: VendorModel, http: httpx2.AsyncClient, timeout: httpx2.Timeout
) -> Flavor:
    key = chosen.api_key or NO_KEY
    # servers that copied the API know the key by its older header
    headers = {"X-Api-Key": key} if chosen.base_url else {}
    client = AsyncAnthropic(
        api_key=key,
        base_url=chosen.base_url or OFFICIAL["anthropic"],
        max_retries=0,
        timeout=timeout,
        http_client=http,
        default_headers=headers,
        open_telemetry=False,
    )
    if chosen.account is not None:
        _forget_environment(client, headers)
    provider = AnthropicProvider(anthropic_client=client)
    # searches that run code leave blocks that only their container understands
    profile = AnthropicModelProfile(anthropic_supports_dynamic_filtering=False)

    def make(name: str) -> Model:
        return MessagesModel(name, provider=provider, profile=profile)

    return Flavor(
        name="anthropic",
        subject="Anthropic" if chosen.base_url is None else "The Anthropic server",
        identity=_identity(chosen),
        api="messages",
        official=chosen.base_url is None,
        default=chosen.name,
        accepts=files.ANTHROPIC,
        inline_reasoning=False,
        make=make,
    )


def _forget_environment(
    client: AsyncOpenAI | AsyncAnthropic, headers: Mapping[str, str]
) -> None:
    """The SDKs add headers of the environment (`OPENAI_CUSTOM_HEADERS`), which may hold
    secrets, to all clients; those of one account are nothing to another's server."""
    client._custom_headers = headers


def _identity(chosen: VendorModel) -> str:
    """What one account at one server signed is no good elsewhere or in another API."""
    kind: str = chosen.vendor
    if chosen.vendor == "openai" and chosen.api == "responses":
        kind = "openai-responses"
    server = f"@{urlsplit(chosen.base_url).netloc}" if chosen.base_url else ""
    account = f"#{chosen.account}" if chosen.account else ""
    return f"{kind}{server}{account}"
