"""Rules of single fields, the base of all bodies, and how what is wrong is told.

Unknown fields are refused, types are not converted. The text of every error is ours
and names the field by a dotted path; what the client sent is never repeated.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from service.errors import FieldError

SYSTEM_PROMPT_CHARS = 10_000
TITLE_CHARS = 200
LABELS = 50
LABEL_KEY_BYTES = 64
LABEL_VALUE_BYTES = 256
VERSION_MAX = 2**31 - 1
"""Versions are int4 in the database, and what is named after one is too."""

LABEL_KEY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._/-]*")

ERRORS_SHOWN = 20
"""A body of 256 KiB can hold a hundred thousand wrong fields."""
PATH_CHARS = 200

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

_JOINERS = "\u200c\u200d"
"""Invisible, but Persian, Hindi and emoji are written with them."""

_INTEGERS = range(-(2**63), 2**64)
"""What every JSON library on the way keeps as it is."""


class Body(BaseModel):
    """Something that a client sends."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    said_only: ClassVar[bool] = False
    """Whether a field that is given means more than one that is left out."""

    def meaning(self) -> dict[str, Any]:
        """What was asked, as JSON; the same for bodies that mean the same.

        Defaults are left out, so a release that adds an optional field still recognises
        the retry of a request that an older one took.
        """
        return self.model_dump(
            mode="json",
            exclude_unset=self.said_only,
            exclude_defaults=not self.said_only,
        )


def example(shown: dict[str, Any]) -> ConfigDict:
    """The settings of a body with an example of it."""
    return ConfigDict(json_schema_extra={"examples": [shown]})


def refusal(detail: str) -> PydanticCustomError:
    """What a validator raises; `detail` must not repeat what was sent."""
    return PydanticCustomError("refused", "{detail}", {"detail": detail})


def none_exists(kind: str) -> AfterValidator:
    """Refuse every id: nothing of this kind can be made in this release."""

    def refuse(value: Any) -> Any:
        if value:
            raise refusal(f"there is no such {kind}")
        return value

    return AfterValidator(refuse)


def strip_invisible(text: str) -> str:
    """The text without format characters, in which instructions can hide."""
    return "".join(c for c in text if c in _JOINERS or unicodedata.category(c) != "Cf")


def _not_nil(value: UUID | None) -> UUID | None:
    if value == UUID(int=0):
        raise refusal("the nil UUID names nothing")
    return value


def _system_prompt(text: str) -> str:
    if len(text) > SYSTEM_PROMPT_CHARS:
        raise refusal(f"at most {SYSTEM_PROMPT_CHARS} characters")
    return strip_invisible(text).strip()


def _title(text: str) -> str:
    title = strip_invisible(text).strip()
    if not title.strip(_JOINERS) or len(title) > TITLE_CHARS:
        raise refusal(f"is from 1 to {TITLE_CHARS} characters that can be seen")
    return title


def label_key(key: str) -> str:
    """The key, if it is one."""
    if len(key.encode()) > LABEL_KEY_BYTES:
        raise refusal(f"a key has at most {LABEL_KEY_BYTES} bytes")
    if LABEL_KEY.fullmatch(key) is None:
        raise refusal(
            "a key starts with a letter or digit and goes on "
            "with letters, digits, '.', '_', '/', '-'"
        )
    return key


def label_value(value: str) -> str:
    """The value, if it is one."""
    if not 1 <= len(value.encode()) <= LABEL_VALUE_BYTES:
        raise refusal(f"a value has 1 to {LABEL_VALUE_BYTES} bytes")
    return value


def _count(labels: dict[str, str]) -> dict[str, str]:
    if len(labels) > LABELS:
        raise refusal(f"at most {LABELS} labels")
    return labels


def storable(value: Any) -> Any:
    """Any JSON, unless its numbers would not come back as they were sent."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
        elif isinstance(item, int) and item not in _INTEGERS:
            raise refusal("holds an integer of more than 64 bits")
    return value


_LABELS_TOLD: JsonDict = {
    "description": "At most 256 bytes each.",
    "maxProperties": LABELS,
    "propertyNames": {"pattern": f"^{LABEL_KEY.pattern}$", "maxLength": 64},
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 256},
}
"""The rules of labels, as far as JSON Schema can say them."""

Labels = Annotated[
    dict[
        Annotated[str, AfterValidator(label_key)],
        Annotated[str, AfterValidator(label_value)],
    ],
    AfterValidator(_count),
    Field(json_schema_extra=_LABELS_TOLD),
]
SystemPrompt = Annotated[str, AfterValidator(_system_prompt)]
Title = Annotated[
    str,
    AfterValidator(_title),
    Field(
        description=f"1 to {TITLE_CHARS} characters; blanks round it do not count.",
        json_schema_extra={"minLength": 1},
    ),
]
ModelConfigId = Annotated[UUID | None, AfterValidator(_not_nil)]
"""Whether there is such a config only the catalog knows: see `model_choice`."""
WorkspaceId = Annotated[UUID | None, none_exists("workspace")]
McpServerIds = Annotated[list[UUID], none_exists("MCP server")]


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
    """`content.0.text`, without what pydantic puts between and after: tags, `[key]`."""
    steps = [str(step) for step in location]
    if steps[:1] == ["labels"]:
        steps = ["labels", *(key[:LABEL_KEY_BYTES] for key in steps[1:2])]
    elif steps[:1] == ["content"] and steps[2:3] and steps[2] in _PART_TYPES:
        del steps[2]
    return ".".join(steps)[:PATH_CHARS]
