"""Kinds of failures, by status, by words, by what became of the connection."""

from __future__ import annotations

import pytest

from service.providers.classify import (
    CONTINUITY_CODE,
    DETAIL_LENGTH,
    Failure,
    Verdict,
    classify,
    detail_of,
    message_for,
    truncated,
)
from service.providers.failure_words import status_in, vendor_in
from service.providers.said import retry_after_s

LAUNCH = "Sun, 01 Mar 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "says", "kind", "retryable"),
    [
        (529, "", "overloaded", True),
        (503, "the model is Overloaded", "overloaded", True),
        (200, "overloaded_error", "overloaded", True),
        (429, "insufficient_quota", "usage_limit", False),
        (400, "Your credit balance is too low", "usage_limit", False),
        (402, "", "usage_limit", False),
        (403, "check your billing details", "usage_limit", False),
        (429, "quota exceeded for requests a minute", "rate_limit", True),
        (401, "", "auth", False),
        (400, "invalid_api_key", "auth", False),
        (401, "authentication failed: invalid model", "auth", False),
        (403, "", "auth", False),
        (403, "forbidden: context length exceeded", "config", False),
        (429, "", "rate_limit", True),
        (400, "rate_limit_error", "rate_limit", True),
        (429, "invalid model", "config", False),
        (503, "provider is disabled", "provider_disabled", False),
        (503, "", "timeout", True),
        (408, "", "timeout", True),
        (502, "bad gateway", "timeout", True),
        (504, "", "timeout", True),
        (503, "invalid model", "config", False),
        (None, "connection refused: unsupported model", "config", False),
        (None, "upstream timed out", "timeout", True),
        (400, "prompt is too long: 9 tokens > 8 maximum", "config", False),
        (400, "timeout must be a number", "config", False),
        (404, "model_not_found", "config", False),
        (413, "", "config", False),
        (422, "", "config", False),
        (500, "", "generic", True),
        (500, "internal server error", "generic", True),
        (None, "api_error", "generic", True),
        (501, "", "generic", True),
        (418, "", "generic", False),
        (None, "", "generic", False),
        (None, "request interrupted", "generic", False),
    ],
)
def test_the_first_rule_that_matches_decides(
    status: int | None, says: str, kind: str, retryable: bool
) -> None:
    verdict = classify(Failure(status=status, says=says))
    assert (verdict.kind, verdict.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    ("transport", "kind"),
    [
        ("connect", "timeout"),
        ("read", "timeout"),
        ("silent", "stream_silence_timeout"),
    ],
)
def test_what_became_of_the_connection(transport: str, kind: str) -> None:
    verdict = classify(Failure(transport=transport))  # type: ignore[arg-type]
    assert verdict == Verdict(kind, retryable=True)  # type: ignore[arg-type]


def test_messages_name_the_vendor_and_say_what_to_do() -> None:
    def told(failure: Failure) -> str:
        return message_for(
            classify(failure), subject="Anthropic", status=failure.status
        )

    assert told(Failure(529)) == "Anthropic is temporarily overloaded"
    assert "check the key" in told(Failure(401))
    assert "check the model" in told(Failure(400))
    assert told(Failure(500)) == "Anthropic returned an unexpected error"
    assert told(Failure()) == "the chat request failed unexpectedly"
    assert truncated("Anthropic").retryable


def test_details_carry_no_key_and_no_url() -> None:
    said = (
        "Incorrect API key provided: sk-ab***yz, or my-secret.\n"
        "You can find  yours at https://host.example/keys?a=b."
    )
    detail = detail_of(said, secrets=["my-secret", ""])
    assert detail == (
        "Incorrect API key provided: [key], or [key]. You can find yours at [url]"
    )


def test_details_are_short_or_none() -> None:
    assert detail_of("  \n ") is None
    assert len(detail_of("a b" * 1000) or "") == DETAIL_LENGTH


CODES: list[tuple[str, str, bool]] = [
    ("chat interrupted", "generic", False),
    ("no tool output found for function call x", "generic", False),
    ("the stream ended before message_stop", "timeout", True),
    ("overloaded", "overloaded", True),
    ("insufficient_quota", "usage_limit", False),
    ("unauthorized", "auth", False),
    ("forbidden", "auth", False),
    ("too many requests", "rate_limit", True),
    ("provider is disabled", "provider_disabled", False),
    ("connection reset by peer", "timeout", True),
    ("model_not_found", "config", False),
    ("server_error", "generic", True),
    ("whatever", "generic", False),
]
"""Words of one rule each, in the order of the rules."""

YIELDING = {"forbidden", "too many requests", "connection reset by peer"}
"""What words of a wrong config outweigh."""


