"""Settings from the environment: what is read, refused, warned about."""

from __future__ import annotations

import logging

import pytest

from service.errors import SetupError
from service.settings import Settings


def test_nothing_set_is_a_service_that_runs() -> None:
    settings = Settings.from_env({})
    assert settings.database_url is None
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)


def test_values_are_read_and_an_empty_one_is_none() -> None:
    settings = Settings.from_env(
        {"PARLEY_PORT": "9000", "PARLEY_DATABASE_POOLER": "true", "PARLEY_HOST": ""}
    )
    assert (settings.port, settings.database_pooler) == (9000, True)
    assert settings.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PARLEY_PORT", "80000"),
        ("PARLEY_PORT", "http"),
        ("PARLEY_POOL_SIZE", "0"),
        ("PARLEY_LEASE_S", "-1"),
        ("PARLEY_LEASE_S", "19"),
        ("PARLEY_CORS_ORIGINS", "*"),
        ("PARLEY_CORS_ORIGINS", "https://a.example, https://*.b.example"),
        ("PARLEY_CORS_ORIGINS", "https://a.example/"),
        ("PARLEY_CORS_ORIGINS", "null"),
        ("PARLEY_CORS_ORIGINS", "a.example"),
        ("PARLEY_ROLE_PREFIX", "Parley; DROP"),
        ("PARLEY_LOG_LEVEL", "loud"),
        ("PARLEY_MODEL", "gpt-5"),
        ("PARLEY_MODEL", "openai:"),
        ("PARLEY_MODEL", "openai:two words"),
        ("PARLEY_MODEL", "google:gemini"),
        ("PARLEY_MODEL_BASE_URL", "localhost:8080"),
        ("PARLEY_MODEL_BASE_URL", "http:///v1"),
        ("PARLEY_MODEL_BASE_URL", "https://me:pw@host/v1"),
        ("PARLEY_MODEL_BASE_URL", "https://host/v1?key=secret"),
    ],
)
def test_wrong_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SetupError, match=rf"^{variable}: "):
        Settings.from_env({variable: value})


def test_a_lease_outlives_its_heartbeats_also_when_only_those_are_set() -> None:
    with pytest.raises(SetupError, match=r"^PARLEY_LEASE_S: .*two heartbeats \(32 s\)"):
        Settings.from_env({"PARLEY_HEARTBEAT_INTERVAL_S": "16"})
    both = {"PARLEY_HEARTBEAT_INTERVAL_S": "1", "PARLEY_LEASE_S": "2"}
    assert Settings.from_env(both).lease_s == 2


def test_several_origins_may_call() -> None:
    listed = "https://a.example, http://127.0.0.1:8080,http://[::1]:3, tauri://local,"
    assert Settings.from_env({"PARLEY_CORS_ORIGINS": listed}).cors_origins == listed


def test_every_wrong_value_is_named_at_once() -> None:
    with pytest.raises(SetupError) as caught:
        Settings.from_env({"PARLEY_PORT": "x", "PARLEY_POOL_SIZE": "y"})
    assert "PARLEY_PORT: " in str(caught.value)
    assert "PARLEY_POOL_SIZE: " in str(caught.value)


def test_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(SetupError) as caught:
        Settings.from_env({"PARLEY_PORT": "hunter2"})
    assert "hunter2" not in str(caught.value)
    shown = repr(
        Settings.from_env({"PARLEY_DATABASE_URL": "postgresql://a:hunter2@/b"})
    )
    assert "hunter2" not in shown


def test_keys_go_by_the_names_that_their_vendors_use() -> None:
    settings = Settings.from_env(
        {
            "PARLEY_MODEL": "openai:gpt-5",
            "OPENAI_API_KEY": "sk-hunter2",
            "ANTHROPIC_API_KEY": "sk-ant-hunter2",
        }
    )
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-hunter2"
    assert settings.anthropic_api_key is not None
    assert "hunter2" not in repr(settings)


def test_a_wrong_model_says_what_is_expected() -> None:
    with pytest.raises(SetupError) as caught:
        Settings.from_env({"PARLEY_MODEL": "gpt-5"})
    assert str(caught.value) == (
        "PARLEY_MODEL: expected scripted, openai:NAME or anthropic:NAME"
    )


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("PARLEY_DATABASE_URI", "; did you mean PARLEY_DATABASE_URL"),
        ("PARLEY_POOLSIZE", "; did you mean PARLEY_POOL_SIZE"),
        ("PARLEY_OPENAI_API_KEY", "; did you mean OPENAI_API_KEY"),
        ("PARLEY_ZZZ", ""),
    ],
)
def test_unknown_variable_is_a_warning_with_the_nearest_name(
    variable: str, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Settings.from_env({variable: "1"})
    assert caplog.messages == [f"unknown setting {variable} is ignored{hint}"]


def test_what_others_read_is_no_unknown_setting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Settings.from_env(
        {
            "PARLEY_TEST_POSTGRES": "x",
            "PARLEY_CHAT_ID": "x",
            "PATH": "x",
            "parley_x": "x",
        }
    )
    assert caplog.messages == []


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.from_env({}).port = 1  # type: ignore[misc]
