"""Traces: one trace a turn, whoever runs it, and nothing when none is configured."""

from __future__ import annotations

import sys
from uuid import UUID

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.errors import SetupError
from service.tracing import NOT_TRACING, Tracing, ids_of, open_tracing, tracing_to

CHAT = UUID(int=7)


def of_one_worker(exporter: InMemorySpanExporter, name: str) -> None:
    tracing = tracing_to(exporter, instance=name)
    with (
        tracing.turn(CHAT, 2, worker=name),
        tracing.span("step", action="Generate"),
        tracing.span("model call", model="m", tokens=None) as call,
    ):
        call.set_attribute("parley.input_tokens", 12)
    tracing.close()


def test_two_workers_of_one_turn_write_one_trace() -> None:
    exporters = [InMemorySpanExporter(), InMemorySpanExporter()]
    for number, exporter in enumerate(exporters):
        of_one_worker(exporter, f"w{number}")
    spans = [s for e in exporters for s in e.get_finished_spans()]
    assert [s.name for s in spans] == ["model call", "step", "turn"] * 2
    trace_id, whole_turn = ids_of(CHAT, 2)
    assert {s.context.trace_id for s in spans if s.context} == {trace_id}
    turns = [s for s in spans if s.name == "turn"]
    assert {s.parent.span_id for s in turns if s.parent} == {whole_turn}


def test_spans_are_nested_and_carry_what_was_said() -> None:
    exporter = InMemorySpanExporter()
    of_one_worker(exporter, "w")
    call, step, turn = exporter.get_finished_spans()
    assert call.parent is not None
    assert call.parent == step.context
    assert step.parent == turn.context
    assert dict(call.attributes or {}) == {
        "parley.model": "m",
        "parley.input_tokens": 12,
    }
    assert dict(turn.attributes or {}) == {
        "parley.chat_id": str(CHAT),
        "parley.turn_id": 2,
        "parley.worker": "w",
    }


def test_other_turns_and_chats_have_other_traces() -> None:
    seen = {ids_of(chat, turn)[0] for chat in (CHAT, UUID(int=8)) for turn in (2, 5)}
    assert len(seen) == 4


def test_a_failure_within_a_span_tells_no_text() -> None:
    exporter = InMemorySpanExporter()
    tracing = tracing_to(exporter, instance="w")
    with pytest.raises(ValueError, match="secret"), tracing.span("tool", tool="clock"):
        raise ValueError("the user's secret")
    tracing.close()
    (span,) = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert "secret" not in span.to_json()


def test_without_an_address_nothing_is_traced() -> None:
    assert open_tracing(None, instance="w") is NOT_TRACING
    with NOT_TRACING.turn(CHAT, None) as turn, NOT_TRACING.span("step") as step:
        turn.set_attribute("a", 1)
        step.set_attribute("b", 2)
    NOT_TRACING.close()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SetupError, match=r"pip install 'parley\[otel\]'"):
        open_tracing("http://127.0.0.1:4318", instance="w")


def test_a_collector_address_makes_a_tracing() -> None:
    tracing = open_tracing("http://127.0.0.1:4318/", instance="w")
    assert isinstance(tracing, Tracing)
    assert tracing is not NOT_TRACING
    tracing.close()
