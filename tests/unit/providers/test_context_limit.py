"""Which members say how much a context holds, and which sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue

from service.providers.context_limit import (
    MOST,
    context_limit_in,
    find_context_limit,
    is_context_limit_key,
    normalised,
    words,
)


@pytest.mark.parametrize(
    "key",
    [
        "context_limit",
        "context_window",
        "context_length",
        "max_context",
        "max_context_tokens",
        "max_input_tokens",
        "max_input_token",
        "input_token_limit",
        "Context-Window",
        "MAX_CONTEXT_TOKENS",
        "contextLimit",
        "modelContextLimit",
        "model_context_limit",
        "context_window_size",
        "context_length_max",
        "max_context_",
        "max_context_limit",
        "maxInputTokens",
        "contextWindowSize",
        "limit of the context",
        "context2limit",
        "max_tokens_of_context",
        "model_max_context_token",
    ],
)
def test_a_key_that_means_the_limit(key: str) -> None:
    assert is_context_limit_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "max_context_version",
        "context_tokens_used",
        "context_length_used",
        "context_window_used",
        "context_id",
        "",
        "model_name",
        "rate_limit",
        "max_tokens",
        "context",
        "my_context_window",
        "contextual_limit",
        "CONTEXTLIMITS",
        "limit",
        "max_output_tokens",
    ],
)
def test_a_key_that_means_something_else(key: str) -> None:
    assert not is_context_limit_key(key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("max_context_tokens", ["max", "context", "tokens"]),
        ("maxContextTokens", ["max", "context", "tokens"]),
        ("MAX_CONTEXT", ["max", "context"]),
        ("ContextWindow", ["context", "window"]),
        ("context2limit", ["context", "limit"]),
        ("", []),
        ("--", []),
        ("HTTPLimit", ["httplimit"]),
        ("a1B", ["a", "b"]),
    ],
)
def test_words(key: str, expected: list[str]) -> None:
    assert words(key) == expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("Max_Context-Tokens", "maxcontexttokens"),
        ("context.limit", "contextlimit"),
        ("123", "123"),
        ("", ""),
        ("\u0130context limit", "contextlimit"),
    ],
)
def test_normalised(key: str, expected: str) -> None:
    assert normalised(key) == expected


@pytest.mark.parametrize(
    ("metadata", "limit"),
    [
        ({"context_limit": 128000}, 128000),
        ({"context_limit": 128000.0}, 128000),
        ({"context_limit": "128000"}, 128000),
        ({"context_limit": " 128000 "}, 128000),
        ({"context_limit": 0}, None),
        ({"context_limit": -1}, None),
        ({"context_limit": 128000.5}, None),
        ({"context_limit": "128000.0"}, None),
        ({"context_limit": "many"}, None),
        ({"context_limit": ""}, None),
        ({"context_limit": "-5"}, None),
        ({"context_limit": "\u0661\u0662"}, None),
        ({"context_limit": True}, None),
        ({"context_limit": None}, None),
        ({"context_limit": [1, 2]}, None),
        ({"context_limit": float("inf")}, None),
        ({"context_limit": float("nan")}, None),
        ({"context_limit": MOST + 1}, None),
        ({"context_limit": "9" * 5000}, None),
        ({"context_tokens_used": 64000}, None),
        ({"a": {"b": [{"max_context_tokens": 9}]}}, 9),
        ({"context_limit": 5, "usage": {"contextWindow": 8}}, 8),
        ({"context_limit": {"context_window": 7}}, 7),
        ({"context_limit": 4, "context_tokens_used": 9}, 4),
        ([[{"max_input_tokens": 3}]], 3),
        ("context_limit", None),
        (None, None),
        (7, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_largest_candidate_wherever_it_is(
    metadata: JsonValue, limit: int | None
) -> None:
    assert find_context_limit(metadata) == limit


def test_depth_is_no_danger() -> None:
    deep: JsonValue = {"context_limit": 6}
    for _ in range(5000):
        deep = [{"inner": deep}]
    assert find_context_limit(deep) == 6


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        (
            "This model's maximum context length is 128000 tokens. However, your "
            "messages resulted in 130021 tokens.",
            128_000,
        ),
        ("This endpoint's maximum context length is 8,192 tokens.", 8192),
        ("the maximum prompt length is 131072 but the request has 537812", 131_072),
        ("longer than the maximum model length of 4096.", 4096),
        ("too large for model with 32768 maximum context length", 32_768),
        ("prompt is too long: 210511 tokens > 200000 maximum", 200_000),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > "
            "200000, decrease input length",
            200_000,
        ),
        ("request exceeds the available context size (4096 tokens)", 4096),
        (
            "The input token count (1200000) exceeds the maximum number of tokens "
            "allowed (1048576).",
            1_048_576,
        ),
        ("Your input exceeds the context window of this model.", None),
        ("Rate limit reached: Limit 30000, Requested 40000", None),
        ("maximum context length is 0 tokens", None),
        ("", None),
    ],
)
def test_a_sentence_that_refuses_a_prompt(message: str, limit: int | None) -> None:
    assert context_limit_in(message) == limit


def test_the_number_is_looked_for_where_sentences_begin() -> None:
    assert context_limit_in("x" * 10_000 + "maximum context length is 5") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["context_limit", "max_context", "context", "a"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_it_is_given_it_finds_tokens_or_nothing(metadata: JsonValue) -> None:
    limit = find_context_limit(metadata)
    assert limit is None or 0 < limit <= MOST


@given(st.text())
def test_whatever_a_vendor_says_it_finds_tokens_or_nothing(message: str) -> None:
    limit = context_limit_in(message)
    assert limit is None or 0 < limit <= MOST
