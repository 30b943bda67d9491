"""Who can read what a provider wrote for itself: an account, a server, an API."""

from __future__ import annotations

import httpx2
import pytest

from service.providers.choose import VendorModel
from service.providers.vendor.flavors import flavor_of

URL = "http://local.test:8080/v1"

MODELS = {
    "openai": VendorModel("openai", "m", api="chat"),
    "openai-responses": VendorModel("openai", "m", api="responses"),
    "anthropic": VendorModel("anthropic", "m"),
    "openai@local.test:8080": VendorModel("openai", "m", URL, api="chat"),
    "openai-responses@local.test:8080": VendorModel(
        "openai", "m", URL, api="responses"
    ),
    "anthropic@local.test:8080": VendorModel("anthropic", "m", URL, api="messages"),
    "openai-responses#7": VendorModel("openai", "m", api="responses", account="7"),
    "anthropic@local.test:8080#7": VendorModel("anthropic", "m", URL, account="7"),
}


@pytest.mark.parametrize("identity", MODELS)
async def test_identities(identity: str) -> None:
    async with httpx2.AsyncClient() as http:
        flavor = flavor_of(MODELS[identity], http, httpx2.Timeout(5))
    assert flavor.identity == identity
    assert flavor.api == ("messages" if "anthropic" in identity else flavor.api)
    assert flavor.official == ("@" not in identity)
