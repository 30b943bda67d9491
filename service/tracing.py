"""Traces of turns, by OpenTelemetry, for whoever has configured an address for them.

A turn is one trace, whichever workers run it: the ids of its trace come from the chat
and the message that began it. In it are spans for a worker's part of the turn, its
steps, calls of models and of tools. Attributes are ids, names and counts; what people
or models say is never among them, nor is the text of an error.

Not configured, nothing of OpenTelemetry is imported and a span costs nothing.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from uuid import UUID

from service.errors import SetupError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

Value = str | int | float | bool

SERVICE = "parley"


class Span(Protocol):
    """What is under way."""

    def set_attribute(self, key: str, value: Value) -> None:
        """Say something about it."""
        ...


class _Unseen:
    """A span that nobody looks at."""

    def set_attribute(self, key: str, value: Value) -> None:
        """Say it to nobody."""


UNSEEN = _Unseen()


class Tracing:
    """Opens spans; without a provider, spans that nobody sees."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SERVICE) if provider is not None else None

    @contextmanager
    def turn(self, chat_id: UUID, turn_id: int | None, **said: Value) -> Iterator[Span]:
        """A worker's part of a turn; spans within it belong to the turn's trace."""
        if self._tracer is None:
            yield UNSEEN
            return
        from opentelemetry import trace

        trace_id, span_id = ids_of(chat_id, turn_id)
        begun = trace.SpanContext(
            trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(1)
        )
        parent = trace.set_span_in_context(trace.NonRecordingSpan(begun))
        attributes = {"parley.chat_id": str(chat_id), **_named(said)}
        if turn_id is not None:
            attributes["parley.turn_id"] = turn_id
        with self._open("turn", attributes, parent) as span:
            yield span

    @contextmanager
    def span(self, name: str, **said: Value | None) -> Iterator[Span]:
        """Something within what is under way; `said` without what is None."""
        if self._tracer is None:
            yield UNSEEN
            return
        with self._open(name, _named(said)) as span:
            yield span

    @contextmanager
    def _open(
        self, name: str, attributes: dict[str, Value], parent: Context | None = None
    ) -> Iterator[Span]:
        from opentelemetry.trace import StatusCode

        assert self._tracer is not None  # noqa: S101  whoever asks has looked
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                # its text may quote what somebody wrote
                span.set_status(StatusCode.ERROR, type(error).__qualname__)
                raise

    def close(self) -> None:
        """Send what was not sent yet; blocks for some seconds at most."""
        if self._provider is not None:
            self._provider.shutdown()


NOT_TRACING = Tracing()


def open_tracing(endpoint: str | None, *, instance: str) -> Tracing:
    """Tracing to an OTLP collector, its HTTP address; None: no tracing.

    Raises SetupError when the packages for it are not installed.
    """
    if endpoint is None:
        return NOT_TRACING
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )
    except ImportError as error:
        raise SetupError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and its packages are not installed; "
            f"{sys.executable} -m pip install 'parley[otel]'"
        ) from error
    address = f"{endpoint.rstrip('/')}/v1/traces"
    return tracing_to(OTLPSpanExporter(endpoint=address), instance=instance)


def tracing_to(exporter: SpanExporter, *, instance: str) -> Tracing:
    """Tracing through this exporter, in batches off the event loop."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create(
        {"service.name": SERVICE, "service.instance.id": instance}
    )
    # at exit it is the service that closes it, in its own order
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider)


def ids_of(chat_id: UUID, turn_id: int | None) -> tuple[int, int]:
    """Trace id and the id of the span that stands for the whole turn; never zero."""
    digest = hashlib.sha256(f"{chat_id}:{turn_id}".encode()).digest()
    trace_id = int.from_bytes(digest[:16], "big") or 1
    return trace_id, int.from_bytes(digest[16:24], "big") or 1


def _named(said: dict[str, Value | None] | dict[str, Value]) -> dict[str, Value]:
    return {
        f"parley.{name}": value for name, value in said.items() if value is not None
    }
