"""A vendor's model behind our protocol, and the one HTTP client of the process.

Only the model layer of pydantic-ai is used: it knows the wire formats. SDK retries are
off, for a retry is an event of the chat. Closing a stream closes its HTTP response.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx2
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic_ai.direct import model_request_stream
from pydantic_ai.models import Model, StreamedResponse
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from service.providers.choose import KEYS, Vendor, VendorModel
from service.providers.classify import Verdict, detail_of, message_for, truncated
from service.providers.prompt import prompt_of
from service.providers.provider import (
    Delta,
    Finish,
    ModelRequest,
    ProviderError,
    UsageReport,
)
from service.providers.vendor.deltas import FINISH_REASONS, Deltas, usage_of
from service.providers.vendor.failures import provider_error
from service.providers.vendor.history import messages_of, parameters_of

CONNECT_S = 10.0
"""To a vendor's front door; more is an outage."""

SILENCE_S = 600.0
"""Slow reasoning models are silent for minutes."""

WRITE_S = 60.0
"""A prompt has megabytes at most."""

CONNECTIONS = 1000
"""More than a worker has chats; an idle one costs nothing."""

OFFICIAL: Mapping[Vendor, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}

USER_AGENT = f"parley/{version('parley')}"

NO_KEY = "no-key"
"""The SDKs want one even where the server does not."""

NEVER = ("\0", "\0")
"""Tags that no text has: we look for reasoning in texts ourselves."""


@dataclass(frozen=True, slots=True)
class _Flavor:
    """What differs between vendors."""

    name: str
    subject: str
    identity: str
    """Who can read the metadata that this provider wrote."""
    default: str
    inline_reasoning: bool
    make: Callable[[str], Model]


