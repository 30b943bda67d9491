"""Pages that an answer relies on: those that were found, and those that were cited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import JsonValue
from pydantic_ai.messages import Citation, WebCitationSource

from service.providers.provider import Source

SOURCES = 200
"""Of one answer; searches find a dozen pages each."""


class Sources:
    """Tells each page once, numbered in the order in which they came."""

    def __init__(self) -> None:
        self._urls: set[str] = set()

    def cited(self, citations: Iterable[Citation]) -> Iterator[Source]:
        """Pages that a text cites."""
        for citation in citations:
            for source in citation.sources:
                if isinstance(source, WebCitationSource):
                    yield from self._page(source.url, source.title)

    def found(self, result: JsonValue) -> Iterator[Source]:
        """Pages that a search lists with their titles."""
        for page in result if isinstance(result, list) else ():
            if isinstance(page, dict):
                url, title = page.get("url"), page.get("title")
                if isinstance(url, str) and isinstance(title, str):
                    yield from self._page(url, title)

    def _page(self, url: str, title: str | None) -> Iterator[Source]:
        if not url or url in self._urls or len(self._urls) == SOURCES:
            return
        self._urls.add(url)
        yield Source(f"source_{len(self._urls)}", url, title or None)
