"""Traces of real turns: one trace each, with steps, model calls and tools in it."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service.tracing import ids_of, tracing_to
from tests.fixtures.byhand import ChatByHand
from tests.fixtures.stack import Stack
from tests.integration.agent.crew import Watch, hand, rests


async def traced(
    stack: Stack, watch: Watch, *said: str
) -> tuple[ChatByHand, Sequence[ReadableSpan]]:
    """A chat in which this was said, and the spans of its turns by their beginning."""
    exporter = InMemorySpanExporter()
    tracing = tracing_to(exporter, instance="w1")
    first, *more = said
    async with hand(stack, tracing=tracing):
        chat = await ChatByHand.create(stack, first)
        await watch.until(chat.id, rests)
        for text in more:
            await chat.send(text)
            await watch.until(chat.id, rests)
    tracing.close()
    spans = exporter.get_finished_spans()
    return chat, sorted(spans, key=lambda span: span.start_time or 0)


async def test_a_turn_is_a_trace_of_its_steps(stack: Stack, watch: Watch) -> None:
    chat, spans = await traced(stack, watch, "what time is it?")
    assert [span.name for span in spans] == [
        "turn",
        *("step", "model call"),
        *("step", "tool"),
        *("step", "model call"),
        "step",
    ]
    assert {s.context.trace_id for s in spans if s.context} == {ids_of(chat.id, 2)[0]}
    by_id = {span.context.span_id: span.name for span in spans if span.context}
    parents = {s.name: by_id.get(s.parent.span_id) for s in spans if s.parent}
    assert parents == {
        "turn": None,
        "step": "turn",
        "model call": "step",
        "tool": "step",
    }
    called = next(span for span in spans if span.name == "model call")
    assert dict(called.attributes or {}).keys() == {
        "parley.provider",
        "parley.model",
        "parley.attempt",
        "parley.input_tokens",
        "parley.output_tokens",
    }


async def test_each_turn_of_a_chat_has_its_own_trace(
    stack: Stack, watch: Watch
) -> None:
    chat, spans = await traced(stack, watch, "count 2", "count 3")
    turns = [m.id for m in (await chat.state()).messages if m.role == "user"]
    assert [s.context.trace_id for s in spans if s.name == "turn" and s.context] == [
        ids_of(chat.id, turn)[0] for turn in turns
    ]


async def test_nothing_that_was_said_is_in_a_trace(stack: Stack, watch: Watch) -> None:
    _, spans = await traced(stack, watch, "my secret is swordfish", "fail swordfish")
    assert spans
    assert not [span for span in spans if "swordfish" in span.to_json()]
