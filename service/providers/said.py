"""What a vendor says in an error: its message, and how long it asks to wait.

Bodies come from anybody: they may be huge, deep, binary, or a page for a browser.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

BODY_BYTES = 65_536
"""Characters of a text that are looked at; a message stands at its beginning."""

DETAIL_LENGTH = 500
"""Characters of what a vendor says that a chat's error carries."""

DEPTH = 8
"""Objects in objects until a message; vendors have two or three."""

LONGEST_WAIT_S = 86_400.0
"""A vendor that asks for more than a day means never, and dates have an end."""

_MEMBERS = ("error", "message", "detail", "error_message", "msg")
"""Where a message is, or another object that has it; the first that says something."""


def said_in(body: object) -> str:
    """The vendor's message in an error body, or the first line of a text."""
    said = _said(body, DEPTH)
    return said.partition("\n")[0].strip() if isinstance(body, str | bytes) else said


def _said(body: object, depth: int) -> str:
    if isinstance(body, bytes):
        body = body[:BODY_BYTES].decode(errors="replace")
    if isinstance(body, str):
        text = body[:BODY_BYTES].strip()
        # a page says what a browser shows, and its status says the same
        return "" if text.startswith("<") else text
    if depth == 0:
        return ""
    if isinstance(body, Mapping):
        tried = (_said(body.get(member), depth - 1) for member in _MEMBERS)
        return next(filter(None, tried), "")
    if isinstance(body, list) and body:
        # Google and some gateways wrap the object into an array
        return _said(body[0], depth - 1)
    return ""


_URL = re.compile(r"[a-z][a-z0-9+.-]{0,30}://\S+", re.I)
"""Bounded: a scheme of any length takes a long word minutes to be none."""

_KEY = re.compile(
    r"\b(?:sk|pk|rk|key|gsk|xai)-[\w*.-]{3,}"
    r"|\bAIza[\w-]{20,}"
    r"|\b(?:bearer|x-api-key:?)\s{1,4}\S+",
    re.I,
)


def detail_of(text: str, *, secrets: Iterable[str] = ()) -> str | None:
    """What a vendor says, fit for a chat: one short line, no key, no URL."""
    text = text[:BODY_BYTES]
    for secret in secrets:
        text = text.replace(secret, "[key]") if secret else text
    text = _KEY.sub("[key]", _URL.sub("[url]", text))
    shown = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(shown.split())[:DETAIL_LENGTH] or None


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the vendor asks to wait; None: it does not ask, or nobody can tell.

    Milliseconds come first. A date counts from the answer's own: clocks differ.
    """
    told = {name.lower(): value.strip() for name, value in headers.items()}
    milliseconds = _float(told.get("retry-after-ms", ""))
    if milliseconds is not None and milliseconds > 0:
        return min(milliseconds / 1000, LONGEST_WAIT_S)
    value = told.get("retry-after", "")
    seconds = _float(value)
    if seconds is None:
        seconds = _until(_date(value), _date(told.get("date", "")))
    return min(seconds, LONGEST_WAIT_S) if seconds and seconds > 0 else None


def _until(then: datetime | None, now: datetime | None) -> float | None:
    if then is None or now is None:
        return None
    return (then - now).total_seconds()


def _float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> datetime | None:
    try:
        told = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)
