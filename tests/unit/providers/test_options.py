"""Options of a config: what is refused when written, and left out when read."""

from __future__ import annotations

import logging

import pytest
from pydantic import JsonValue

from service.providers.options import OptionsRefused, parse_options, read_options

ALL: dict[str, JsonValue] = {
    "api": "responses",
    "top_p": 0.9,
    "top_k": 40,
    "presence_penalty": -2,
    "frequency_penalty": 1.5,
    "parallel_tool_calls": False,
    "service_tier": "flex",
    "verbosity": "low",
    "reasoning_summary": "auto",
    "store": False,
    "thinking_budget_tokens": 1024,
    "web_search": True,
    "extra_body": {"chat_template_kwargs": {"enable_thinking": False}},
}


def test_every_option_is_kept_as_it_was_said() -> None:
    assert parse_options(ALL) == ALL
    assert read_options(ALL, model="m") == ALL


def test_null_unsets_an_option() -> None:
    assert parse_options({"top_p": None, "top_k": 3}) == {"top_k": 3}


def test_an_unknown_option_is_named_with_those_that_are_known() -> None:
    with pytest.raises(
        OptionsRefused, match=r"^options.top_q: no such option; known are api, top"
    ):
        parse_options({"top_q": 1})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("api", "messages"),
        ("top_p", 1.1),
        ("top_p", "0.5"),
        ("top_p", float("nan")),
        ("top_k", 0),
        ("presence_penalty", 3),
        ("parallel_tool_calls", "yes"),
        ("service_tier", "fast"),
        ("thinking_budget_tokens", 1023),
        ("store", 1),
        ("extra_body", []),
        ("extra_body", {"messages": []}),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_name_and_dropped_when_read(
    name: str, value: JsonValue, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OptionsRefused, match=f"^options.{name}: "):
        parse_options({"verbosity": "low", name: value})
    with caplog.at_level(logging.WARNING):
        assert read_options({"verbosity": "low", name: value}, model="big") == {
            "verbosity": "low"
        }
    (record,) = caplog.records
    assert (record.__dict__["model"], record.__dict__["options"]) == ("big", name)


def test_all_that_does_not_fit_is_dropped_at_once() -> None:
    stored: dict[str, JsonValue] = {"newer": 1, "top_k": -1, "store": True}
    assert read_options(stored, model="m") == {"store": True}


def test_all_that_is_wrong_is_told_by_field() -> None:
    with pytest.raises(OptionsRefused) as refused:
        parse_options({"newer": 1, "top_k": -1})
    assert refused.value.code == "invalid-request"
    assert [error.field for error in refused.value.errors] == [
        "options.top_k",
        "options.newer",
    ]


def test_options_are_an_object() -> None:
    with pytest.raises(OptionsRefused, match=r"^options: "):
        parse_options([1])
