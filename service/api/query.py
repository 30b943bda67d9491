"""Reading query strings: known names only, whole numbers in range."""

from __future__ import annotations

import re

from starlette.requests import Request

from service.api.fields import VERSION_MAX
from service.api.problems import invalid
from service.errors import FieldError, Rejection

PAGE_DEFAULT = 50
PAGE_MAX = 200

_NUMBER = re.compile(r"[0-9]{1,19}")
_ID_MAX = 2**63 - 1


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
    return min(number, VERSION_MAX)


def path_number(request: Request, name: str) -> int:
    """The id of a message in the path. Raises Rejection `invalid-id`."""
    text = request.path_params[name]
    if _NUMBER.fullmatch(text) is None or int(text) < 1:
        raise Rejection("invalid-id", f"the path's {name} is not a positive integer")
    return min(int(text), VERSION_MAX)


def _number(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if _NUMBER.fullmatch(text) is None:
        raise invalid(FieldError(name, "is not a whole number"))
    return int(text)