class VendorProvider:
    """A `Provider`: one vendor at one address."""

    def __init__(self, flavor: _Flavor, *, secrets: frozenset[str]) -> None:
        self._flavor = flavor
        self._secrets = secrets

    @property
    def name(self) -> str:
        """Names the provider in errors."""
        return self._flavor.name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Ask the model; see `Provider.stream`."""
        flavor = self._flavor
        deltas = Deltas(flavor.identity, inline_reasoning=flavor.inline_reasoning)
        try:
            model = flavor.make(self._model_name(request))
            async with model_request_stream(
                model,
                messages_of(
                    prompt_of(request.messages, identity=flavor.identity),
                    system=model.system,
                ),
                model_settings=_settings(request),
                model_request_parameters=parameters_of(request.tools),
                instrument=False,
            ) as response:
                async for event in response:
                    for delta in deltas.take(event):
                        yield delta
                for delta in self._end(deltas, response):
                    yield delta
        except ProviderError:
            raise
        except Exception as error:
            raise provider_error(
                error, subject=flavor.subject, secrets=self._secrets
            ) from error

    def _model_name(self, request: ModelRequest) -> str:
        """The name without the vendor, which must be this one."""
        name = request.model or self._flavor.default
        vendor, colon, rest = name.partition(":")
        if not colon or vendor not in KEYS:
            return name
        if vendor != self._flavor.name.partition("-")[0]:
            message = f"this service has no key for {vendor} models"
            raise ProviderError(kind="config", message=message)
        return rest

    def _end(self, deltas: Deltas, response: StreamedResponse) -> list[Delta]:
        """What is said when all events are there: usage and how it ended."""
        ended = response.finish_reason
        details = response.provider_details or {}
        if ended is None and not details.get("finish_reason"):
            raise truncated(self._flavor.subject)
        reason = FINISH_REASONS.get(ended, "other") if ended else "other"
        if reason == "content_filter" and not deltas.visible:
            raise self._withheld(details.get("refusal"))
        last = list(deltas.finish())
        if (usage := usage_of(response.usage)) is not None:
            last.append(UsageReport(usage))
        return [*last, Finish(reason)]

    def _withheld(self, refusal: object) -> ProviderError:
        verdict = Verdict("content_filter", retryable=False)
        subject = self._flavor.subject
        message = message_for(verdict, subject=subject, status=None)
        detail = detail_of(refusal) if isinstance(refusal, str) else None
        return ProviderError("content_filter", message, detail=detail)


@asynccontextmanager
async def open_vendor(
    chosen: VendorModel, *, silence_s: float = SILENCE_S
) -> AsyncIterator[VendorProvider]:
    """The provider, on an HTTP client of its own that is closed on exit."""
    _quiet_libraries()
    timeout = httpx2.Timeout(
        connect=CONNECT_S, read=silence_s, write=WRITE_S, pool=CONNECT_S
    )
    limits = httpx2.Limits(
        max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS
    )
    async with httpx2.AsyncClient(timeout=timeout, limits=limits) as http:
        make = {"openai": _openai, "anthropic": _anthropic}[chosen.vendor]
        secrets = {chosen.api_key} if chosen.api_key else set()
        yield VendorProvider(make(chosen, http, timeout), secrets=frozenset(secrets))


def _openai(
    chosen: VendorModel, http: httpx2.AsyncClient, timeout: httpx2.Timeout
) -> _Flavor:
    client = AsyncOpenAI(
        api_key=chosen.api_key or NO_KEY,
        base_url=chosen.base_url or OFFICIAL["openai"],
        max_retries=0,
        timeout=timeout,
        http_client=http,
    )
    profile = OpenAIModelProfile(
        openai_chat_streaming_requires_finish_reason=True, thinking_tags=NEVER
    )
    official = chosen.base_url is None
    provider = (
        OpenAIProvider(openai_client=client)
        if official
        else OpenAICompatibleProvider("openai-compat", openai_client=client)
    )

    def make(name: str) -> Model:
        return OpenAIChatModel(name, provider=provider, profile=profile)

    return _Flavor(
        name="openai" if official else "openai-compat",
        subject="OpenAI" if official else "The OpenAI-compatible server",
        identity=_identity(chosen),
        default=chosen.name,
        inline_reasoning=not official,
        make=make,
    )


def _anthropic(
    chosen: VendorModel, http: httpx2.AsyncClient, timeout: httpx2.Timeout
) -> _Flavor:
    key = chosen.api_key or NO_KEY
    client = AsyncAnthropic(
        api_key=key,
        base_url=chosen.base_url or OFFICIAL["anthropic"],
        max_retries=0,
        timeout=timeout,
        http_client=http,
        # servers that copied the API know the key by its older header
        default_headers={"X-Api-Key": key} if chosen.base_url else None,
        open_telemetry=False,
    )
    provider = AnthropicProvider(anthropic_client=client)

    def make(name: str) -> Model:
        return AnthropicModel(name, provider=provider)

    return _Flavor(
        name="anthropic",
        subject="Anthropic" if chosen.base_url is None else "The Anthropic server",
        identity=_identity(chosen),
        default=chosen.name,
        inline_reasoning=False,
        make=make,
    )


def _identity(chosen: VendorModel) -> str:
    """Signatures of one server are no good at another."""
    if chosen.base_url is None:
        return chosen.vendor
    return f"{chosen.vendor}@{urlsplit(chosen.base_url).netloc}"


def _settings(request: ModelRequest) -> ModelSettings:
    settings = ModelSettings(extra_headers={"User-Agent": USER_AGENT})
    match request.reasoning_effort:
        case None:
            pass
        case "none":
            settings["thinking"] = False
        case "minimal" | "low" | "medium" | "high" | "xhigh" | "max" as effort:
            settings["thinking"] = effort
    return settings


def _quiet_libraries() -> None:
    """At their lower levels the SDKs log whole requests, whatever OPENAI_LOG says."""
    for name in ("openai", "anthropic", "httpx2", "httpcore2", "pydantic_ai"):
        logging.getLogger(name).setLevel(logging.WARNING)
