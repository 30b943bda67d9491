"""Content negotiation: which of the offered media types the client likes best."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request

from service.errors import Rejection

JSON = "application/json"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"


def negotiate(request: Request, offers: Sequence[str]) -> str:
    """The offer that Accept prefers, the first of equals; without Accept the first.

    Raises Rejection `not-acceptable`.
    """
    header = ", ".join(request.headers.getlist("accept")) or "*/*"
    ranges = [_range(part) for part in header.split(",") if part.strip()]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    if _quality(best, ranges) <= 0:
        raise Rejection("not-acceptable", f"accept one of {', '.join(offers)}")
    return best


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            try:
                quality = min(max(float(value), 0.0), 1.0)
            except ValueError:
                quality = 0.0
    return name, quality


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality of the most specific range that the offer is in; 0: in none."""
    for name in (offer, f"{offer.partition('/')[0]}/*", "*/*"):
        found = [quality for given, quality in ranges if given == name]
        if found:
            return max(found)
    return 0.0
