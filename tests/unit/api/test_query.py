"""Query strings: any of them is read, or refused with all that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from service.api.query import Query, path_number
from service.errors import Rejection

NAMES = ("limit", "before_id", "archived", "title", "label", "other")
VALUES = st.binary(max_size=12).map(
    lambda raw: "".join(f"%{byte:02x}" for byte in raw)
) | st.text("0123:a-%\0 ")
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6)


def asked(query: bytes, **path: str) -> Request:
    scope: dict[str, Any] = {
        "type": "http", "query_string": query, "path_params": path, "headers": [],
    }  # fmt: skip
    return Request(scope)


@given(PAIRS)
def test_any_query_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    text = "&".join(f"{name}={value}" for name, value in pairs)
    query = Query(asked(text.encode()), *NAMES[:4], repeatable=("label",))
    limit, before = query.limit(), query.message_id("before_id")
    flag, title = query.flag("archived"), query.text("title")
    labels = query.labels("label")
    try:
        query.done()
    except Rejection:
        return
    assert 1 <= limit <= 200
    assert before is None or 1 <= before < 2**31
    assert flag in (None, True, False)
    assert title is None or (title.strip() == title != "" and "\0" not in title)
    assert all(key and value and "\0" not in value for key, value in labels)
    assert "other" not in dict(pairs)


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1), ("007", 7), (str(2**31 - 1), 2**31 - 1), (str(10**18), 2**31 - 1)],
)
def test_ids_in_paths(text: str, number: int) -> None:
    assert path_number(asked(b"", message_id=text), "message_id") == number


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "+1", "1.0", " 1", "x", "9" * 20, "\u0663"]
)
def test_ids_in_paths_that_are_none(text: str) -> None:
    with pytest.raises(Rejection) as refused:
        path_number(asked(b"", message_id=text), "message_id")
    assert refused.value.code == "invalid-id"
