"""What counts as a call of a model, and what is kept of one that is erased."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from projections.remains import left_of
from projections.usage_ledger import USAGE_LEDGER
from service.domain.events.chat import ChatEvent
from service.errors import FutureEvent
from service.eventstore.records import RecordedEvent
from tests import builders as b
from tests.unit.projections.log import Log, entries, rows

SPENT: dict[str, Any] = {
    "asked": b.ASKED, "usage": b.usage(7, output_tokens=2, reasoning_tokens=1),
    "cost_micros": 12, "runtime_ms": 30,
}  # fmt: skip
OF_MODEL = b.ASKED.model_dump()
TOKENS = {
    "input_tokens": 7, "output_tokens": 2, "reasoning_tokens": 1,
    "cache_read_tokens": None, "cache_creation_tokens": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("event", "purpose", "counted"),
    [
        (b.committed(2, **SPENT), "turn", TOKENS | {"cost_micros": 12}),
        (
            b.committed(2, kind="compaction", **SPENT),
            "compaction",
            TOKENS | {"cost_micros": 12},
        ),
        (b.usage_recorded(**SPENT), "title", TOKENS | {"cost_micros": 12}),
        (b.interruption_finished(asked=b.ASKED, runtime_ms=30), "turn", {}),
    ],
    ids=["turn", "compaction", "title", "interrupted"],
)
def test_a_call_is_a_row(
    event: ChatEvent, purpose: str, counted: dict[str, object]
) -> None:
    log = Log()
    log.append(b.CHAT, *b.a_chat())
    (owned, calls, copied) = rows(USAGE_LEDGER, log.append(b.CHAT, event))
    (call,) = calls
    wanted = {
        "chat_id": b.CHAT, "position": 3, "purpose": purpose, "runtime_ms": 30,
        "at": log.entries[-1].recorded.recorded_at, **OF_MODEL, **counted,
    }  # fmt: skip
    assert {name: call[name] for name in wanted} == wanted
    assert (owned, copied) == ([], [])


def test_an_interruption_says_nothing_of_tokens_or_cost() -> None:
    event = b.interruption_finished(asked=b.ASKED, runtime_ms=30)
    (_, (call,), _) = rows(USAGE_LEDGER, entries(b.CHAT, event))
    assert not {"input_tokens", "cost_micros"} & set(call)


@pytest.mark.parametrize(
    "event",
    [
        b.committed(2, kind="tools", runtime_ms=5),
        b.interruption_finished(),
        b.assistant(usage=b.usage(7)),
        b.compacted(3),
        b.turn_failed(),
        b.retry_scheduled(2),
    ],
    ids=lambda event: event.type,
)
def test_nothing_else_is(event: ChatEvent) -> None:
    assert not any(rows(USAGE_LEDGER, entries(b.CHAT, event)))


def test_a_chat_is_its_creators_until_it_is_forked() -> None:
    log = Log()
    log.append(b.CHAT, b.created(root_chat_id=b.CHILD), b.user(), b.forked(2))
    (owned, calls, copied) = rows(USAGE_LEDGER, log.entries[:2])
    assert (owned[0]["root_chat_id"], owned[0]["version"]) == (b.CHILD, 1)
    (owned, calls, copied) = rows(USAGE_LEDGER, log.entries)
    assert (owned[0]["root_chat_id"], owned[0]["version"]) == (None, 3)
    assert calls == []
    assert copied == [{"chat_id": b.CHAT, "position": 3}]


def test_a_purge_takes_nothing_out() -> None:
    assert USAGE_LEDGER.purged([b.CHAT]) == []


def erased(event: ChatEvent, **kept: Any) -> RecordedEvent:
    (entry,) = entries(b.CHAT, event)
    recorded = replace(entry.recorded, type="erased")
    return replace(recorded, data={"was": event.type, **kept})


def kept_of(event: ChatEvent, *names: str) -> dict[str, Any]:
    data = entries(b.CHAT, event)[0].recorded.data or {}
    return {name: data[name] for name in names if name in data}


@pytest.mark.parametrize(
    ("event", "names"),
    [
        (b.committed(2, **SPENT), ("kind", "asked", "usage", "cost_micros")),
        (b.usage_recorded(**SPENT), ("purpose", "asked", "usage", "cost_micros")),
        (b.interruption_finished(asked=b.ASKED, runtime_ms=3), ("asked", "runtime_ms")),
        (
            b.created(root_chat_id=b.CHILD),
            ("owner_id", "organization_id", "root_chat_id"),
        ),
        (b.forked(2), ("owner_id", "organization_id")),
    ],
    ids=lambda value: getattr(value, "type", ""),
)
def test_what_is_left_makes_the_same_rows(
    event: ChatEvent, names: tuple[str, ...]
) -> None:
    (entry,) = entries(b.CHAT, event)
    left = left_of(erased(event, **kept_of(event, *names, "runtime_ms")))
    assert left is not None
    again = entry._replace(event=left)
    assert rows(USAGE_LEDGER, [again]) == rows(USAGE_LEDGER, [entry])


@pytest.mark.parametrize(
    ("event", "kept"),
    [
        (b.user(), {}),
        (b.created(), {"usage": None}),
        (b.committed(2), {"usage": {"input_tokens": 7}}),
        (b.interruption_finished(), {"runtime_ms": 3}),
    ],
    ids=["message", "created-of-old", "step-of-old", "interrupted-nothing"],
)
def test_nothing_is_left_of_others(event: ChatEvent, kept: dict[str, Any]) -> None:
    """Before there was a ledger a purge kept nothing but tokens."""
    assert left_of(erased(event, **kept)) is None


def test_an_old_step_is_left_in_its_old_shape() -> None:
    old = erased(b.committed(2), kind="model", model="gpt", usage={"input_tokens": 7})
    left = left_of(replace(old, schema_version=1))
    assert left == b.committed(
        0, 0, asked={"provider": "unknown", "model": "gpt"}, usage={"input_tokens": 7}
    ).model_copy(update={"at": old.recorded_at})


def test_what_a_newer_release_erased_is_for_it() -> None:
    new = replace(erased(b.committed(2), kind="model"), schema_version=99)
    with pytest.raises(FutureEvent):
        left_of(new)
