"""Kinds of failures, by status, by words, by what became of the connection."""

from __future__ import annotations

import pytest

from service.providers.classify import (
    DETAIL_LENGTH,
    Failure,
    Verdict,
    classify,
    detail_of,
    message_for,
    truncated,
)


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
