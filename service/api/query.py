"""Reading query strings: known names only, values in range, all errors at once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from starlette.requests import Request

from service.api.fields import LABELS, VERSION_MAX, label_key, label_value
from service.api.problems import invalid
from service.errors import FieldError, Rejection

PAGE_DEFAULT = 50
PAGE_MAX = 200
TEXT_CHARS = 200
"""Of a title that is looked for, and of words; as long as a title can be."""

_NUMBER = re.compile(r"[0-9]{1,19}")
_ID_MAX = 2**63 - 1
_FLAGS = {"true": True, "false": False}


class Query:
    """A query string, read parameter by parameter; `done` says what was wrong."""

    def __init__(
        self, request: Request, *names: str, repeatable: Sequence[str] = ()
    ) -> None:
        self._given = request.query_params
        self._errors = [
            FieldError(name[:PAGE_MAX], "there is no such parameter")
            for name in self._given
            if name not in (*names, *repeatable)
        ]
        for name in names:
            if len(self._given.getlist(name)) > 1:
                self.refuse(name, "is given more than once")

    def done(self) -> None:
        """Raises Rejection, unless everything was as it should be."""
        if self._errors:
            raise invalid(*self._errors)

    def refuse(self, name: str, detail: str) -> None:
        """Something is wrong with this parameter."""
        self._errors.append(FieldError(name, detail))

    def given(self, name: str) -> str | None:
        """The parameter as it came."""
        return self._given.get(name)

    def number(self, name: str, least: int, most: int) -> int | None:
        """A whole number in a range."""
        text = self._given.get(name)
        if text is None:
            return None
        if _NUMBER.fullmatch(text) is None:
            self.refuse(name, "is not a whole number")
        elif not least <= int(text) <= most:
            self.refuse(name, f"is from {least} to {most}")
        else:
            return int(text)
        return None

    def limit(self) -> int:
        """How many rows a page may have."""
        return self.number("limit", 1, PAGE_MAX) or PAGE_DEFAULT

    def message_id(self, name: str) -> int | None:
        """An id of a message; one that none can have is as good as the largest."""
        number = self.number(name, 1, _ID_MAX)
        return None if number is None else min(number, VERSION_MAX)

    def flag(self, name: str) -> bool | None:
        """`true` or `false`, and no other way of saying it."""
        text = self._given.get(name)
        if text is not None and text not in _FLAGS:
            self.refuse(name, "is true or false")
        return None if text is None else _FLAGS.get(text)

    def text(self, name: str) -> str | None:
        """Text that is not blank, without the blanks round it."""
        text = self._given.get(name)
        if text is None:
            return None
        text = text.strip()
        if not 1 <= len(text) <= TEXT_CHARS:
            self.refuse(name, f"is from 1 to {TEXT_CHARS} characters")
        elif "\0" in text:
            self.refuse(name, "holds a NUL")
        return text

    def labels(self, name: str) -> list[tuple[str, str]]:
        """Labels that a chat must have: `key:value`, each a parameter of its own."""
        labels = []
        texts = self._given.getlist(name)
        for text in texts[:LABELS]:
            key, colon, value = text.partition(":")
            try:
                labels.append((label_key(key), label_value(value)))
            except ValueError as error:
                self.refuse(name, str(error) if colon else "is not key:value")
                continue
            if "\0" in value:
                self.refuse(name, "holds a NUL")
        if len(texts) > LABELS:
            self.refuse(name, f"at most {LABELS} labels")
        return labels


def known_only(request: Request, *names: str) -> None:
    """Refuse parameters that would be ignored, and those that are given twice."""
    Query(request, *names).done()


def page_limit(request: Request) -> int:
    """`limit`: how many rows a page may have."""
    query = Query(request, *request.query_params)
    limit = query.limit()
    query.done()
    return limit


def path_number(request: Request, name: str) -> int:
    """The id of a message in the path. Raises Rejection `invalid-id`."""
    text = request.path_params[name]
    if _NUMBER.fullmatch(text) is None or int(text) < 1:
        raise Rejection("invalid-id", f"the path's {name} is not a positive integer")
    return min(int(text), VERSION_MAX)
