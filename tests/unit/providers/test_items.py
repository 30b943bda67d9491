"""Items of the Responses API: what goes back under its id, and what as plain words."""

from __future__ import annotations

from typing import Any

from service.providers.hosted import HostedCall, HostedResult
from service.providers.turns import Call, Reasoning, Said, Text
from service.providers.vendor.items import Linked


def mark(item_id: str, after: str | None = None, **more: Any) -> dict[str, Any]:
    linked = {"after": after} if after else {}
    return {"provider": "me", "id": item_id, **linked, **more}


def thought(item_id: str, after: str | None = None, key: str = "k") -> Reasoning:
    return Reasoning("hm", mark(item_id, after, **({"signature": key} if key else {})))


def said(item_id: str, after: str | None = None, text: str = "so") -> Text:
    return Text(text, mark(item_id, after))


def call(item_id: str, after: str | None = None) -> Call:
    return Call(item_id, "clock", {}, mark(item_id, after))


def search(item_id: str, after: str | None = None) -> tuple[HostedCall, HostedResult]:
    return (
        HostedCall(item_id, "web_search", {}, mark(item_id, after)),
        HostedResult(item_id, "web_search", {}, mark(item_id)),
    )


def told(*parts: Said) -> list[Said]:
    return Linked().told(parts)


def test_what_holds_together_goes_back_as_it_was() -> None:
    whole = (
        thought("r1"), *search("s1", "r1"), thought("r2"), thought("r3", "r2"),
        said("m1", "r3"), said("m1", text="and more"), call("c1"),
    )  # fmt: skip
    assert told(*whole) == list(whole)


def test_a_thought_whose_item_is_gone_is_left_out() -> None:
    assert told(thought("r1"), said("m1")) == [said("m1")]
    assert told(thought("r1"), thought("r2"), said("m1", "r2")) == [
        thought("r2"),
        said("m1", "r2"),
    ]
    assert told(thought("r1"), Text("cut off")) == [Text("cut off")]


def test_an_item_whose_thought_is_gone_goes_without_its_id() -> None:
    assert told(said("m1", "r1"), call("c1", "r2")) == [
        Text("so"),
        Call("c1", "clock", {}),
    ]
    assert told(*search("s1", "r1"), said("m1")) == [said("m1")]
    assert told(thought("r2", "r1"), said("m1", "r2")) == [Text("so")]


def test_a_thought_that_nobody_can_read_is_left_out() -> None:
    assert told(thought("r1", key=""), said("m1", "r1")) == [Text("so")]


def test_no_id_is_told_twice() -> None:
    linked = Linked()
    once: list[Said] = [thought("r1"), said("m1", "r1"), call("c1")]
    assert linked.told(once) == once
    assert linked.told(once) == [Text("so"), Call("c1", "clock", {})]


def test_what_another_vendor_left_has_no_ids() -> None:
    plain: list[Said] = [Text("so"), Call("c1", "clock", {})]
    assert told(*plain) == plain


def test_details_stay_where_an_id_goes() -> None:
    text = Text("so", mark("m1", "r1", details={"phase": "commentary"}))
    (made,) = told(text)
    assert made.metadata == {"provider": "me", "details": {"phase": "commentary"}}
