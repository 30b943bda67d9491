"""Everything that can go wrong with a model, as errors of our protocol; asked once."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from service.providers.provider import (
    ModelRequest,
    Opened,
    ProviderError,
    TextDelta,
)
from service.providers.vendor.model import open_vendor
from tests.builders import created, state_of, user
from tests.fixtures import moves
from tests.fixtures.lines import Line, line
from tests.fixtures.wires import SERVERS, Wire, vendor_model

SECRET = "the user's secret"


async def failure(opened: Line, text: str = "hello", **how: Any) -> ProviderError:
    with pytest.raises(ProviderError) as failed:
        await opened.ask(user(text), **how)
    return failed.value


REFUSALS = [
    (401, "authentication_error", "auth", False),
    (403, "permission_error", "auth", False),
    (402, "billing_error", "usage_limit", False),
    (429, "rate_limit_error", "rate_limit", True),
    (500, "api_error", "generic", True),
    (503, "service_unavailable", "timeout", True),
    (504, "timeout_error", "timeout", True),
    (529, "overloaded_error", "overloaded", True),
    (400, "invalid_request_error", "config", False),
    (404, "not_found_error", "config", False),
    (413, "request_too_large", "config", False),
    (418, "teapot", "generic", False),
]


@pytest.mark.parametrize(("status", "type_", "kind", "retryable"), REFUSALS)
async def test_refusals(
    either: Line, status: int, type_: str, kind: str, retryable: bool
) -> None:
    either.server.refuse(status, type_, "that is why")
    error = await failure(either)
    assert (error.kind, error.retryable) == (kind, retryable)
    assert error.status_code == status
    assert error.detail == "that is why"
    assert "that is why" not in str(error)
    assert len(either.server.requests) == 1, "SDKs must not retry: that is an event"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({}, None),
    ],
)
async def test_how_long_to_wait(
    either: Line, headers: dict[str, str], seconds: float | None
) -> None:
    either.server.refuse(429, "rate_limit_error", "slow down", headers=headers)
    error = await failure(either)
    assert (error.kind, error.retry_after_s) == ("rate_limit", seconds)


async def test_no_quota_is_no_rate_limit(openai: Line) -> None:
    openai.server.refuse(
        429, "insufficient_quota", "You exceeded it", code="insufficient_quota"
    )
    error = await failure(openai)
    assert (error.kind, error.retryable) == ("usage_limit", False)


async def test_too_long_a_prompt(openai: Line, anthropic: Line) -> None:
    openai.server.refuse(
        400,
        "invalid_request_error",
        "This model's maximum context length is 8192 tokens.",
        code="context_length_exceeded",
    )
    anthropic.server.refuse(
        400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000"
    )
    for opened in (openai, anthropic):
        error = await failure(opened)
        assert (error.kind, error.retryable) == ("config", False)
        assert "long" in (error.detail or "") or "length" in (error.detail or "")


@pytest.mark.parametrize("wire", SERVERS)
async def test_a_wrong_key_is_not_repeated(wire: Wire) -> None:
    async with line(wire, key="sk-wrong-0123456789") as opened:
        error = await failure(opened)
    assert (error.kind, error.status_code) == ("auth", 401)
    assert "wrong" not in f"{error} {error.detail} {error!r}"
    assert "check the key" in error.message


async def test_an_error_within_the_stream(either: Line) -> None:
    either.server.answer(
        moves.Say(("x",)), moves.Fail("overloaded_error", "Overloaded"), moves.Cut()
    )
    error = await failure(either)
    assert (error.kind, error.retryable) == ("overloaded", True)


@pytest.mark.parametrize("said", [(), ("some", "thing")])
@pytest.mark.parametrize("ends", [moves.Drop(), moves.Cut()])
async def test_a_stream_that_ends_too_early(
    either: Line, said: tuple[str, ...], ends: moves.Move
) -> None:
    either.server.answer(moves.Say(said), ends)
    error = await failure(either)
    assert (error.kind, error.retryable) == ("timeout", True)


async def test_a_call_that_ends_too_early_is_no_call(either: Line) -> None:
    either.server.answer(moves.Call("c1", "clock", ("{}",)), moves.Cut())
    assert (await failure(either)).kind == "timeout"


@pytest.mark.parametrize("wire", SERVERS)
@pytest.mark.parametrize("said", [(), ("x",)])
async def test_silence(wire: Wire, said: tuple[str, ...]) -> None:
    async with line(wire, silence_s=0.2) as opened:
        opened.server.answer(moves.Say(said), moves.Wait())
        error = await failure(opened)
        await opened.server.left.wait()
    assert (error.kind, error.retryable) == ("stream_silence_timeout", True)


@pytest.mark.parametrize("wire", SERVERS)
async def test_nobody_there(wire: Wire) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        async with open_vendor(vendor_model(wire, url, None)) as provider:
            with pytest.raises(ProviderError) as failed:
                async for _ in provider.stream(_request()):
                    pass
    assert (failed.value.kind, failed.value.retryable) == ("timeout", True)
    assert failed.value.status_code is None


@pytest.mark.parametrize("wire", SERVERS)
async def test_a_server_that_is_something_else(wire: Wire) -> None:
    async with line(wire) as opened:
        opened.server.path = "/elsewhere"
        error = await failure(opened)
    assert (error.kind, error.status_code) == ("config", 404)


async def test_what_was_said_before_the_failure_was_passed_on(either: Line) -> None:
    either.server.answer(moves.Say(("one", " two")), moves.Drop())
    stream = either.provider.stream(_request())
    assert [await anext(stream) for _ in range(3)] == [
        Opened(),
        TextDelta("one"),
        TextDelta(" two"),
    ]
    with pytest.raises(ProviderError):
        await anext(stream)


async def test_nothing_that_was_said_reaches_the_log(
    either: Line, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await either.ask(user(SECRET))
        either.server.answer(moves.Say((SECRET,)), moves.Drop())
        await failure(either, SECRET)
        either.server.refuse(400, "invalid_request_error", f"no: {SECRET}")
        await failure(either, SECRET)
    told = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert SECRET not in told
    assert either.server.key not in told


def _request() -> ModelRequest:
    messages = list(state_of(created(), user()).messages)
    return ModelRequest(messages=messages, tools=[])
