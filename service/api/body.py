"""Reading a request: body, query and idempotency key, each within its bounds.

What the database cannot hold (NUL, lone surrogates) and what would cost more to look at
than it is worth (size, depth) is refused here, before anything is decided.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.requests import Request

from service import wire
from service.api.fields import PATH_CHARS, Body, field_errors
from service.api.problems import invalid
from service.api.query import known_only
from service.errors import FieldError, Rejection

BODY_BYTES = 256 * 1024
DEPTH = 32
"""Our deepest body has four levels, and a tool's result or schema some of its own;
parsers and validators recurse."""
BODY_TIMEOUT_S = 30.0
"""A phone on a bad line sends 256 KiB within it."""
DRAIN_BYTES = 16 * 1024 * 1024
"""How much of a body that is too large is taken and dropped, so that its sender, who
writes first and reads later, gets to the answer."""

KEY = re.compile(r"[\x21-\x7e]{1,200}")

_ESCAPE = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)
"""Escapes in a JSON text, so that a backslash that is itself escaped starts none."""

Model = TypeVar("Model", bound=Body)


async def read_body(request: Request, model: type[Model]) -> Model:
    """The request's JSON body as `model`. Raises Rejection.

    What has a body has no query: a parameter there would be ignored.
    """
    known_only(request)
    _require_json(request)
    return parse_body(await _read(request), model)


async def read_optional_body(request: Request, model: type[Model]) -> Model:
    """Like `read_body`, but no body at all is an empty object."""
    known_only(request)
    raw = await _read(request)
    if not raw:
        return model.model_validate({})
    _require_json(request)
    return parse_body(raw, model)


def parse_body(raw: bytes, model: type[Model]) -> Model:
    """Bytes to model; every way in which they can be wrong is a Rejection."""
    _check_text(_decode(raw))
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise invalid(*field_errors(error)) from error


def idempotency_key(request: Request) -> str | None:
    """The Idempotency-Key header. Raises Rejection when it is malformed."""
    values = request.headers.getlist("idempotency-key")
    if not values:
        return None
    if len(values) > 1 or KEY.fullmatch(values[0]) is None:
        raise Rejection(
            "invalid-idempotency-key",
            "an Idempotency-Key is one header of 1 to 200 visible ASCII characters",
        )
    return values[0]


def request_hash(method: str, path: str, body: Body) -> bytes:
    """What was asked, in 32 bytes; the same for requests that mean the same."""
    content = _sorted(body.meaning())
    return hashlib.sha256(wire.dumps([method, path, content])).digest()


async def _read(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    # said beforehand, and the sender waits for leave: refuse before it sends
    waits = request.headers.get("expect", "").lower() == "100-continue"
    if waits and declared.isdigit() and int(declared) > BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await _collect(request)
    except TimeoutError as error:
        raise Rejection(
            "body-timeout", f"the body took longer than {BODY_TIMEOUT_S:g} s"
        ) from error


async def _collect(request: Request) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= BODY_BYTES:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > DRAIN_BYTES:
            break
    if size > BODY_BYTES:
        raise _too_large()
    return b"".join(chunks)


def _too_large() -> Rejection:
    return Rejection("body-too-large", f"a body has at most {BODY_BYTES} bytes")


def _require_json(request: Request) -> None:
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media_type.strip().lower() != "application/json" or charset not in (
        "",
        "charset=utf-8",
    ):
        raise Rejection(
            "unsupported-media-type", "send `Content-Type: application/json`, in UTF-8"
        )


def _decode(raw: bytes) -> Any:
    try:
        return wire.loads(raw)
    except wire.JSONDecodeError:
        # a lone surrogate stops the parser: with NUL in its place the walk finds it
        mended = _ESCAPE.sub(_nul_for_surrogate, raw)
        try:
            return wire.loads(mended)
        except wire.JSONDecodeError as error:
            raise Rejection("invalid-json", "the body is not valid JSON") from error


def _nul_for_surrogate(match: re.Match[bytes]) -> bytes:
    return rb"\u0000" if match["lone"] else match[0]


def _check_text(value: Any) -> None:
    for path, text in _texts(value):
        if "\0" in text:
            detail = "holds a NUL or a lone surrogate, which cannot be stored"
            raise invalid(FieldError(path.replace("\0", "")[:PATH_CHARS], detail))


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every string in a JSON value with its path, keys included; not recursive."""
    waiting: list[tuple[str, int, Any]] = [("", 1, value)]
    while waiting:
        path, depth, item = waiting.pop()
        if isinstance(item, str):
            yield path, item
            continue
        if isinstance(item, dict):
            children = [(str(key), child) for key, child in item.items()]
            for key, _ in children:
                yield f"{path}.{key}".lstrip("."), key
        elif isinstance(item, list):
            children = [
                (str(index), child)
                for index, child in enumerate(item)
                if isinstance(child, str | dict | list)
            ]
        else:
            continue
        if depth > DEPTH:
            raise invalid(FieldError(path[:PATH_CHARS], f"deeper than {DEPTH} levels"))
        for key, child in reversed(children):
            waiting.append((f"{path}.{key}".lstrip("."), depth + 1, child))


def _sorted(value: Any) -> Any:
    """The same JSON value with the keys of its objects in order."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_sorted(item) for item in value]
    return value
