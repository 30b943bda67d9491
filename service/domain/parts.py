"""Parts of a message: one shape for the log, the wire and the model's prompt.

A part carries only its own variant's fields; what is absent is left out of the JSON.
`provider_metadata` is kept in the log for the model and stripped from every egress.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from service.domain.times import Instant


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TextPart(_Part):
    """Text as a person or the model wrote it."""

    type: Literal["text"] = "text"
    text: str
    provider_metadata: dict[str, JsonValue] | None = None


class ReasoningPart(_Part):
    """What the model thought; created_at is its start, completed_at its end."""

    type: Literal["reasoning"] = "reasoning"
    text: str
    created_at: Instant | None = None
    completed_at: Instant | None = None
    provider_metadata: dict[str, JsonValue] | None = None


class ToolCallPart(_Part):
    """A call that the model asks for; created_at is when it had emitted the call.

    `args` is absent when the model's arguments were not valid JSON.
    """

    type: Literal["tool-call"] = "tool-call"
    tool_call_id: str
    tool_name: str
    args: JsonValue = None
    provider_executed: bool = False
    created_at: Instant | None = None
    provider_metadata: dict[str, JsonValue] | None = None


class ToolResultPart(_Part):
    """The answer to a call; created_at is when it was produced."""

    type: Literal["tool-result"] = "tool-result"
    tool_call_id: str
    tool_name: str
    result: JsonValue = None
    is_error: bool = False
    provider_executed: bool = False
    created_at: Instant | None = None
    provider_metadata: dict[str, JsonValue] | None = None


class FileReferencePart(_Part):
    """Lines of a file that the user points at, with their text. Lines count from 1."""

    type: Literal["file-reference"] = "file-reference"
    file_name: str
    start_line: int
    end_line: int
    content: str


class SourcePart(_Part):
    """A page that the model relied on."""

    type: Literal["source"] = "source"
    source_id: str
    url: str
    title: str | None = None


class FilePart(_Part):
    """A file that the user attached, by its id. `media_type` is as it was sniffed."""

    type: Literal["file"] = "file"
    file_id: UUID
    media_type: str
    name: str | None = None


Part = Annotated[
    TextPart
    | ReasoningPart
    | ToolCallPart
    | ToolResultPart
    | FileReferencePart
    | SourcePart
    | FilePart,
    Field(discriminator="type"),
]

INTERNAL_FIELDS = frozenset({"provider_metadata"})
"""Stored, never sent to a client."""


def public_part(part: Part) -> dict[str, Any]:
    """The part as clients see it: plain JSON, internal and absent fields left out."""
    return part.model_dump(mode="json", exclude_none=True, exclude=set(INTERNAL_FIELDS))
