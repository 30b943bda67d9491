"""Whatever a history looks like, strict servers find nothing to refuse in its request.

The request goes through the whole client but its sockets. Marks of other vendors in the
history must leave no trace in it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings

from service import wire
from service.domain.chat.state import Message
from service.providers.provider import ModelRequest, ProviderError
from service.providers.vendor.flavors import flavor_of
from service.providers.vendor.model import VendorProvider, quiet_libraries
from tests.fixtures.wires import SERVERS, Wire, vendor_model
from tests.property.providers.histories import FILES, MESSAGES

MARKS = ('"sig"', "commentary", "web_search_call", "server_tool_use", "encrypted")


async def request_of(over: Wire, messages: list[Message]) -> tuple[Any, Any]:
    """The headers and the body that a server would get."""
    sent: list[httpx2.Request] = []

    async def keep(request: httpx2.Request) -> httpx2.Response:
        sent.append(request)
        return httpx2.Response(400, json={"error": {"message": "enough"}})

    quiet_libraries()
    server = SERVERS[over]()
    chosen = vendor_model(over, "http://nowhere.test/v1", server.key)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(keep)) as http:
        flavor = flavor_of(chosen, http, httpx2.Timeout(5))
        provider = VendorProvider(flavor, secrets=frozenset())
        request = ModelRequest(
            messages, (), files=FILES, max_output_tokens=100, system=("be brief",)
        )
        with pytest.raises(ProviderError) as refused:
            async for _ in provider.stream(request):
                pass
    assert refused.value.status_code == 400, refused.value
    return dict(sent[0].headers), sent[0].content


@pytest.mark.parametrize("over", SERVERS)
@settings(deadline=None)
@given(messages=MESSAGES)
def test_strict_servers_refuse_nothing(over: Wire, messages: list[Message]) -> None:
    headers, content = asyncio.run(request_of(over, messages))
    SERVERS[over]().check(headers, wire.loads(content))
    told = content.replace(b"reasoning.encrypted_content", b"")
    found = [mark for mark in MARKS if mark.encode() in told]
    assert found == []
