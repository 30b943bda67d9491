"""Answers of vendors and gateways that are errors: status, headers, body.

Codes and types are those that the vendors document; the sentences are ours, but for the
words that vendors always use. Each says what it has to come to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from service import wire
from service.providers.choose import Api
from service.providers.provider import ErrorKind

JSON = "application/json"
EVENTS = "text/event-stream"


@dataclass(frozen=True)
class Refusal:
    """What a vendor answers, and what we make of it."""

    name: str
    api: Api
    status: int
    body: bytes
    kind: ErrorKind
    retryable: bool = False
    detail: str | None = None
    """Has to be in what the chat is told; None: whatever it is."""
    code: int | None = -1
    """The status that is told; -1: the one that was sent."""
    wait_s: float | None = None
    limit: int | None = None
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    """Nothing of the body is told."""


def openai(
    message: str, *, type: str | None = None, code: str | None = None, **more: Any
) -> bytes:
    """The envelope of OpenAI, and of everybody who speaks like it."""
    error = {"message": message, "type": type, "param": None, "code": code, **more}
    return wire.dumps({"error": error})


def anthropic(type: str, message: str) -> bytes:
    """The envelope of Anthropic."""
    error = {"type": type, "message": message}
    return wire.dumps({"type": "error", "error": error, "request_id": "req_1"})


def event(name: str, data: bytes) -> bytes:
    """One event of a stream that began well."""
    return b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


INVALID = "invalid_request_error"
TOO_LONG = (
    "This model's maximum context length is 128000 tokens. However, your messages "
    "resulted in 130021 tokens."
)

OPENAI: list[Refusal] = [
    Refusal(
        "openai wrong key",
        "chat",
        401,
        openai(
            "Incorrect API key provided: sk-ab12***yz. Find yours at "
            "https://host.example/keys.",
            type=INVALID,
            code="invalid_api_key",
        ),
        "auth",
        detail="Incorrect API key provided: [key] Find yours at [url]",
    ),
    Refusal(
        "openai country",
        "responses",
        403,
        openai("Country not supported", type="request_forbidden"),
        "auth",
    ),
    Refusal(
        "openai no model",
        "chat",
        404,
        openai("The model m1 does not exist", type=INVALID, code="model_not_found"),
        "config",
        detail="The model m1 does not exist",
    ),
    Refusal(
        "openai quota",
        "responses",
        429,
        openai(
            "You exceeded your quota, check plan and billing",
            type="insufficient_quota",
            code="insufficient_quota",
        ),
        "usage_limit",
        headers={"retry-after": "30"},
        wait_s=30.0,
    ),
    Refusal(
        "openai rate limit",
        "chat",
        429,
        openai(
            "Rate limit reached for m1: Limit 3, Used 3, Requested 1",
            type="requests",
            code="rate_limit_exceeded",
        ),
        "rate_limit",
        retryable=True,
        headers={"Retry-After-Ms": "1250.5", "Retry-After": "20"},
        wait_s=1.2505,
    ),
    Refusal(
        "openai tokens a minute",
        "chat",
        429,
        openai(
            "Request too large for m1 on tokens per min: Limit 30000",
            type="tokens",
            code="rate_limit_exceeded",
            input_token_limit=30000,
        ),
        "rate_limit",
        retryable=True,
    ),
    Refusal(
        "openai context",
        "chat",
        400,
        openai(TOO_LONG, type=INVALID, code="context_length_exceeded"),
        "config",
        limit=128_000,
    ),
    Refusal(
        "openai context without a number",
        "responses",
        400,
        openai(
            "Your input exceeds the context window of this model.",
            type=INVALID,
            code="context_length_exceeded",
        ),
        "config",
    ),
    Refusal(
        "openai call without output",
        "responses",
        400,
        openai("No tool output found for function call call_77.", type=INVALID),
        "generic",
        detail="provider_history_mismatch",
    ),
    Refusal(
        "openai call without reasoning",
        "responses",
        400,
        openai(
            "Item 'fc_1' of type 'function_call' was provided without its required "
            "'reasoning' item: 'rs_1'.",
            type=INVALID,
        ),
        "generic",
        detail="provider_history_mismatch",
    ),
    Refusal(
        "openai server",
        "chat",
        500,
        openai("The server had an error", type="server_error"),
        "generic",
        retryable=True,
    ),
    Refusal(
        "openai overloaded",
        "responses",
        503,
        openai("The engine is currently overloaded", type="server_error"),
        "overloaded",
        retryable=True,
        headers={"retry-after": "2.5"},
        wait_s=2.5,
    ),
    Refusal(
        "openai away",
        "chat",
        503,
        openai("Service unavailable", type="server_error"),
        "timeout",
        retryable=True,
    ),
    Refusal(
        "openai parameter called timeout",
        "chat",
        400,
        openai("Invalid value for timeout", type=INVALID),
        "config",
    ),
]

ANTHROPIC: list[Refusal] = [
    Refusal(
        "anthropic wrong key",
        "messages",
        401,
        anthropic("authentication_error", "invalid x-api-key"),
        "auth",
        detail="invalid x-api-key",
    ),
    Refusal(
        "anthropic billing",
        "messages",
        402,
        anthropic("billing_error", "There is an issue with your payment"),
        "usage_limit",
    ),
    Refusal(
        "anthropic credit",
        "messages",
        400,
        anthropic(INVALID, "Your credit balance is too low"),
        "usage_limit",
    ),
    Refusal(
        "anthropic permission",
        "messages",
        403,
        anthropic("permission_error", "Your key may not use this model"),
        "auth",
    ),
    Refusal(
        "anthropic no model",
        "messages",
        404,
        anthropic("not_found_error", "model: m1"),
        "config",
        detail="model: m1",
    ),
    Refusal(
        "anthropic too large",
        "messages",
        413,
        anthropic("request_too_large", "Request exceeds the maximum size"),
        "config",
    ),
    Refusal(
        "anthropic context",
        "messages",
        400,
        anthropic(INVALID, "prompt is too long: 210511 tokens > 200000 maximum"),
        "config",
        limit=200_000,
    ),
    Refusal(
        "anthropic context with output",
        "messages",
        400,
        anthropic(
            INVALID,
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > "
            "200000, decrease input length or `max_tokens` and try again",
        ),
        "config",
        limit=200_000,
    ),
    Refusal(
        "anthropic rate limit",
        "messages",
        429,
        anthropic("rate_limit_error", "This would exceed your rate limit"),
        "rate_limit",
        retryable=True,
        headers={"retry-after": "7"},
        wait_s=7.0,
    ),
    Refusal(
        "anthropic server",
        "messages",
        500,
        anthropic("api_error", "Internal server error"),
        "generic",
        retryable=True,
    ),
    Refusal(
        "anthropic timeout",
        "messages",
        504,
        anthropic("timeout_error", "The request timed out"),
        "timeout",
        retryable=True,
    ),
    Refusal(
        "anthropic overloaded",
        "messages",
        529,
        anthropic("overloaded_error", "Overloaded"),
        "overloaded",
        retryable=True,
        detail="Overloaded",
    ),
]

STREAMED: list[Refusal] = [
    Refusal(
        "anthropic overloaded in its stream",
        "messages",
        200,
        event("error", anthropic("overloaded_error", "Overloaded")),
        "overloaded",
        retryable=True,
        code=529,
        content_type=EVENTS,
    ),
    Refusal(
        "openai server in its stream",
        "chat",
        200,
        b"data: " + openai("An error occurred", type="server_error") + b"\n\n",
        "generic",
        retryable=True,
        code=500,
        content_type=EVENTS,
    ),
]

GATEWAYS: list[Refusal] = [
    Refusal(
        "gateway provider off",
        "chat",
        503,
        openai('AI provider "main" is disabled', type="provider_disabled"),
        "provider_disabled",
    ),
    Refusal(
        "gateway budget",
        "chat",
        403,
        openai("You have used your AI budget of 10 dollars"),
        "usage_limit",
    ),
    Refusal(
        "gateway error as a text",
        "chat",
        502,
        b"upstream connect error\nmore of it",
        "timeout",
        retryable=True,
        detail="upstream connect error",
        content_type="text/plain",
    ),
    Refusal(
        "gateway json as a text",
        "chat",
        400,
        openai("bad model name", code="model_not_found"),
        "config",
        detail="bad model name",
        content_type="text/plain",
    ),
    Refusal(
        "gateway with a plain message",
        "chat",
        422,
        wire.dumps({"message": "tools are not supported"}),
        "config",
        detail="tools are not supported",
    ),
    Refusal(
        "gateway with a detail",
        "chat",
        405,
        wire.dumps({"detail": "Method Not Allowed"}),
        "config",
        detail="Method Not Allowed",
    ),
    Refusal(
        "gateway that asks for a date",
        "chat",
        429,
        b"{}",
        "rate_limit",
        retryable=True,
        headers={
            "Date": "Sun, 01 Mar 2026 12:00:00 GMT",
            "RETRY-AFTER": "Sun, 01 Mar 2026 12:00:45 GMT",
        },
        wait_s=45.0,
        silent=True,
    ),
    Refusal(
        "gateway that asks for nonsense",
        "chat",
        429,
        b"{}",
        "rate_limit",
        retryable=True,
        headers={"retry-after": "soon"},
        silent=True,
    ),
    Refusal(
        "compatible context",
        "chat",
        400,
        wire.dumps(
            {
                "object": "error",
                "message": "This model's maximum context length is 4,096 tokens.",
                "type": "BadRequestError",
                "code": 400,
            }
        ),
        "config",
        limit=4096,
    ),
    Refusal(
        "compatible context in members",
        "chat",
        400,
        openai(
            "the request exceeds the available context size",
            type="exceed_context_size_error",
            max_context_tokens=8192,
        ),
        "config",
        limit=8192,
    ),
    Refusal(
        "gateway without words",
        "chat",
        418,
        b"",
        "generic",
        silent=True,
    ),
]

DEEP = b'{"error":' * 1000 + b'"x"' + b"}" * 1000

HOSTILE: list[Refusal] = [
    Refusal(
        "a page",
        "chat",
        502,
        b"<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>",
        "timeout",
        retryable=True,
        content_type="text/html",
        silent=True,
    ),
    Refusal(
        "a page for a key",
        "messages",
        403,
        b"<html><title>quota</title>Just a moment</html>",
        "auth",
        content_type="text/html",
        silent=True,
    ),
    Refusal(
        "megabytes",
        "chat",
        400,
        openai("x" * 3_000_000 + " quota"),
        "config",
        detail="x" * 500,
    ),
    Refusal(
        "megabytes of text",
        "messages",
        500,
        b"y" * 3_000_000,
        "generic",
        retryable=True,
        detail="y" * 500,
        content_type="text/plain",
    ),
    Refusal(
        "bytes",
        "chat",
        500,
        bytes(range(256)) * 40,
        "generic",
        retryable=True,
        content_type="application/octet-stream",
    ),
    Refusal(
        "a thousand objects",
        "chat",
        400,
        DEEP,
        "config",
    ),
    Refusal(
        "a thousand objects as a text",
        "messages",
        400,
        DEEP,
        "config",
        content_type="text/plain",
    ),
    Refusal(
        "a message that is none",
        "chat",
        400,
        wire.dumps({"error": {"message": {"not": ["a", "text"]}, "code": 7}}),
        "config",
        silent=True,
    ),
    Refusal(
        "an array",
        "chat",
        400,
        wire.dumps([{"error": {"message": "inside", "status": "INVALID_ARGUMENT"}}]),
        "config",
        detail="inside",
    ),
    Refusal(
        "zeros and half letters",
        "chat",
        400,
        b'{"error": {"message": "a\\u0000b\\u001b[31m \\n c"}}',
        "config",
        detail="a b [31m c",
    ),
    Refusal(
        "a wait for ever",
        "chat",
        429,
        b"{}",
        "rate_limit",
        retryable=True,
        headers={"retry-after": "1e300"},
        wait_s=86_400.0,
    ),
    Refusal(
        "a wait that is no number",
        "chat",
        429,
        b"{}",
        "rate_limit",
        retryable=True,
        headers={"retry-after-ms": "inf", "retry-after": "nan"},
    ),
]

REFUSALS = [*OPENAI, *ANTHROPIC, *STREAMED, *GATEWAYS, *HOSTILE]
