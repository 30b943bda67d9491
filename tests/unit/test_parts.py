"""What a process needs to be able to ask models, found out before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SetupError
from service.parts import asked_by
from service.platform.secrets import new_key
from service.providers.choose import VendorModel
from service.settings import Settings

NOWHERE = Path("/nonexistent")


def settings(**variables: str) -> Settings:
    return Settings.from_env(variables)


def test_a_process_that_asks_needs_the_key_of_its_model() -> None:
    given = settings(PARLEY_MODEL="openai:gpt-5")
    with pytest.raises(SetupError, match="OPENAI_API_KEY"):
        asked_by(given, NOWHERE, asks=True, provider=None)
    assert asked_by(given, NOWHERE, asks=False, provider=None).environment is None


def test_the_environments_model_is_told_with_its_api() -> None:
    given = settings(PARLEY_MODEL="openai:gpt-5", OPENAI_API_KEY="sk-1")
    asked = asked_by(given, NOWHERE, asks=True, provider=None)
    assert asked.environment == VendorModel(
        "openai", "gpt-5", None, "sk-1", "responses"
    )


@pytest.mark.parametrize("key", ["short", ","])
def test_a_malformed_secret_key_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(SetupError, match=r"^PARLEY_SECRET_KEY: "):
        asked_by(settings(PARLEY_SECRET_KEY=key), NOWHERE, asks=False, provider=None)


def test_stored_keys_are_read_with_the_key_that_is_set() -> None:
    key = new_key()
    asked = asked_by(settings(PARLEY_SECRET_KEY=key), NOWHERE, asks=True, provider=None)
    box = asked.secrets()
    assert box.decrypt(box.encrypt("sk-1")) == "sk-1"
    assert asked.secrets() is box


def test_without_a_secret_key_no_file_is_made_before_it_is_needed() -> None:
    asked = asked_by(settings(), NOWHERE, asks=True, provider=None)
    assert not NOWHERE.exists()
    assert asked.environment is None
