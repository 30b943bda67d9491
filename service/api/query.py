"""Reading query strings: known names only, whole numbers in range, opaque cursors."""

from __future__ import annotations

import base64
import re
from typing import Any

from starlette.requests import Request

from service import wire
from service.api.problems import invalid
from service.api.schemas import PAGE_DEFAULT, PAGE_MAX
from service.errors import FieldError, Rejection

_NUMBER = re.compile(r"[0-9]{1,19}")
_ID_MAX = 2**63 - 1
_VERSION_MAX = 2**31 - 1


def known_only(request: Request, *names: str) -> None:
    """Refuse parameters that would be ignored, and those that are given twice."""
    given = request.query_params
    errors = [
        FieldError(name[:PAGE_MAX], "there is no such parameter")
        for name in given
        if name not in names
    ]
    errors += [
        FieldError(name, "is given more than once")
        for name in names
        if len(given.getlist(name)) > 1
    ]
    if errors:
        raise invalid(*errors)


def page_limit(request: Request) -> int:
    """`limit`: how many rows a page may have."""
    limit = _number(request, "limit")
    if limit is None:
        return PAGE_DEFAULT
    if not 1 <= limit <= PAGE_MAX:
        raise invalid(FieldError("limit", f"is from 1 to {PAGE_MAX}"))
    return limit


def message_id(request: Request, name: str) -> int | None:
    """An id of a message; one that no message can have is as good as the largest."""
    number = _number(request, name)
    if number is None:
        return None
    if not 1 <= number <= _ID_MAX:
        raise invalid(FieldError(name, "is a positive integer"))
    return min(number, _VERSION_MAX)


def encode_cursor(*values: object) -> str:
    """An opaque cursor that `decode_cursor` reads back."""
    return base64.urlsafe_b64encode(wire.dumps(values)).rstrip(b"=").decode()


def decode_cursor(text: str) -> list[Any]:
    """The values in a cursor, as JSON has them. Raises Rejection `invalid-cursor`."""
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        values = wire.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError as error:
        raise malformed_cursor() from error
    if not isinstance(values, list):
        raise malformed_cursor()
    return values


def malformed_cursor() -> Rejection:
    """The refusal of a cursor that we never gave out."""
    return Rejection("invalid-cursor", "take the cursor from an answer, as it is")


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise invalid(FieldError(name, "is not a whole number"))
    return int(text)
