"""Instants: always aware, always UTC, always the same text for the same instant."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, PlainSerializer


def to_utc(at: datetime) -> datetime:
    """The same instant, told in UTC."""
    return at.astimezone(UTC)


def rfc3339(at: datetime) -> str:
    """The instant as text with microseconds and `Z`; sorts as the instants do."""
    return f"{to_utc(at).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


Instant = Annotated[
    AwareDatetime,
    AfterValidator(to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
]
"""A field that holds an instant; a reading without a time zone is refused."""
