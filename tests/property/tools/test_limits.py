"""A result never takes more than its budget, and is text and JSON as before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from service import wire
from service.domain.parts import ToolResultPart
from service.tools.limits import NOTE_BYTES, budget, cap_error, cap_result
from tests.builders import call
from tests.property.domain.anything import JSON

LIMITS = st.none() | st.integers(-5, 200_000)
UNITS = st.text(min_size=1, max_size=6)
LONG = st.builds(lambda unit, times: unit * times, UNITS, st.integers(0, 30_000))
RESULTS = LONG | st.builds(
    lambda words, inner: {"words": words, "inner": [inner, words]}, LONG, JSON
)

SLOW = settings(deadline=None, max_examples=60)


def size(result: JsonValue) -> int:
    """Bytes, as the model is told it: a text as it is, all else as JSON."""
    told = result.encode() if isinstance(result, str) else wire.dumps(result)
    return len(told)


def repaired(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@SLOW
@given(LONG, LIMITS)
def test_a_text_keeps_its_head_and_its_tail(text: str, limit: int | None) -> None:
    cut, truncated = cap_result(text, context_limit=limit)
    assert isinstance(cut, str)
    assert size(cut) <= budget(limit)
    whole = repaired(text).replace("\0", "\ufffd")
    if not truncated:
        assert cut == whole
        return
    assert size(whole) > budget(limit)
    # but for a character that did not fit at each end
    assert size(cut) > budget(limit) - NOTE_BYTES - 8
    room = budget(limit) - NOTE_BYTES
    head = whole.encode()[: room * 2 // 3 - 3].decode(errors="ignore")
    tail = whole.encode()[-(room - room * 2 // 3 - 3) :].decode(errors="ignore")
    assert cut.startswith(head)
    assert cut.endswith(tail)


@SLOW
@given(RESULTS, LIMITS)
def test_a_result_fits_and_stays_json(result: JsonValue, limit: int | None) -> None:
    if isinstance(result, dict):
        result = wire.loads(wire.dumps(_clean(result)))
    cut, truncated = cap_result(result, context_limit=limit)
    assert size(cut) <= budget(limit)
    part = ToolResultPart(tool_call_id="c1", tool_name=call().tool_name, result=cut)
    assert wire.loads(wire.dumps(part.result)) == cut
    if isinstance(result, str):
        assert isinstance(cut, str)
    elif truncated:
        assert isinstance(cut, dict)
        assert list(cut) == ["output"]
    else:
        assert cut == result


@SLOW
@given(LONG, LIMITS)
def test_an_error_fits_and_stays_an_error(text: str, limit: int | None) -> None:
    cut, _ = cap_error(text, context_limit=limit)
    assert isinstance(cut, dict)
    assert list(cut) == ["error"]
    assert size(cut) <= budget(limit)


def _clean(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return repaired(value)
        case list():
            return [_clean(item) for item in value]
        case dict():
            return {repaired(name): _clean(item) for name, item in value.items()}
    return value
