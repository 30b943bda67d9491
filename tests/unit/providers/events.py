"""Events of the vendors' streams, as their public documentation shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

USAGE = {
    "input_tokens": 110,
    "output_tokens": 20,
    "total_tokens": 130,
    "input_tokens_details": {"cached_tokens": 100},
    "output_tokens_details": {"reasoning_tokens": 5},
}

Event = dict[str, Any]


def response(**fields: Any) -> Event:
    """A response of the Responses API; it repeats what it was asked."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_770_000_000,
        "model": "gpt-5",
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": "what the operator says",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **fields,
    }


class Items:
    """The items of one response, in running order."""

    def __init__(self) -> None:
        self._sequence = 0
        self._index = -1

    def event(self, kind: str, **fields: Any) -> Event:
        self._sequence += 1
        return {
            "type": f"response.{kind}", "sequence_number": self._sequence, **fields,
        }  # fmt: skip

    def created(self) -> Event:
        return self.event("created", response=response())

    def completed(self, **fields: Any) -> Event:
        told = {"status": "completed", "usage": USAGE, **fields}
        return self.event("completed", response=response(**told))

    def _added(self, **item: Any) -> Event:
        self._index += 1
        return self.event("output_item.added", output_index=self._index, item=item)

    def _done(self, **item: Any) -> Event:
        return self.event("output_item.done", output_index=self._index, item=item)

    def _of(self, item_id: str, kind: str, **fields: Any) -> Event:
        fields = {"item_id": item_id, "output_index": self._index, **fields}
        return self.event(kind, **fields)

    def reasoning(self, item_id: str, *texts: str, key: str | None) -> Iterator[Event]:
        item = {"id": item_id, "type": "reasoning"}
        yield self._added(**item, summary=[])
        for number, text in enumerate(texts):
            part = {"type": "summary_text", "text": ""}
            kind = "reasoning_summary"
            at = {"summary_index": number}
            yield self._of(item_id, f"{kind}_part.added", **at, part=part)
            yield self._of(item_id, f"{kind}_text.delta", **at, delta=text)
            yield self._of(item_id, f"{kind}_text.done", **at, text=text)
            yield self._of(
                item_id, f"{kind}_part.done", **at, part={**part, "text": text}
            )
        summary = [{"type": "summary_text", "text": text} for text in texts]
        yield self._done(**item, summary=summary, encrypted_content=key)

    def search(
        self, item_id: str, query: str, status: str = "completed"
    ) -> Iterator[Event]:
        item = {"id": item_id, "type": "web_search_call"}
        yield self._added(**item, status="in_progress")
        yield self._of(item_id, "web_search_call.in_progress")
        yield self._of(item_id, "web_search_call.completed")
        action = {"type": "search", "query": query}
        yield self._done(**item, status=status, action=action)

    def text(
        self, item_id: str, *pieces: str, cites: tuple[Event, ...] = ()
    ) -> Iterator[Event]:
        item = {"id": item_id, "type": "message", "role": "assistant"}
        at = {"content_index": 0}
        part = {"type": "output_text", "text": "".join(pieces), "annotations": []}
        yield self._added(
            **item, status="in_progress", content=[], phase="final_answer"
        )
        yield self._of(item_id, "content_part.added", **at, part={**part, "text": ""})
        for piece in pieces:
            yield self._of(item_id, "output_text.delta", **at, delta=piece, logprobs=[])
        for number, cite in enumerate(cites):
            told = {"annotation_index": number, "annotation": cite}
            yield self._of(item_id, "output_text.annotation.added", **at, **told)
        text = {"text": part["text"], "logprobs": []}
        yield self._of(item_id, "output_text.done", **at, **text)
        yield self._of(item_id, "content_part.done", **at, part=part)
        yield self._done(**item, status="completed", content=[part])

    def refusal(self, item_id: str, text: str) -> Iterator[Event]:
        item = {"id": item_id, "type": "message", "role": "assistant"}
        at = {"content_index": 0}
        yield self._added(**item, status="in_progress", content=[])
        yield self._of(item_id, "refusal.delta", **at, delta=text)
        yield self._of(item_id, "refusal.done", **at, refusal=text)
        content = [{"type": "refusal", "refusal": text}]
        yield self._done(**item, status="completed", content=content)

    def call(
        self, item_id: str, call_id: str, name: str, *pieces: str
    ) -> Iterator[Event]:
        item = {
            "id": item_id, "type": "function_call", "call_id": call_id, "name": name,
        }  # fmt: skip
        args = "".join(pieces)
        yield self._added(**item, status="in_progress", arguments="")
        for piece in pieces:
            yield self._of(item_id, "function_call_arguments.delta", delta=piece)
        done = {"arguments": args, "name": name}
        yield self._of(item_id, "function_call_arguments.done", **done)
        yield self._done(**item, status="completed", arguments=args)


def started(**usage: int) -> Event:
    """The first event of Anthropic's messages."""
    return {
        "type": "message_start",
        "message": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-5-5",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 1, **usage},
        },
    }


def block(index: int, begun: Event, *deltas: Event) -> Iterator[Event]:
    """One block of content."""
    at = {"index": index}
    yield {"type": "content_block_start", **at, "content_block": begun}
    for delta in deltas:
        yield {"type": "content_block_delta", **at, "delta": delta}
    yield {"type": "content_block_stop", **at}


def thinking(index: int, text: str, signature: str) -> Iterator[Event]:
    yield from block(
        index,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": text},
        {"type": "signature_delta", "signature": signature},
    )


def spoken(index: int, *pieces: str, cites: tuple[Event, ...] = ()) -> Iterator[Event]:
    yield from block(
        index,
        {"type": "text", "text": ""},
        *({"type": "text_delta", "text": piece} for piece in pieces),
        *({"type": "citations_delta", "citation": cite} for cite in cites),
    )


def searched(index: int, call_id: str, query: str) -> Iterator[Event]:
    """A search without its result."""
    yield from block(
        index,
        {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {}},
        {"type": "input_json_delta", "partial_json": '{"query": '},
        {"type": "input_json_delta", "partial_json": f'"{query}"}}'},
    )


def found(index: int, call_id: str, content: Any) -> Iterator[Event]:
    """The result of a search."""
    result = {"type": "web_search_tool_result", "tool_use_id": call_id}
    yield from block(index, {**result, "content": content})


def page(url: str, title: str) -> Event:
    return {
        "type": "web_search_result",
        "url": url,
        "title": title,
        "encrypted_content": "EqgfCioIARgB",
        "page_age": None,
    }


def stopped(reason: str, *, whole: bool = True, **fields: Any) -> Iterator[Event]:
    """The end; without its last event where it is not `whole`."""
    delta = {"stop_reason": reason, "stop_sequence": None, **fields}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 9}}
    if whole:
        yield {"type": "message_stop"}


def chunk(
    delta: Event | None = None, reason: str | None = None, **fields: Any
) -> Event:
    """A chunk of chat completions."""
    choice = {"index": 0, "delta": delta or {}, "finish_reason": reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_770_000_000,
        "model": "gpt-5",
        "choices": [choice],
        **fields,
    }
