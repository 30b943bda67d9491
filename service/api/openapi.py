"""The OpenAPI 3.1 document, built from the table of operations and its models."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.problems import MEDIA_TYPE
from service.api.shapes import ProblemShape

REFERENCE = "#/components/schemas/{model}"

SSE_EVENTS = (
    "snapshot", "resync", "message", "message_part", "queue_update", "status",
    "retry", "error", "action_required", "history_truncated", "preview_reset",
    "turn_finished", "chat_updated", "caught_up", "bye",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter in the query or in a header."""

    name: str
    place: Literal["query", "header"]
    text: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Doc:
    """What the document says about an operation."""

    summary: str
    answer: type[BaseModel] | str
    """A model, or the media type of an answer that is not JSON."""
    status: int = 200
    body: type[BaseModel] | None = None
    body_optional: bool = False
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[int, ...] = ()
    open: bool = False
    """Needs no token."""


Described = tuple[str, str, Doc]
"""Method, path, and what is said about it."""


def build(operations: Sequence[Described], *, version: str) -> dict[str, Any]:
    """The whole document, as plain JSON."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, doc in operations:
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, doc)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Parley",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(doc for _, _, doc in operations),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }


def _operation(method: str, path: str, doc: Doc) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(method, path),
        "summary": doc.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True,
               "schema": {"type": "string", "format": "uuid"}}
              for name in re.findall(r"{(\w+)}", path)),
            *({"name": p.name, "in": p.place, "description": p.text,
               "schema": p.schema} for p in doc.parameters),
        ],
        "responses": {str(doc.status): _answer(doc), **_problems(doc)},
    }  # fmt: skip
    if doc.body is not None:
        operation["requestBody"] = {
            "required": not doc.body_optional,
            "content": {"application/json": {"schema": _reference(doc.body)}},
        }
    if doc.open:
        operation["security"] = []
    return operation


def _answer(doc: Doc) -> dict[str, Any]:
    if not isinstance(doc.answer, str):
        content = {"application/json": {"schema": _reference(doc.answer)}}
        return {"description": doc.summary, "content": content}
    media: dict[str, Any] = {"schema": {"type": "string"}}
    if doc.answer == "text/event-stream":
        media["x-sse-events"] = list(SSE_EVENTS)
    return {"description": doc.summary, "content": {doc.answer: media}}


def _problems(doc: Doc) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": _reference(ProblemShape)}}
    statuses = sorted({*doc.problems, *(() if doc.open else (401, 503))})
    return {str(s): {"description": "A problem", "content": content} for s in statuses}


def _schemas(docs: Iterable[Doc]) -> dict[str, Any]:
    bodies: dict[type[BaseModel], None] = {}
    answers: dict[type[BaseModel], None] = {ProblemShape: None}
    for doc in docs:
        if doc.body is not None:
            bodies[doc.body] = None
        if not isinstance(doc.answer, str):
            answers[doc.answer] = None
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
