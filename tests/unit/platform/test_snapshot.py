"""Settings as they are stored, and what is made of those that are malformed."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import JsonValue

from service.platform.model_configs import ModelConfigRow
from service.platform.providers import ProviderRow
from service.platform.snapshot import Snapshot, UserSettings

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PROVIDER = ProviderRow(UUID(int=1), "openai", "Ours", None, True, None, NOW, NOW)
CONFIG = ModelConfigRow(
    id=UUID(int=2),
    provider_id=PROVIDER.id,
    model="big",
    display_name="Big",
    enabled=True,
    is_default=True,
    context_limit=1000,
    compaction_threshold=70,
    max_output_tokens=None,
    temperature=None,
    reasoning_effort=None,
    max_reasoning_effort=None,
    options={},
    price_input=None,
    price_output=None,
    price_cache_read=None,
    price_cache_write=None,
    created_at=NOW,
    updated_at=NOW,
)


@pytest.mark.parametrize(
    ("stored", "means"),
    [
        (None, (True, "")),
        ({}, (True, "")),
        ({"text": ""}, (True, "")),
        ({"text": "Be brief."}, (False, "Be brief.")),
        ({"text": "Be brief.", "include_default": True}, (True, "Be brief.")),
        ({"text": "", "include_default": False}, (False, "")),
        ({"text": "x", "include_default": None}, (False, "x")),
        ({"text": "x", "of a newer release": 1}, (False, "x")),
    ],
)
def test_the_deployments_prompt(stored: JsonValue, means: tuple[bool, str]) -> None:
    assert Snapshot.of([], [], {"deployment_prompt": stored}).deployment_prompt == means


@pytest.mark.parametrize("stored", ["text", 3, [], {"text": 1}, {"text": None}])
def test_a_malformed_prompt_counts_as_not_set(
    stored: JsonValue, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        snapshot = Snapshot.of([], [], {"deployment_prompt": stored})
        user = UserSettings.of({"custom_prompt": stored}, {})
    assert snapshot.deployment_prompt == (True, "")
    assert user.custom_prompt == ""
    assert [record.__dict__["setting"] for record in caplog.records] == [
        "deployment_prompt",
        "custom_prompt",
    ]


def test_overrides_by_purpose() -> None:
    snapshot = Snapshot.of(
        [],
        [],
        {
            "model_override.title": {"model_config_id": str(CONFIG.id)},
            "model_override.compaction": {
                "model_config_id": str(CONFIG.id),
                "reasoning_effort": "low",
            },
        },
    )
    title, compaction = snapshot.overrides["title"], snapshot.overrides["compaction"]
    assert (title.model_config_id, title.reasoning_effort) == (CONFIG.id, None)
    assert compaction.reasoning_effort == "low"


@pytest.mark.parametrize("stored", ["x", {}, {"model_config_id": "big"}])
def test_a_malformed_override_counts_as_not_set(
    stored: JsonValue, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert Snapshot.of([], [], {"model_override.title": stored}).overrides == {}
    assert len(caplog.records) == 1


def test_a_users_settings() -> None:
    user = UserSettings.of({"custom_prompt": {"text": "In verse."}}, {CONFIG.id: 50})
    assert user == UserSettings("In verse.", {CONFIG.id: 50})
    assert UserSettings.of({}, {}) == UserSettings()


def test_usable_is_what_is_enabled_with_its_provider() -> None:
    off = replace(PROVIDER, enabled=False)
    disabled = replace(CONFIG, enabled=False)
    assert Snapshot.of([PROVIDER], [CONFIG], {}).usable(CONFIG.id)
    assert not Snapshot.of([off], [CONFIG], {}).usable(CONFIG.id)
    assert not Snapshot.of([], [CONFIG], {}).usable(CONFIG.id)
    assert not Snapshot.of([PROVIDER], [disabled], {}).usable(CONFIG.id)
    assert not Snapshot.of([PROVIDER], [], {}).usable(CONFIG.id)


def test_config_and_default_are_enabled_ones() -> None:
    other = replace(CONFIG, id=UUID(int=3), is_default=False)
    snapshot = Snapshot.of([PROVIDER], [other, CONFIG], {})
    assert snapshot.default == CONFIG
    assert snapshot.config(other.id) == other
    off = Snapshot.of([PROVIDER], [replace(CONFIG, enabled=False), other], {})
    assert off.default is None
    assert off.config(CONFIG.id) is None
    assert off.config(UUID(int=9)) is None


def test_prompts_are_not_shown() -> None:
    said: dict[str, JsonValue] = {"text": "a secret wish"}
    user = UserSettings.of({"custom_prompt": said}, {})
    snapshot = Snapshot.of([], [], {"deployment_prompt": said})
    assert "secret" not in repr([user, snapshot])
