"""The OpenAPI document, built from the table of operations and its models.

3.2 describes streams frame by frame (`itemSchema`). Tools that know no more than 3.1
can be given that; a stream is a string there, with its frames' names beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.frames import WITHOUT_ID, Frames
from service.api.problems import MEDIA_TYPE, PROBLEMS
from service.api.shapes import ProblemShape

REFERENCE = "#/components/schemas/{model}"

Release = Literal["3.2.0", "3.1.0"]

JSON = "application/json"
EVENTS = "text/event-stream"

NUMBER = {"type": "integer", "minimum": 1}
PATH_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat_id": ("id of a chat of yours", {"type": "string", "format": "uuid"}),
    "message_id": ("id of a message that you said", NUMBER),
    "queued_id": ("id of a message that waits in the queue", NUMBER),
    "user": ("me, or your id", {"type": "string"}),
}
"""What a path names: what it is, and its form; messages have a version for their id."""

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of `parley token create`.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "Opens one stream, once: POST /api/v1/stream-tickets.",
    },
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query or in a header."""

    name: str
    place: Literal["query", "header"]
    text: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """A header of an answer."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Doc:
    """What the document says about an operation."""

    summary: str
    answer: type[BaseModel] | str | None
    """A model, the media type of an answer that is not ours, or None: `frames` only, or
    nothing at all."""
    status: int = 200
    frames: Frames | None = None
    """Answers with an event stream of these (also)."""
    lines: type[BaseModel] | None = None
    """Answers with lines of JSON, too."""
    body: type[BaseModel] | None = None
    body_optional: bool = False
    parameters: tuple[Parameter, ...] = ()
    headers: tuple[Header, ...] = ()
    problems: tuple[int, ...] = ()
    open: bool = False
    """Needs no token."""
    ticket: bool = False
    """Takes a stream ticket instead of a token."""


Described = tuple[str, str, Doc]
"""Method, path, and what is said about it."""


def build(
    operations: Sequence[Described], *, version: str, release: Release = "3.2.0"
) -> dict[str, Any]:
    """The whole document, as plain JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, doc in operations:
        operation = _operation(method, path, doc, release)
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": release,
        "info": {
            "title": "Parley",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas([doc for _, _, doc in operations]),
            "securitySchemes": SECURITY_SCHEMES,
        },
        "security": [{"bearer": []}],
    }


def _operation(method: str, path: str, doc: Doc, release: Release) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(method, path),
        "summary": doc.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True,
               "description": PATH_PARAMETERS[name][0],
               "schema": PATH_PARAMETERS[name][1]}
              for name in re.findall(r"{(\w+)}", path)),
            *({"name": p.name, "in": p.place, "description": p.text,
               "schema": p.schema} for p in doc.parameters),
        ],
        "responses": {str(doc.status): _answer(doc, release), **_problems(doc)},
    }  # fmt: skip
    if doc.body is not None:
        operation["requestBody"] = {
            "required": not doc.body_optional,
            "content": {JSON: {"schema": _reference(doc.body)}},
        }
    if doc.open:
        operation["security"] = []
    elif doc.ticket:
        operation["security"] = [{"bearer": []}, {"ticket": []}]
    return operation


def _answer(doc: Doc, release: Release) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": doc.summary}
    if doc.headers:
        answer["headers"] = {
            h.name: {"description": h.text, "schema": {"type": "string"}}
            for h in doc.headers
        }
    if contents := dict(_contents(doc, release)):
        answer["content"] = contents
    return answer


def _contents(doc: Doc, release: Release) -> Iterator[tuple[str, dict[str, Any]]]:
    """Media types, each with what is sent as it."""
    if isinstance(doc.answer, str):
        anything = doc.answer == JSON
        yield doc.answer, {"schema": {"type": "object" if anything else "string"}}
    elif doc.answer is not None:
        yield JSON, {"schema": _reference(doc.answer)}
    of_item = "itemSchema" if release == "3.2.0" else None
    if doc.lines is not None:
        item = _reference(doc.lines)
        schema = {of_item: item} if of_item else {"schema": {"type": "string"}}
        yield "application/x-ndjson", schema
    if doc.frames is not None and of_item:
        yield EVENTS, {of_item: _frame_schema(doc.frames)}
    elif doc.frames is not None:
        yield EVENTS, {"schema": {"type": "string"}, "x-sse-events": [*doc.frames]}


def _frame_schema(frames: Frames) -> dict[str, Any]:
    """Blocks as a client parses them; comments and `retry` are not among them."""
    return {"oneOf": [_block(name, data) for name, data in frames.items()]}


def _block(name: str, data: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "id": {"type": "string", "description": "The place after it, opaque."},
        "event": {"const": name},
        "data": {
            "type": "string",
            "contentMediaType": JSON,
            "contentSchema": _reference(data),
        },
    }
    required = ["id", "event", "data"]
    if name in WITHOUT_ID:
        del properties["id"]
    if name in WITHOUT_ID or name == "error":
        required.remove("id")
    return {"type": "object", "properties": properties, "required": required}


def _problems(doc: Doc) -> dict[str, Any]:
    statuses = sorted({*doc.problems, *(() if doc.open else (401, 429, 503))})
    return {str(status): _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    kinds = [slug for slug, kind in PROBLEMS.items() if kind.status == status]
    return {
        "description": f"A problem: {', '.join(kinds)}",
        "content": {MEDIA_TYPE: {"schema": _reference(ProblemShape)}},
    }


def _schemas(docs: Iterable[Doc]) -> dict[str, Any]:
    bodies: dict[type[BaseModel], None] = {}
    answers: dict[type[BaseModel], None] = {ProblemShape: None}
    for doc in docs:
        if doc.body is not None:
            bodies[doc.body] = None
        if doc.answer is not None and not isinstance(doc.answer, str):
            answers[doc.answer] = None
        if doc.lines is not None:
            answers[doc.lines] = None
        answers |= dict.fromkeys((doc.frames or {}).values())
    _, schema = models_json_schema(
        [(m, "validation") for m in bodies] + [(m, "serialization") for m in answers],
        ref_template=REFERENCE,
    )
    definitions: dict[str, Any] = schema["$defs"]
    return dict(sorted(definitions.items()))


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _operation_id(method: str, path: str) -> str:
    words = re.sub(r"{\w+}", "one", path.removeprefix("/api/v1"))
    return "_".join([method.lower(), *re.findall(r"\w+", words)])
