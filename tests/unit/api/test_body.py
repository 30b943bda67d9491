"""Bodies: any bytes either parse or are a clean refusal; hashes mean what is meant."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service import wire
from service.api.body import DEPTH, parse_body, request_hash
from service.api.fields import strip_invisible
from service.api.schemas import CreateChatBody, SendMessageBody
from service.errors import Rejection

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["content", "type", "text", "x"]), inner)
    ),
    max_leaves=12,
)


def said(**fields: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": "hello"}], **fields}


@given(st.binary(max_size=200))
def test_any_bytes_parse_or_are_refused(raw: bytes) -> None:
    _parse_or_refuse(raw)


@given(JSON)
def test_any_json_parses_or_is_refused(value: Any) -> None:
    try:
        raw = wire.dumps(value)
    except TypeError:
        return  # a lone surrogate cannot be encoded, only escaped
    _parse_or_refuse(raw)


# these four are blanks to Python and to nobody else
ANY_TEXT = st.text(
    st.characters(exclude_categories=(), exclude_characters="\x1c\x1d\x1e\x1f"),
    max_size=20,
)


@given(ANY_TEXT)
def test_text_arrives_as_it_was_sent(text: str) -> None:
    text = _utf16(text).decode("utf-16-be", "surrogatepass")  # pairs become one
    raw = b'{"content":[{"type":"text","text":%b}]}' % _escaped(text)
    storable = "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
    if not storable or not text.strip():
        with pytest.raises(Rejection):
            parse_body(raw, SendMessageBody)
        return
    (part,) = parse_body(raw, SendMessageBody).parts()
    assert part.model_dump()["text"] == text.strip()


def test_depth_is_bounded_before_anything_recurses() -> None:
    for depth in (DEPTH + 1, 200, 1000, 2000, 50_000):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            raw = opening * depth + b"1" + closing * depth
            with pytest.raises(Rejection):
                parse_body(raw, CreateChatBody)


def test_errors_are_bounded_and_repeat_nothing() -> None:
    body = said(**{f"unknown{n}": 1 for n in range(1000)})
    with pytest.raises(Rejection) as refused:
        parse_body(wire.dumps(body), CreateChatBody)
    assert len(refused.value.errors) == 20


def test_hash_ignores_defaults_and_order_but_not_meaning() -> None:
    def hashed(body: dict[str, Any], path: str = "/p", method: str = "POST") -> bytes:
        return request_hash(method, path, parse_body(wire.dumps(body), CreateChatBody))

    plain = hashed(said())
    assert plain == hashed(said(client_type="api", labels={}, mcp_server_ids=None))
    assert plain != hashed(said(client_type="ui"))
    assert plain != hashed(said(), path="/q")
    assert plain != hashed(said(), method="PUT")
    two = {"a": "1", "b": "2"}
    turned = dict(reversed(two.items()))
    assert hashed(said(labels=two)) == hashed(said(labels=turned))
    parts = [{"type": "text", "text": t} for t in ("one", "two")]
    assert hashed({"content": parts}) != hashed({"content": parts[::-1]})


@pytest.mark.parametrize(
    ("key", "value", "good"),
    [
        ("a", "x", True),
        ("a.b_c/d-e", "x", True),
        ("9", "x", True),
        ("a" * 64, "x" * 256, True),
        ("", "x", False),
        (".a", "x", False),
        ("a b", "x", False),
        ("a\n", "x", False),
        ("\u00e9", "x", False),
        ("a" * 65, "x", False),
        ("a", "", False),
        ("a", "\u00e9" * 129, False),
    ],
)
def test_labels(key: str, value: str, good: bool) -> None:
    raw = wire.dumps(said(labels={key: value}))
    if good:
        assert parse_body(raw, CreateChatBody).labels == {key: value}
        return
    with pytest.raises(Rejection) as refused:
        parse_body(raw, CreateChatBody)
    assert [e.field for e in refused.value.errors] == [f"labels.{key[:64]}"]


def test_invisible_characters_go_and_joiners_stay() -> None:
    hidden = "a\u200bb\u202ec\U000e0041d\ufeffe"
    assert strip_invisible(hidden) == "abcde"
    family = "\U0001f468\u200d\U0001f469"
    assert strip_invisible(family) == family


def _parse_or_refuse(raw: bytes) -> None:
    for model in (CreateChatBody, SendMessageBody):
        # any other exception fails the test
        with suppress(Rejection):
            parse_body(raw, model)


def _escaped(text: str) -> bytes:
    """The text as JSON with every character escaped; astral ones as pairs."""
    units = _utf16(text)
    pairs = zip(units[::2], units[1::2], strict=True)
    return b'"' + b"".join(b"\\u%02x%02x" % pair for pair in pairs) + b'"'


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
