"""Image, compose file and proxy say what the service needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from service.settings import PREFIX, Settings

ROOT = Path(__file__).parents[3]
DOCKER = ROOT / "docker"


def compose() -> list[str] | None:
    """The compose command of this machine: the plugin, or the program."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) is None:
            continue
        if subprocess.run([*command, "version"], capture_output=True).returncode == 0:
            return command
    return None


def dockerfile() -> str:
    return (DOCKER / "Dockerfile").read_text()


@pytest.mark.skipif(compose() is None, reason="needs docker compose to check against")
def test_compose_file_is_valid() -> None:
    command = compose()
    assert command is not None
    environ = dict(os.environ) | {"POSTGRES_PASSWORD": "secret"}  # noqa: TID251  PATH
    checked = subprocess.run(
        [*command, "-f", str(DOCKER / "compose.yaml"), "config"],
        env=environ,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    services = "postgres migrate api-1 api-2 worker projector proxy"
    for service in services.split():
        assert f"  {service}:" in checked.stdout


def test_compose_needs_a_password() -> None:
    """Nothing starts with a password that everybody knows."""
    text = (DOCKER / "compose.yaml").read_text()
    assert "${POSTGRES_PASSWORD:?" in text
    assert "${POSTGRES_PASSWORD:-" not in text


def test_settings_in_docker_exist() -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {"PARLEY_IMAGE", "PARLEY_PORT"}  # of the compose file itself
    for name in ("Dockerfile", "compose.yaml"):
        named = set(re.findall(r"PARLEY_[A-Z_]+", (DOCKER / name).read_text()))
        named.discard("PARLEY_SHUTDOWN_GRACE_S")
        assert named <= known, name


def test_image_runs_as_nobody_in_particular_and_takes_its_base_from_outside() -> None:
    assert re.search(r"^ARG BASE_IMAGE=", dockerfile(), re.M)
    assert re.search(r"^USER parley$", dockerfile(), re.M)


def test_image_is_made_of_the_code_and_nothing_else() -> None:
    """The context is closed; what the Dockerfile copies is let in, and no more."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile(), re.M)
    assert {rule[1:] for rule in rules if rule.startswith("!")} == {
        path for line in copied for path in line.split()
    }


def test_proxy_outlives_a_replica() -> None:
    """It starts while one is away, finds one that moved, and waits for none."""
    text = (DOCKER / "nginx.conf").read_text()
    servers = re.findall(r"^\s+server (\S+):8000 resolve fail_timeout=2s;", text, re.M)
    assert servers == ["api-1", "api-2"]
    for line in ("resolver 127.0.0.11 ", "zone parley ", "proxy_connect_timeout 1s;"):
        assert line in text


def test_proxy_passes_streams_on_unbuffered() -> None:
    text = (DOCKER / "nginx.conf").read_text()
    location = text[text.index("location ~") :]
    for line in ("proxy_buffering off;", "gzip off;", "proxy_read_timeout 60s;"):
        assert line in location
    pattern = re.search(r"location ~ (\S+) \{", text)
    assert pattern is not None
    for path in (
        "/api/v1/chats/7f3a/stream",
        "/api/v1/chats/7f3a/events",
        "/api/v1/chats/watch",
        "/api/v1/events",
    ):
        assert re.search(pattern[1], path), path
    assert not re.search(pattern[1], "/api/v1/chats/7f3a/messages")
