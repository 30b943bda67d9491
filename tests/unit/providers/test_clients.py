"""When clients of vendors are opened, shared and closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from service.providers.choose import VendorModel
from service.providers.clients import Clients, Place
from service.providers.provider import Delta, Finish, ModelRequest, TextDelta

PATIENCE_S = 10.0
PROVIDER = UUID(int=1)
FIRST = (PROVIDER, datetime(2026, 3, 1, tzinfo=UTC))
SECOND = (PROVIDER, FIRST[1] + timedelta(seconds=1))
CHOSEN = VendorModel("openai", "small", "http://models.example/v1", "key")
REQUEST = ModelRequest(messages=(), tools=())


@dataclass
class Vendor:
    """The far end: opens clients that answer with the model's name, when told."""

    opened: list[VendorModel] = field(default_factory=list)
    closed: asyncio.Queue[VendorModel] = field(default_factory=asyncio.Queue)
    opens: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    opening: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.opens.set()
        self.answers.set()

    @asynccontextmanager
    async def open(self, chosen: VendorModel) -> AsyncIterator[Client]:
        self.opening.set()
        await self.opens.wait()
        self.opened.append(chosen)
        try:
            yield Client(self)
        finally:
            self.closed.put_nowait(chosen)

    async def was_closed(self) -> VendorModel:
        async with asyncio.timeout(PATIENCE_S):
            return await self.closed.get()


@dataclass
class Client:
    vendor: Vendor
    name: str = "client"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta, None]:
        yield TextDelta(request.model or "nobody said")
        await self.vendor.answers.wait()
        yield Finish("stop")


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest_asyncio.fixture
async def clients(vendor: Vendor) -> AsyncIterator[Clients]:
    clients = Clients(vendor.open)
    clients.keep({FIRST})
    yield clients
    await clients.close()


async def answer(
    clients: Clients, place: Place, request: ModelRequest = REQUEST
) -> list[Delta]:
    provider = clients.provider(place, CHOSEN)
    return [delta async for delta in provider.stream(request)]


async def test_a_client_is_opened_by_the_first_call_and_stays(
    clients: Clients, vendor: Vendor
) -> None:
    place = Place(FIRST, "chat")
    provider = clients.provider(place, CHOSEN)
    assert (provider.name, vendor.opened) == ("openai-compat", [])
    assert await answer(clients, place) == [TextDelta("small"), Finish("stop")]
    await answer(clients, place)
    assert (vendor.opened, vendor.closed.qsize()) == ([CHOSEN], 0)


async def test_the_model_that_a_request_names_is_asked(clients: Clients) -> None:
    asked = ModelRequest(messages=(), tools=(), model="large")
    deltas = await answer(clients, Place(FIRST, "chat"), asked)
    assert deltas[0] == TextDelta("large")


async def test_calls_at_the_same_time_share_one(
    clients: Clients, vendor: Vendor
) -> None:
    vendor.opens.clear()
    place = Place(FIRST, "chat")
    calls = [asyncio.create_task(answer(clients, place)) for _ in range(3)]
    await vendor.opening.wait()
    vendor.opens.set()
    await asyncio.gather(*calls)
    assert len(vendor.opened) == 1


async def test_each_api_has_one(clients: Clients, vendor: Vendor) -> None:
    await answer(clients, Place(FIRST, "chat"))
    await answer(clients, Place(FIRST, "responses"))
    assert (len(vendor.opened), len(clients)) == (2, 2)


async def test_who_waits_for_one_that_is_cancelled_opens_it(
    clients: Clients, vendor: Vendor
) -> None:
    vendor.opens.clear()
    place = Place(FIRST, "chat")
    first = asyncio.create_task(answer(clients, place))
    await vendor.opening.wait()
    second = asyncio.create_task(answer(clients, place))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    vendor.opens.set()
    assert await second == [TextDelta("small"), Finish("stop")]
    assert len(vendor.opened) == 1


async def test_a_replaced_client_is_closed_at_once_when_nobody_calls(
    clients: Clients, vendor: Vendor
) -> None:
    await answer(clients, Place(FIRST, "chat"))
    clients.keep({SECOND})
    assert await vendor.was_closed() == CHOSEN
    assert len(clients) == 0


async def test_a_replaced_client_ends_the_calls_that_it_has(
    clients: Clients, vendor: Vendor
) -> None:
    vendor.answers.clear()
    stream = clients.provider(Place(FIRST, "chat"), CHOSEN).stream(REQUEST)
    assert await anext(stream) == TextDelta("small")
    clients.keep({SECOND})
    assert vendor.closed.empty()
    vendor.answers.set()
    assert [delta async for delta in stream] == [Finish("stop")]
    assert await vendor.was_closed() == CHOSEN


async def test_a_call_that_is_given_up_lets_go_of_its_client(
    clients: Clients, vendor: Vendor
) -> None:
    vendor.answers.clear()
    provider = clients.provider(Place(FIRST, "chat"), CHOSEN)
    async with aclosing(provider.stream(REQUEST)) as stream:
        await anext(stream)
        clients.keep({SECOND})
    assert await vendor.was_closed() == CHOSEN


async def test_a_model_from_before_can_still_ask(
    clients: Clients, vendor: Vendor
) -> None:
    """It has the old address and key; its client is gone with its last call."""
    before = clients.provider(Place(FIRST, "chat"), CHOSEN)
    await answer(clients, Place(FIRST, "chat"))
    clients.keep({SECOND})
    await vendor.was_closed()
    assert [delta async for delta in before.stream(REQUEST)][-1] == Finish("stop")
    assert await vendor.was_closed() == CHOSEN
    assert len(vendor.opened) == 2


async def test_the_environments_client_stays(clients: Clients, vendor: Vendor) -> None:
    await answer(clients, Place(None, "chat"))
    clients.keep(set())
    assert (len(clients), vendor.closed.qsize()) == (1, 0)


async def test_all_are_closed_in_the_end(vendor: Vendor) -> None:
    clients = Clients(vendor.open)
    await answer(clients, Place(None, "chat"))
    await answer(clients, Place(None, "responses"))
    await clients.close()
    assert (vendor.closed.qsize(), len(clients)) == (2, 0)
