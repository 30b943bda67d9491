"""What clients may send: strict pydantic models, and the rules that need no database.

Unknown fields are refused, types are not converted. The text of every error is ours
and names the field by a dotted path; what the client sent is never repeated.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from service.domain.events.chat import BusyBehavior, ClientType, TurnSettings
from service.domain.parts import FileReferencePart, Part, TextPart
from service.errors import FieldError

SYSTEM_PROMPT_CHARS = 10_000
LABELS = 50
LABEL_KEY_BYTES = 64
LABEL_VALUE_BYTES = 256
PAGE_DEFAULT = 50
PAGE_MAX = 200

LABEL_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/-]*")

ERRORS_SHOWN = 20
"""A body of 256 KiB can hold a hundred thousand wrong fields."""
PATH_CHARS = 200

LABELS_TOLD: JsonDict = {
    "description": "At most 256 bytes each.",
    "maxProperties": LABELS,
    "propertyNames": {"pattern": f"^{LABEL_KEY.pattern}$", "maxLength": 64},
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
}
"""The rules of `label_errors`, as far as JSON Schema can say them."""

_PART_TYPES = ("text", "file", "file-reference")
_TEXTS = {
    "extra_forbidden": "there is no such field",
    "string_too_short": "may not be empty",
    "too_short": "may not be empty",
    "union_tag_invalid": f"unknown type of part; known are {', '.join(_PART_TYPES)}",
    "union_tag_not_found": f"needs a type, one of {', '.join(_PART_TYPES)}",
    "uuid_parsing": "is not a UUID",
    "uuid_type": "is not a UUID",
    "missing": "is required",
}
"""Our words where pydantic's would repeat input, or speak of Python."""

_NIL = UUID(int=0)
_JOINERS = "\u200c\u200d"
"""Invisible, but Persian, Hindi and emoji are written with them."""

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


_SAID = {"content": [{"type": "text", "text": "count 3"}]}


def _example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TextInput(_Body):
    """Text; blanks round it do not count, and it may not be empty without them."""

    type: Literal["text"]
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

    def part(self) -> Part:
        return TextPart(text=self.text)


class FileReferenceInput(_Body):
    """Lines of a file that the user points at."""

    type: Literal["file-reference"]
    file_name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    start_line: int = Field(ge=1, le=2**31 - 1)
    end_line: int = Field(ge=1, le=2**31 - 1)
    content: str

    @model_validator(mode="after")
    def _in_order(self) -> FileReferenceInput:
        if self.end_line < self.start_line:
            raise PydanticCustomError("order", "end_line is before start_line")
        return self

    def part(self) -> Part:
        return FileReferencePart(
            file_name=self.file_name,
            start_line=self.start_line,
            end_line=self.end_line,
            content=self.content,
        )


class FileInput(_Body):
    """An uploaded file. There are none yet, so any id is unknown."""

    type: Literal["file"]
    file_id: UUID

    @field_validator("file_id")
    @classmethod
    def _unknown(cls, _: UUID) -> UUID:
        raise PydanticCustomError("unknown", "there is no such file")

    def part(self) -> Part:
        raise AssertionError("no file passes its validation")


InputPart = Annotated[
    TextInput | FileReferenceInput | FileInput, Field(discriminator="type")
]
Content = Annotated[list[InputPart], Field(min_length=1)]


def _none_exists(kind: str) -> AfterValidator:
    """Refuse every id: nothing of this kind can be made in this release."""

    def refuse(value: Any) -> Any:
        if value:
            raise PydanticCustomError("unknown", f"there is no such {kind}")
        return value

    return AfterValidator(refuse)


