"""Which model is asked, and what is missing for it."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from service.errors import SetupError
from service.providers.choose import (
    Api,
    Vendor,
    VendorModel,
    choose,
    default_api,
    open_provider,
)
from service.providers.scripted import Scripted

KEY = SecretStr("sk-1")


def test_the_scripted_model_needs_nothing() -> None:
    assert choose("scripted", base_url=None, keys={}) is None


def test_a_vendors_model_with_its_key() -> None:
    keys: dict[Vendor, SecretStr | None] = {"openai": None, "anthropic": KEY}
    assert choose("anthropic:claude-opus-5-5", base_url=None, keys=keys) == VendorModel(
        "anthropic", "claude-opus-5-5", None, "sk-1", "messages"
    )


def test_names_may_have_colons() -> None:
    chosen = choose("openai:llama3:8b", base_url="http://localhost/v1", keys={})
    assert chosen == VendorModel("openai", "llama3:8b", "http://localhost/v1", None)


@pytest.mark.parametrize(
    ("vendor", "base_url", "api"),
    [
        ("openai", None, "responses"),
        ("openai", "http://localhost/v1", "chat"),
        ("anthropic", None, "messages"),
        ("anthropic", "http://localhost", "messages"),
    ],
)
def test_what_is_spoken_follows_from_where_it_is(
    vendor: Vendor, base_url: str | None, api: Api
) -> None:
    assert default_api(vendor, base_url) == api


@pytest.mark.parametrize(
    ("model", "other", "variable"),
    [
        ("openai:gpt-5", "anthropic", "OPENAI_API_KEY"),
        ("anthropic:claude-opus-5-5", "openai", "ANTHROPIC_API_KEY"),
    ],
)
def test_a_missing_key_is_named_with_the_way_out(
    model: str, other: Vendor, variable: str
) -> None:
    with pytest.raises(SetupError) as refused:
        choose(model, base_url=None, keys={other: KEY})
    assert str(refused.value).startswith(f"{variable}: ")
    assert f"set {variable}" in str(refused.value)
    assert "PARLEY_MODEL_BASE_URL" in str(refused.value)
    assert "sk-1" not in str(refused.value)


@pytest.mark.parametrize("model", ["", "gpt-5", "google:gemini", "openai"])
def test_a_model_of_nobody_is_refused(model: str) -> None:
    with pytest.raises(SetupError, match=r"^PARLEY_MODEL: expected"):
        choose(model, base_url=None, keys={})


def test_the_key_is_not_shown() -> None:
    assert "sk-1" not in repr(VendorModel("openai", "gpt-5", None, "sk-1"))


async def test_the_scripted_provider_is_opened_without_a_vendor() -> None:
    async with open_provider(None, scripted_rate=10) as provider:
        assert isinstance(provider, Scripted)