@pytest.mark.parametrize(
    ("first", "second"),
    [(i, j) for i in range(len(CODES)) for j in range(i + 1, len(CODES))],
)
def test_a_rule_comes_before_each_later_one(first: int, second: int) -> None:
    words, kind, retryable = CODES[first]
    other = CODES[second]
    if words in YIELDING and other[0] == "model_not_found":
        words, kind, retryable = other
    verdict = classify(Failure(says=f"{other[0]}; {CODES[first][0]}"))
    assert (verdict.kind, verdict.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    ("status", "says", "kind", "retryable"),
    [
        (None, "status 529 from upstream", "overloaded", True),
        (None, "status 429: invalid model", "config", False),
        (None, "status 503: invalid model", "config", False),
        (None, "status 500", "generic", True),
        (None, "HTTP 401", "auth", False),
        (None, "it says 403", "auth", False),
        (200, "ai budget of 10 dollars", "usage_limit", False),
        (None, "quota", "usage_limit", False),
        (403, "payment required", "usage_limit", False),
        (503, "provider 'main' has been disabled", "provider_disabled", False),
        (429, "overloaded_error", "overloaded", True),
        (None, "unexpected EOF", "timeout", True),
        (None, "geofenced", "generic", False),
        (None, "http2: client connection lost", "timeout", True),
        (None, "server sent GOAWAY and closed the connection", "timeout", True),
        (None, "http2: stream closed", "timeout", True),
        (None, "use of closed network connection", "timeout", True),
        (None, "failed to resolve AWS credentials", "config", False),
        (500, "context canceled", "generic", True),
        (None, "context canceled", "timeout", True),
        (400, "request interrupted", "generic", False),
        (500, "upstream timed out", "timeout", True),
    ],
)
def test_what_gateways_say(
    status: int | None, says: str, kind: str, retryable: bool
) -> None:
    verdict = classify(Failure(status=status, says=says))
    assert (verdict.kind, verdict.retryable) == (kind, retryable)


CALM = "enhance_your_calm"
PASSING = ["no_error", "internal_error", "refused_stream", "cancel", CALM]
BREAKING = ["protocol_error", "flow_control_error", "stream_closed"]


@pytest.mark.parametrize("code", [*PASSING, *BREAKING])
@pytest.mark.parametrize("by_peer", [True, False])
def test_the_code_of_a_reset_decides_and_who_sent_it(code: str, by_peer: bool) -> None:
    passing = by_peer and code in PASSING
    said = f"stream error: stream ID 503; {code}" + "; received from peer" * by_peer
    verdict = classify(Failure(says=f"connection reset: {said}"))
    expected = ("timeout", True) if passing else ("generic", False)
    assert (verdict.kind, verdict.retryable) == expected


def test_a_status_says_more_than_a_reset() -> None:
    said = "stream error: stream ID 5; PROTOCOL_ERROR; received from peer"
    assert classify(Failure(502, said)) == Verdict("timeout", retryable=True)


def test_a_cancellation_is_ours_or_the_vendors() -> None:
    dropped = classify(Failure(cancelled=True))
    assert (dropped.kind, dropped.retryable) == ("timeout", True)
    ours = classify(Failure(cancelled=True, ours_alive=False))
    assert (ours.kind, ours.retryable) == ("generic", False)
    assert "cancelled" in message_for(ours, subject="X", status=None)


def test_a_deadline_of_our_own_is_not_tried_again() -> None:
    verdict = classify(Failure(transport="deadline"))
    assert (verdict.kind, verdict.retryable) == ("timeout", False)
    assert "timed out" in message_for(verdict, subject="X", status=None)


def test_a_history_that_is_refused_has_a_code_to_look_for() -> None:
    said = "Item 'rs_1' was provided without its required 'reasoning' item"
    verdict = classify(Failure(400, said))
    assert verdict.detail == CONTINUITY_CODE
    told = message_for(verdict, subject="OpenAI", status=400)
    assert "internal mismatch" in told
    assert "rs_1" not in told


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("status: 503", 503),
        ("status code = 429", 429),
        ("status_code: 401", 401),
        ("http 418", 418),
        ("got 529 there", 529),
        ("dial 10.0.0.1:503", None),
        ("on stream id 503", None),
        ("stream id: 500 and 502", 502),
        ("1503", None),
        ("503.5 ms", None),
        ("status of 7", None),
        ("", None),
    ],
)
def test_the_status_that_a_text_tells(text: str, status: int | None) -> None:
    assert status_in(text) == status


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("openai-compat says no to openai", "OpenAI Compatible"),
        ("azure openai", "Azure OpenAI"),
        ("openrouter: claude is away", "OpenRouter"),
        ("bedrock anthropic", "AWS Bedrock"),
        ("vercel", "Vercel AI Gateway"),
        ("claude", "Anthropic"),
        ("vertex", "Google"),
        ("openai", "OpenAI"),
        ("nobody", "The AI provider"),
    ],
)
def test_who_gives_itself_away(text: str, name: str) -> None:
    assert vendor_in(text) == name


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"RETRY-AFTER-MS": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "0", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "0"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "1e12"}, 86_400.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:01:00 GMT"}, None),
        ({"retry-after": "Sun, 01 Mar 2026 12:01:00 GMT", "date": LAUNCH}, 60.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT", "date": LAUNCH}, None),
        ({"retry-after": "Sun, 99 Mar 2026 11:00:00 GMT", "date": LAUNCH}, None),
    ],
    ids=str,
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


UNITS = ["y", "a.", " ", "http ", "stream id 429 ", "provider a ", "bearer ", "sk-",
         "a://", "stream error: stream id 1", "eof ", "1,"]  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_no_text_takes_long(unit: str) -> None:
    """Minutes, were a pattern to begin again at each letter."""
    text = unit * (65_536 // len(unit))
    classify(Failure(says=text))
    detail_of(text)
    status_in(text)
