"""What vendors answer, through their SDKs, as the errors of our protocol."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx2
import pytest
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelRequestTimeout,
    ModelTimeoutError,
    UnexpectedModelBehavior,
    UserError,
)

from service.providers.choose import Api, VendorModel
from service.providers.provider import ModelRequest, ProviderError
from service.providers.vendor.failures import provider_error
from service.providers.vendor.flavors import flavor_of
from service.providers.vendor.model import VendorProvider, quiet_libraries
from service.providers.vendor.wire import hear
from tests.builders import a_chat, state_of
from tests.unit.providers.data.refusal import Refusal
from tests.unit.providers.data.refusals import REFUSALS

KEY = "key-of-this-test"
TIMEOUT = httpx2.Timeout(5)


async def asked(refusal: Refusal) -> ProviderError:
    """What comes of asking a vendor that answers so. Nothing leaves the process."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        headers = {"content-type": refusal.content_type, **refusal.headers}
        return httpx2.Response(refusal.status, headers=headers, content=refusal.body)

    transport = httpx2.MockTransport(answer)
    hooks = {"response": [hear]}
    quiet_libraries()
    async with httpx2.AsyncClient(transport=transport, event_hooks=hooks) as http:
        provider = VendorProvider(
            flavor_of(chosen(refusal.api), http, TIMEOUT), secrets=frozenset({KEY})
        )
        request = ModelRequest(messages=list(state_of(*a_chat()).messages), tools=())
        with pytest.raises(ProviderError) as raised:
            async for _ in provider.stream(request):
                pass
    return raised.value


def chosen(api: Api) -> VendorModel:
    vendor = "anthropic" if api == "messages" else "openai"
    return VendorModel(vendor, "m1", api_key=KEY, api=api)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
async def test_each_answer_is_what_it_is(refusal: Refusal) -> None:
    error = await asked(refusal)
    status = refusal.status if refusal.code == -1 else refusal.code
    assert (error.kind, error.retryable, error.status_code) == (
        refusal.kind,
        refusal.retryable,
        status,
    )
    assert error.retry_after_s == pytest.approx(refusal.wait_s)
    assert error.context_limit == refusal.limit
    if refusal.silent:
        assert error.detail is None
    if refusal.detail is not None:
        assert error.detail is not None
        assert refusal.detail in error.detail
    assert_fit_for_a_chat(error)


async def test_no_key_is_told_whoever_repeats_it() -> None:
    refusal = replace(
        REFUSALS[0], body=b'{"error": {"message": "no such key: key-of-this-test"}}'
    )
    assert (await asked(refusal)).detail == "no such key: [key]"


async def test_a_history_that_is_refused_is_told_without_ids() -> None:
    [refusal] = [r for r in REFUSALS if r.name == "openai call without output"]
    error = await asked(refusal)
    assert "internal mismatch" in error.message
    assert "call_77" not in f"{error.message}{error.detail}"


def assert_fit_for_a_chat(error: ProviderError) -> None:
    detail = error.detail or ""
    assert len(detail) <= 500
    assert detail.isprintable()
    assert KEY not in f"{detail}{error.message}"
    assert "://" not in detail
    assert len(error.message) < 200


# what does not come as an answer


def made(error: Exception, *, subject: str = "OpenAI") -> ProviderError:
    return provider_error(error, subject=subject, secrets=())


@pytest.mark.parametrize(
    ("error", "kind", "retryable"),
    [
        (ModelConnectionError("m1", "Connection error."), "timeout", True),
        (ModelConnectionError("m1", "x", phase="connect"), "timeout", True),
        (ModelConnectionError("m1", "x", phase="read"), "timeout", True),
        (ModelTimeoutError("m1", "x", phase="connect"), "timeout", True),
        (ModelTimeoutError("m1", "x", phase="pool"), "timeout", True),
        (ModelTimeoutError("m1", "x", phase="read"), "stream_silence_timeout", True),
        (ModelRequestTimeout("m1", 5.0), "timeout", False),
        (ModelAPIError("m1", "no more than this"), "timeout", True),
        (UnexpectedModelBehavior("no answer"), "timeout", True),
        (UserError("no such setting"), "config", False),
        (RuntimeError("whatever"), "generic", False),
        (ModelHTTPError(401, "m1"), "auth", False),
        (ModelHTTPError(500, "m1"), "generic", True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_what_a_library_raises(error: Exception, kind: str, retryable: bool) -> None:
    told = made(error)
    assert (told.kind, told.retryable) == (kind, retryable)
    assert told.detail is None
    assert "OpenAI" in told.message or told.message.startswith("the chat request")


def test_a_stream_that_is_cut_off_says_so() -> None:
    cause = ConnectionError("peer closed without sending complete message body")
    error = ModelConnectionError("m1", "x", phase="read")
    error.__cause__ = cause
    assert "closed unexpectedly" in made(error).message


@pytest.mark.parametrize(
    ("said", "retryable"),
    [
        ("<StreamReset stream_id:1, error_code:8, remote_reset:True>", True),
        ("<StreamReset stream_id:1, error_code:8, remote_reset:False>", False),
        ("<StreamReset stream_id:1, error_code:1, remote_reset:True>", False),
        ("<ConnectionTerminated error_code:0, last_stream_id:3>", True),
    ],
)
def test_a_stream_that_is_reset(said: str, retryable: bool) -> None:
    error = ModelConnectionError("m1", "x", phase="read")
    error.__cause__ = ConnectionError(said)
    assert made(error).retryable is retryable


def test_a_cancellation_that_nobody_asked_for_is_tried_again() -> None:
    error = ModelAPIError("m1", "x")
    error.__cause__ = asyncio.CancelledError()
    assert (made(error).kind, made(error).retryable) == ("timeout", True)


def test_a_port_is_no_status() -> None:
    error = ModelConnectionError("m1", "x", phase="connect")
    error.__cause__ = OSError("connect call failed ('127.0.0.1', 401)")
    assert (made(error).kind, made(error).status_code) == ("timeout", None)


def test_addresses_of_a_transport_are_nobodys_business() -> None:
    error = ModelConnectionError("m1", "Connection error.", phase="connect")
    error.__cause__ = OSError("connect call failed ('10.0.0.7', 443)")
    assert made(error).detail is None


def test_an_error_that_is_classified_comes_back_as_it_is() -> None:
    known = ProviderError(kind="config", message="no such model")
    assert made(known) is known


def test_who_answered_is_guessed_only_where_nobody_knows() -> None:
    body = {"message": "claude is overloaded, says anthropic"}
    error = ModelHTTPError(529, "m1", body)
    assert made(error).message == "OpenAI is temporarily overloaded"
    assert made(error, subject="").message == "Anthropic is temporarily overloaded"
    other = ModelHTTPError(529, "m1", {"message": "busy"})
    told = made(other, subject="").message
    assert told == "The AI provider is temporarily overloaded"
    for unsaid in (UserError("x"), UnexpectedModelBehavior("x")):
        assert "The AI provider" in made(unsaid, subject="").message
