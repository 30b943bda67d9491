"""What is left of a result that is too long."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from service import wire
from service.tools.limits import (
    LEAST_BYTES,
    UNKNOWN_BYTES,
    budget,
    cap_error,
    cap_result,
)


@pytest.mark.parametrize(
    ("context_limit", "size"),
    [
        (None, UNKNOWN_BYTES),
        (0, UNKNOWN_BYTES),
        (-1, UNKNOWN_BYTES),
        (1, LEAST_BYTES),
        (16_384, LEAST_BYTES),
        (16_388, 16_386),
        (16_389, 16_389),
        (200_000, 199_998),
    ],
)
def test_how_much_a_model_gets(context_limit: int | None, size: int) -> None:
    assert budget(context_limit) == size


@pytest.mark.parametrize(
    "result", ["", "x", {}, [], None, 0, True, {"a": "b" * 60_000}]
)
def test_what_fits_is_not_touched(result: JsonValue) -> None:
    assert cap_result(result, context_limit=None) == (result, False)


def test_a_text_of_just_so_many_bytes_fits() -> None:
    fits = "x" * LEAST_BYTES
    assert cap_result(fits, context_limit=1) == (fits, False)
    cut, truncated = cap_result(fits + "x", context_limit=1)
    assert truncated
    assert cut != fits


def test_of_a_text_two_thirds_are_its_head_and_one_third_its_tail() -> None:
    text = "a" * 40_000 + "b" * 40_000
    cut, truncated = cap_result(text, context_limit=1)
    assert truncated
    assert isinstance(cut, str)
    head, note, tail = cut.split("\n\n")
    assert set(head) == {"a"}
    assert set(tail) == {"b"}
    assert len(head) == (LEAST_BYTES - 256) * 2 // 3
    assert len(head) + len(tail) == LEAST_BYTES - 256
    assert str(80_000 - len(head) - len(tail)) in note
    assert "narrow" in note


@pytest.mark.parametrize("letter", ["\u00e9", "\u20ac", "\U0001f600"])
@pytest.mark.parametrize("before", ["", "x", "xx", "xxx"])
def test_no_character_is_cut_in_two(letter: str, before: str) -> None:
    cut, truncated = cap_result(before + letter * 40_000, context_limit=1)
    assert truncated
    assert isinstance(cut, str)
    head, _, tail = cut.split("\n\n")
    assert set(head) | set(tail) == {letter, *before}
    assert len(cut.encode()) <= LEAST_BYTES


def test_json_that_was_cut_is_the_text_of_an_object() -> None:
    rows: JsonValue = [{"row": number, "quote": '"'} for number in range(9000)]
    cut, truncated = cap_result(rows, context_limit=1)
    assert truncated
    assert isinstance(cut, dict)
    assert list(cut) == ["output"]
    output = cut["output"]
    assert isinstance(output, str)
    assert output.startswith('[{"row":0,')
    assert output.endswith("}]")
    assert LEAST_BYTES * 0.8 < len(wire.dumps(cut)) <= LEAST_BYTES


def test_what_has_to_be_escaped_counts_as_it_is_written() -> None:
    cut, _ = cap_result({"a": "\x01" * 100_000}, context_limit=1)
    assert len(wire.dumps(cut)) <= LEAST_BYTES
    failed, truncated = cap_error('"' * 100_000, context_limit=1)
    assert truncated
    assert LEAST_BYTES * 0.8 < len(wire.dumps(failed)) <= LEAST_BYTES


def test_an_error_that_fits_is_told_whole() -> None:
    assert cap_error("no such file", context_limit=None) == (
        {"error": "no such file"},
        False,
    )


def test_what_no_vendor_takes_is_replaced() -> None:
    assert cap_result("a\x00\ud800", context_limit=None) == ("a\ufffd\ufffd", False)
    assert cap_error("a\x00", context_limit=None) == ({"error": "a\ufffd"}, False)
