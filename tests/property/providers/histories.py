"""Histories of all kinds: whole ones, and such as no version of ours ever wrote."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from service.domain.chat.state import Message
from service.domain.parts import (
    FilePart,
    FileReferencePart,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.provider import FileContent
from tests.builders import NOW

IDENTITIES = ("me", "you")

FILE, GONE, EMPTY = UUID(int=1), UUID(int=2), UUID(int=3)

FILES = {
    FILE: FileContent("image/png", b"png", "a.png"),
    EMPTY: FileContent("image/png", b"", "b.png"),
}

IDS = st.sampled_from(["c1", "c2", "c.2", "c_2", "", "x" * 60, "srvtoolu_1"])
TEXTS = st.sampled_from(["", " ", "hello", "so", "a\0b", "\ud800", "ключ"])
METADATA: st.SearchStrategy[Any] = st.none() | st.fixed_dictionaries(
    {"provider": st.sampled_from([*IDENTITIES, "nobody"])},
    optional={
        "id": IDS,
        "signature": st.sampled_from(["sig", ""]),
        "details": st.just({"phase": "commentary"}),
        "lengths": st.lists(st.integers(0, 5), max_size=2),
    },
)

CALLS = st.builds(
    ToolCallPart,
    tool_call_id=IDS,
    tool_name=st.sampled_from(["clock", "a.b", "", "web_search"]),
    args=st.sampled_from([None, {}, {"a": "\0"}, "text", [1]]),
    provider_executed=st.booleans(),
    provider_metadata=METADATA,
)
RESULTS = st.builds(
    ToolResultPart,
    tool_call_id=IDS,
    tool_name=st.sampled_from(["clock", "", "web_search"]),
    result=st.sampled_from(
        [None, "noon", {"error": "no"}, [{"url": "https://a.b", "title": "A"}], 0]
    ),
    is_error=st.booleans(),
    provider_executed=st.booleans(),
    provider_metadata=METADATA,
)

PARTS: st.SearchStrategy[Any] = st.one_of(
    st.builds(TextPart, text=TEXTS, provider_metadata=METADATA),
    st.builds(ReasoningPart, text=TEXTS, provider_metadata=METADATA),
    CALLS,
    RESULTS,
    st.builds(SourcePart, source_id=IDS, url=st.just("https://a.b")),
    st.builds(
        FilePart,
        file_id=st.sampled_from([FILE, GONE, EMPTY]),
        media_type=st.just("image/png"),
        name=st.none() | TEXTS,
    ),
    st.builds(
        FileReferencePart,
        file_name=TEXTS,
        start_line=st.just(1),
        end_line=st.just(2),
        content=TEXTS,
    ),
)


def message(role: str, *parts: Any) -> Message:
    return Message(1, role, "both", parts, NOW)  # type: ignore[arg-type]


MESSAGES = st.lists(
    st.builds(
        Message,
        id=st.just(1),
        role=st.sampled_from(["system", "user", "assistant", "assistant", "tool"]),
        visibility=st.sampled_from(["both", "both", "model", "user"]),
        parts=st.lists(PARTS, max_size=4).map(tuple),
        created_at=st.just(NOW),
    ),
    max_size=8,
)
