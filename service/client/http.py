"""Requests to one service with one token, repeated until they are answered."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2

from service import wire
from service.errors import ParleyError

TIMEOUT_S = 40.0
"""Above the 30 s after which an append with unknown outcome is answered."""
SILENCE_S = 45.0
"""Three heartbeats: a stream silent for so long is dead."""
RETRIES = 4
"""Of a request, over some three seconds: a restarted service is back by then."""
RATE_LIMITED = "rate-limited"
"""The one refusal that is worth a repetition: it says when, and passes by itself."""
LONGEST_WAIT_S = 60.0
"""For a rate limit; all of them are told by the minute."""

_AWAY = frozenset({500, 502, 503, 504})
NO_TITLE = "no-title"
"""The one problem of these that is an answer: a model was asked, and would be again."""


@dataclass(eq=False)
class ApiError(ParleyError):
    """The service answered with a problem."""

    status: int
    problem: Mapping[str, Any]

    @property
    def slug(self) -> str:
        """The stable name of the problem: `chat-not-found`, ..."""
        return str(self.problem.get("type", "")).rpartition("/")[2]

    def __str__(self) -> str:
        title = self.problem.get("title", "error")
        return f"{self.status} {title}: {self.problem.get('detail', '')}"


@dataclass(eq=False)
class ConnectionFailed(ParleyError):
    """The service could not be reached, or went away in the middle."""

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(slots=True)
class Tally:
    """What went wrong and was mended, since the client was made."""

    repeated: int = 0
    """Requests that were sent once more."""
    unopened: int = 0
    """Streams that did not open at the first attempt."""
    broken: int = 0
    """Streams that ended without saying `bye`."""


class Http:
    """One service and one token. `http` may bring its own transport."""

    def __init__(
        self, url: str, token: str, *, http: httpx2.AsyncClient | None = None
    ) -> None:
        self.tally = Tally()
        self._http = http or httpx2.AsyncClient(timeout=TIMEOUT_S)
        self._http.base_url = httpx2.URL(url)
        self._http.headers["authorization"] = f"Bearer {token}"

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def get(
        self, path: str, *, headers: Mapping[str, str] | None = None, **query: Any
    ) -> dict[str, Any]:
        """What is there. What is None in the query is left out."""
        params = {name: value for name, value in query.items() if value is not None}
        return await self._ask(
            self._http.build_request("GET", path, params=params, headers=headers)
        )

    async def change(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
    ) -> dict[str, Any]:
        """Change something; a key, made up if none is given, makes repeating safe."""
        headers = {"idempotency-key": key or uuid4().hex}
        content = None
        if body is not None:
            headers["content-type"] = "application/json"
            content = wire.dumps(body)
        return await self._ask(
            self._http.build_request(method, path, content=content, headers=headers)
        )

    @asynccontextmanager
    async def stream(
        self, path: str, *, last_id: str = ""
    ) -> AsyncIterator[httpx2.Response]:
        """An open stream of server-sent events, after the frame with this id.

        Raises ConnectionFailed, which another attempt may mend, and ApiError.
        """
        headers = {"accept": "text/event-stream"}
        if last_id:
            headers["last-event-id"] = last_id
        timeout = httpx2.Timeout(TIMEOUT_S, read=SILENCE_S)
        opened = False
        try:
            async with self._http.stream(
                "GET", path, headers=headers, timeout=timeout
            ) as response:
                if response.status_code in _AWAY or response.status_code == 429:
                    raise ConnectionFailed(f"status {response.status_code}")
                if response.status_code != 200:
                    await response.aread()
                    raise _api_error(response)
                opened = True
                yield response
        except httpx2.TransportError as error:
            raise ConnectionFailed(_reason(error)) from error
        finally:
            self.tally.unopened += not opened

    async def _ask(self, request: httpx2.Request) -> dict[str, Any]:
        for attempt in range(RETRIES + 1):
            last = attempt == RETRIES
            pause_s = 0.1 * 2**attempt * random.uniform(1, 1.5)
            try:
                response = await self._http.send(request)
            except httpx2.TransportError as error:
                if last:
                    raise ConnectionFailed(_reason(error)) from error
            else:
                again_s = _again_in_s(response, pause_s)
                if last or again_s is None:
                    return _content(response)
                pause_s = again_s
            self.tally.repeated += 1
            await asyncio.sleep(pause_s)
        raise AssertionError("the last attempt has returned or raised")


def _again_in_s(response: httpx2.Response, pause_s: float) -> float | None:
    """Seconds until it is worth while to ask again; None: this is the answer."""
    if response.status_code in _AWAY:
        return None if _api_error(response).slug == NO_TITLE else pause_s
    if response.status_code == 429 and _api_error(response).slug == RATE_LIMITED:
        told = response.headers.get("retry-after", "")
        wish_s = float(told) if told.isascii() and told.isdigit() else pause_s
        # all who were told the same do not come back at once
        return min(wish_s, LONGEST_WAIT_S) * random.uniform(1, 1.5)
    return None


def _content(response: httpx2.Response) -> dict[str, Any]:
    if response.is_error:
        raise _api_error(response)
    if response.status_code == 204:
        return {}
    content: dict[str, Any] = wire.loads(response.content)
    return content


def _api_error(response: httpx2.Response) -> ApiError:
    try:
        problem = wire.loads(response.content)
    except ValueError:
        problem = {"title": response.reason_phrase, "detail": "not a problem document"}
    return ApiError(response.status_code, problem)


def _reason(error: httpx2.TransportError) -> str:
    return str(error) or type(error).__name__
