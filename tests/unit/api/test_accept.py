"""What the client likes best of what there is."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from service.api.accept import EVENTS, JSON, LINES, negotiate
from service.errors import Rejection

OFFERS = (JSON, LINES, EVENTS)


def asking(*accept: str) -> Request:
    headers = [(b"accept", value.encode()) for value in accept]
    return Request({"type": "http", "method": "GET", "headers": headers})


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ((), JSON),
        (("",), JSON),
        (("*/*",), JSON),
        (("application/*",), JSON),
        (("text/*",), EVENTS),
        (("text/event-stream",), EVENTS),
        (("application/x-ndjson",), LINES),
        (("Application/X-NDJSON; charset=utf-8",), LINES),
        (("text/html, application/json;q=0.5, text/event-stream;q=0.9",), EVENTS),
        (("application/json;q=0, */*;q=0.1",), LINES),
        (("text/html", "text/event-stream"), EVENTS),
        (("*/*;q=nonsense, application/json",), JSON),
    ],
)
def test_the_best_of_the_offers(accept: tuple[str, ...], media: str) -> None:
    assert negotiate(asking(*accept), OFFERS) == media


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0"])
def test_what_is_not_offered_is_refused(accept: str) -> None:
    with pytest.raises(Rejection) as refused:
        negotiate(asking(accept), OFFERS)
    assert refused.value.code == "not-acceptable"
