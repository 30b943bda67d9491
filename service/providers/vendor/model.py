"""A vendor's model behind our protocol, and the one HTTP client of the process.

Only the model layer of pydantic-ai is used: it knows the wire formats. SDK retries are
off, for a retry is an event of the chat. Closing a stream closes its HTTP response.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import FinishReason as VendorFinishReason
from pydantic_ai.models import StreamedResponse

from service.providers.choose import KEYS, VendorModel
from service.providers.classify import Verdict, detail_of, message_for, truncated
from service.providers.prompt import prompt_of
from service.providers.provider import (
    Delta,
    Finish,
    FinishReason,
    ModelRequest,
    Opened,
    ProviderError,
    UsageReport,
)
from service.providers.vendor.adapt import adapted
from service.providers.vendor.ahead import Ahead, Cut
from service.providers.vendor.deltas import Deltas
from service.providers.vendor.failures import provider_error
from service.providers.vendor.flavors import Flavor, flavor_of
from service.providers.vendor.history import messages_of, parameters_of
from service.providers.vendor.settings import native_tools, options_of, settings_of
from service.providers.vendor.usage import usage_of
from service.providers.vendor.wire import Listener, hear, listening

CONNECT_S = 10.0
"""To a vendor's front door; more is an outage."""

SILENCE_S = 600.0
"""Slow reasoning models are silent for minutes."""

WRITE_S = 60.0
"""A prompt has megabytes at most."""

CONNECTIONS = 1000
"""More than a worker has chats; an idle one costs nothing."""

FINISH_REASONS: dict[VendorFinishReason, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_call": "tool_calls",
}


class VendorProvider:
    """A `Provider`: one vendor at one address."""

    def __init__(self, flavor: Flavor, *, secrets: frozenset[str]) -> None:
        self._flavor = flavor
        self._secrets = secrets

    @property
    def name(self) -> str:
        """Names the provider in errors."""
        return self._flavor.name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        """Ask the model; see `Provider.stream`."""
        ahead: Ahead[Delta] = Ahead()
        listener = Listener(self._flavor.api, lambda: ahead.tell(Opened()))
        try:
            async with ahead.reading(self._asked(request, listener)) as deltas:
                async for delta in deltas:
                    yield delta
        except Cut as cut:
            raise truncated(self._flavor.subject) from cut

    async def _asked(
        self, request: ModelRequest, listener: Listener
    ) -> AsyncGenerator[Delta, None]:
        flavor = self._flavor
        try:
            with listening(listener):
                async for delta in self._answer(request, listener):
                    yield delta
        except ProviderError:
            raise
        except Exception as error:
            raise provider_error(
                error, subject=flavor.subject, secrets=self._secrets
            ) from error

    async def _answer(
        self, request: ModelRequest, listener: Listener
    ) -> AsyncGenerator[Delta, None]:
        flavor = self._flavor
        items, blocks = flavor.api == "responses", flavor.api == "messages"
        deltas = Deltas(
            flavor.identity, inline_reasoning=flavor.inline_reasoning, items=items
        )
        model = flavor.make(self._model_name(request))
        options = options_of(request)
        prompt = prompt_of(
            request.messages,
            system=request.system,
            identity=flavor.identity,
            files=request.files,
            accepts=flavor.accepts,
        )
        if blocks:
            request = adapted(request, prompt, options, profile=model.profile)
        async with model_request_stream(
            model,
            messages_of(prompt, system=model.system, items=items, blocks=blocks),
            model_settings=settings_of(
                request,
                options,
                api=flavor.api,
                profile=model.profile,
                official=flavor.official,
            ),
            model_request_parameters=parameters_of(
                request.tools,
                native=native_tools(request, options, api=flavor.api),
                system=prompt.system if blocks else (),
            ),
            instrument=False,
        ) as response:
            async for event in response:
                for delta in deltas.take(event):
                    yield delta
            for delta in self._end(deltas, response, listener):
                yield delta

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

    def _end(
        self, deltas: Deltas, response: StreamedResponse, listener: Listener
    ) -> list[Delta]:
        """What is said when all events are there: usage and how it ended."""
        ended = response.finish_reason
        details = response.provider_details or {}
        said = ended is not None or details.get("finish_reason")
        if not (listener.ended or (listener.deaf and said)):
            raise truncated(self._flavor.subject)
        if ended == "error":
            raise self._failed()
        reason = FINISH_REASONS.get(ended, "other") if ended else "other"
        if reason == "content_filter" and not deltas.visible:
            raise self._withheld(details.get("refusal"))
        last = list(deltas.finish())
        if reason == "stop" and deltas.called:
            reason = "tool_calls"
        usage = usage_of(response.usage, said=listener.final())
        if usage is not None:
            last.append(UsageReport(usage))
        return [*last, Finish(reason, listener.response())]

    def _withheld(self, refusal: object) -> ProviderError:
        verdict = Verdict("content_filter", retryable=False)
        subject = self._flavor.subject
        message = message_for(verdict, subject=subject, status=None)
        detail = detail_of(refusal) if isinstance(refusal, str) else None
        return ProviderError("content_filter", message, detail=detail)

    def _failed(self) -> ProviderError:
        """The vendor gave up in the middle, and says nothing of it."""
        verdict = Verdict("generic", retryable=True)
        message = message_for(verdict, subject=self._flavor.subject, status=None)
        return ProviderError("generic", message, retryable=True)


@asynccontextmanager
async def open_vendor(
    chosen: VendorModel, *, silence_s: float = SILENCE_S
) -> AsyncIterator[VendorProvider]:
    """The provider, on an HTTP client of its own that is closed on exit."""
    quiet_libraries()
    timeout = httpx2.Timeout(
        connect=CONNECT_S, read=silence_s, write=WRITE_S, pool=CONNECT_S
    )
    limits = httpx2.Limits(
        max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS
    )
    async with httpx2.AsyncClient(
        timeout=timeout, limits=limits, event_hooks={"response": [hear]}
    ) as http:
        secrets = {chosen.api_key} if chosen.api_key else set()
        flavor = flavor_of(chosen, http, timeout)
        yield VendorProvider(flavor, secrets=frozenset(secrets))


def quiet_libraries() -> None:
    """At their lower levels the SDKs log whole requests, whatever OPENAI_LOG says."""
    for name in ("openai", "anthropic", "httpx2", "httpcore2", "pydantic_ai"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # what a model does not know, or how long it lives, is no news for our stderr
    warnings.filterwarnings("ignore", module="pydantic_ai")
    warnings.filterwarnings("ignore", "The model ", DeprecationWarning)
