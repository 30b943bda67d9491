"""Arguments of calls: what counts as JSON, and what as none."""

from __future__ import annotations

import pytest

from service.providers.arguments import parse_args


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (' {"a": [1, {"a": null}], "b": "x"} ', {"a": [1, {"a": None}], "b": "x"}),
        ('{"a": "{\\"a\\": 1, \\"a\\": 2}"}', {"a": '{"a": 1, "a": 2}'}),
        ('{"a\\"b": 1, "a": "\\\\"}', {'a"b': 1, "a": "\\"}),
        ('{"": {"": ""}}', {"": {"": ""}}),
        ('["a", "a"]', ["a", "a"]),
        ("7", 7),
        ('"x"', "x"),
        ("[" * 900 + "]" * 900, None),
    ],
    ids=[
        "empty",
        "nested",
        "quoted",
        "escaped",
        "blank",
        "list",
        "number",
        "text",
        "deep",
    ],
)
def test_json_is_its_value(text: str, value: object) -> None:
    parsed = parse_args(text)
    if value is None:
        assert isinstance(parsed, list)
    else:
        assert parsed == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "{",
        '{"a": 1,}',
        '{"a": NaN}',
        '{"a": 1} {"b": 2}',
        '{"a": 1} and so on',
        '{"a": 1, "a": 1}',
        '{"a" : 1, "b": {"c": 1, "c" :2}}',
        '[{"a": 1, "\\u0061": 2}]',
        '{"a": "\\ud800"}',
        '{"a": "\ud800"}',
    ],
    ids=range(12),
)
def test_anything_else_is_none(text: str) -> None:
    assert parse_args(text) is None