class _Turn(_Body):
    """What both a create and a send say."""

    content: Content
    model_config_id: Annotated[UUID | None, _none_exists("model config")] = None
    mcp_server_ids: Annotated[list[UUID] | None, _none_exists("MCP server")] = None
    reasoning_effort: ReasoningEffort | None = None
    plan_mode: Literal["", "plan"] | None = None

    def parts(self) -> tuple[Part, ...]:
        """The content as parts of a message."""
        return tuple(item.part() for item in self.content)

    def settings(self) -> TurnSettings | None:
        """What the message asks of its turn, if anything."""
        if self.reasoning_effort is None and self.plan_mode is None:
            return None
        return TurnSettings(
            reasoning_effort=self.reasoning_effort, plan_mode=self.plan_mode
        )


class CreateChatBody(_Turn):
    """POST /api/v1/chats."""

    model_config = _example({**_SAID, "labels": {"team": "support"}})

    organization_id: UUID | None = None
    system_prompt: str = ""
    workspace_id: Annotated[UUID | None, _none_exists("workspace")] = None
    labels: dict[str, str] = Field(default_factory=dict, json_schema_extra=LABELS_TOLD)
    client_type: ClientType = "api"

    @field_validator("organization_id")
    @classmethod
    def _not_nil(cls, value: UUID | None) -> UUID | None:
        if value == _NIL:
            raise PydanticCustomError("nil", "the nil UUID names no organization")
        return value

    @field_validator("system_prompt")
    @classmethod
    def _sanitise(cls, value: str) -> str:
        if len(value) > SYSTEM_PROMPT_CHARS:
            raise PydanticCustomError(
                "too_long", f"at most {SYSTEM_PROMPT_CHARS} characters"
            )
        return strip_invisible(value).strip()


class SendMessageBody(_Turn):
    """POST /api/v1/chats/{chat_id}/messages."""

    model_config = _example({**_SAID, "busy_behavior": "interrupt"})

    busy_behavior: BusyBehavior = "queue"


class InterruptBody(_Body):
    """POST /api/v1/chats/{chat_id}/interrupt; the body may be left out."""


class TicketBody(_Body):
    """POST /api/v1/stream-tickets."""

    model_config = _example({"chat_id": "6422b81e-14b0-561f-a834-c3d1314ecd6c"})

    chat_id: UUID | None = Field(
        default=None, description="The chat to follow; none: all your chats."
    )


def strip_invisible(text: str) -> str:
    """The text without format characters, in which instructions can hide."""
    return "".join(c for c in text if c in _JOINERS or unicodedata.category(c) != "Cf")


def label_errors(labels: dict[str, str]) -> list[FieldError]:
    """What is wrong with labels, all of it at once."""
    errors = []
    if len(labels) > LABELS:
        errors.append(FieldError("labels", f"at most {LABELS} labels"))
    for key, value in labels.items():
        field = f"labels.{key[:LABEL_KEY_BYTES]}"
        if len(key.encode()) > LABEL_KEY_BYTES:
            errors.append(
                FieldError(field, f"a key has at most {LABEL_KEY_BYTES} bytes")
            )
        elif LABEL_KEY.fullmatch(key) is None:
            errors.append(
                FieldError(
                    field,
                    "a key starts with a letter or digit and goes on "
                    "with letters, digits, '.', '_', '/', '-'",
                )
            )
        if not 1 <= len(value.encode()) <= LABEL_VALUE_BYTES:
            errors.append(
                FieldError(field, f"a value has 1 to {LABEL_VALUE_BYTES} bytes")
            )
    return errors


def field_errors(error: ValidationError) -> list[FieldError]:
    """Pydantic's errors as ours: dotted path, and a text that repeats no input."""
    problems = error.errors(
        include_input=False, include_url=False, include_context=False
    )
    return [
        FieldError(_path(p["loc"]), _TEXTS.get(p["type"], p["msg"]))
        for p in problems[:ERRORS_SHOWN]
    ]


def _path(location: tuple[int | str, ...]) -> str:
    """`content.0.text`, without the tags of unions that pydantic puts between."""
    steps = [
        str(step)
        for index, step in enumerate(location)
        if not (index == 2 and location[0] == "content" and step in _PART_TYPES)
    ]
    return ".".join(steps)[:PATH_CHARS]
