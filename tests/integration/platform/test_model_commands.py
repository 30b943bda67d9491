"""`parley model`, `parley prompt`, `parley threshold`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest_asyncio

from service.db.pool import Connection
from service.domain.prompts import CURRENT_PROMPT, DEFAULT_PROMPTS
from service.platform.stored_settings import list_settings, list_user_settings
from service.platform.users import FIRST_USER, ensure_user
from tests.integration.platform.commands import Operator
from tests.sql.batch import value


@pytest_asyncio.fixture
async def models(operator: Operator) -> dict[str, Any]:
    """Ids of two models of one provider, by name; `one` is the default."""
    await operator.does("provider", "add", "openai")
    add = ("model", "add", "openai")
    one = await operator.does(*add, "one", "--context-limit", "200000")
    two = await operator.does(*add, "two", "--context-limit", "1000", "--name", "Two")
    return {"one": one["id"], "two": two["id"]}


async def listed(operator: Operator) -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in await operator.does("model", "list")}


async def test_model_has_what_it_was_given(operator: Operator) -> None:
    await operator.does("provider", "add", "openai", "--name", "[bold]V")
    await operator.does(
        "model", "add", "[bold]V", "m", "--context-limit", "200000", "--name", "M",
        "--threshold", "80", "--max-output-tokens", "900", "--temperature", "0.5",
        "--reasoning-effort", "low", "--max-reasoning-effort", "high",
        "--options", '{"top_p": 0.9}', "--price-input", "2.50",
        "--price-output", "10", "--price-cache-read", "0.00001",
    )  # fmt: skip
    row = (await listed(operator))["m"]
    for name in ("id", "provider_id", "created_at", "updated_at"):
        assert row.pop(name)
    assert row == {
        "provider": "[bold]V", "model": "m", "display_name": "M", "enabled": True,
        "usable": True, "is_default": True, "context_limit": 200_000,
        "compaction_threshold": 80, "max_output_tokens": 900, "temperature": 0.5,
        "reasoning_effort": "low", "max_reasoning_effort": "high",
        "options": {"top_p": 0.9}, "price_input": "2.5", "price_output": "10",
        "price_cache_read": "0.00001", "price_cache_write": None,
    }  # fmt: skip
    told = await operator.run("model", "list")
    assert "[bold]V" in told.out
    assert "2.5/10" in told.out
    assert "200,000" in told.out


async def test_update_changes_what_is_given(
    operator: Operator, models: dict[str, Any]
) -> None:
    before = (await listed(operator))["two"]
    await operator.does(
        "model", "update", "Two", "--model", "two-b", "--temperature", "1",
        "--price-input", "0", "--options", '{"store": false}',
    )  # fmt: skip
    after = (await listed(operator))["two-b"]
    assert (after["temperature"], after["price_input"]) == (1.0, "0")
    assert after["options"] == {"store": False}
    assert after["context_limit"] == before["context_limit"]
    await operator.does(
        "model", "update", models["two"], "--unset", "temperature",
        "--unset", "price-input", "--threshold", "100",
    )  # fmt: skip
    after = (await listed(operator))["two-b"]
    assert (after["temperature"], after["price_input"]) == (None, None)
    assert after["compaction_threshold"] == 100


async def test_default_moves(operator: Operator, models: dict[str, Any]) -> None:
    found = await listed(operator)
    assert [row["model"] for row in found.values() if row["is_default"]] == ["one"]
    said = await operator.does("model", "default", "Two")
    assert said == {"id": models["two"], "default": True}
    assert (await listed(operator))["two"]["is_default"]
    await operator.does("model", "update", "one", "--disabled")
    assert "switched off" in await operator.fails("model", "default", "one")
    await operator.does("model", "remove", "two")
    assert not (await listed(operator))["one"]["is_default"]
    await operator.does("model", "update", "one", "--enabled")
    assert (await listed(operator))["one"]["is_default"]


async def test_mistakes_are_told_in_a_line(
    operator: Operator, models: dict[str, Any]
) -> None:
    add = ("add", "openai", "x", "--context-limit", "1")
    for arguments, why in (
        (("add", "nobody", "x", "--context-limit", "1"), "no provider 'nobody'"),
        (("add", "openai", "one", "--context-limit", "1"), "of that name already"),
        ((*add, "--options", "{"), "JSON object"),
        ((*add, "--options", "[]"), "--options"),
        ((*add, "--options", '{"top_q": 1}'), "options.top_q"),
        ((*add, "--default", "--disabled"), "cannot be the default"),
        (("update", "one", "--unset", "model"), "'model'"),
        (("remove", "nobody"), "no model 'nobody'"),
        (("default", str(uuid4())), "no model"),
    ):
        said = await operator.fails("model", *arguments)
        assert why in said
        assert len(said.splitlines()) == 1
    await operator.does(*("model", *add), "--name", "Two")
    assert "names several" in await operator.fails("model", "remove", "Two")


async def test_another_model_for_titles(
    operator: Operator, service: Connection, models: dict[str, Any]
) -> None:
    override = ("model", "override", "title")
    assert await operator.does(*override) is None
    assert "the chat's own" in (await operator.run(*override)).out
    said = await operator.does(*override, "Two", "--reasoning-effort", "low")
    assert said == {"model_config_id": models["two"], "reasoning_effort": "low"}
    assert await list_settings(service) == {"model_override.title": said}
    assert await operator.does(*override) == said
    await operator.does("model", "override", "compaction", "one")
    assert await operator.does(*override, "--clear") is None
    assert await list_settings(service) == {
        "model_override.compaction": {"model_config_id": models["one"]}
    }
    await operator.does("model", "update", "Two", "--disabled")
    assert "is off" in await operator.fails(*override, "Two")
    assert "no model" in await operator.fails(*override, "three")
    assert "--clear" in await operator.fails(*override, "one", "--clear")
    assert "goes with" in await operator.fails(*override, "--reasoning-effort", "low")


async def test_prompt_of_the_deployment(
    operator: Operator, service: Connection, tmp_path: Path
) -> None:
    own = DEFAULT_PROMPTS[CURRENT_PROMPT]
    assert await operator.does("prompt", "show") == {
        "system_prompt": "",
        "include_default_system_prompt": True,
        "default_system_prompt": own,
    }
    await operator.does("prompt", "set", stdin="Be\u202e kind.  \r\n\n\n\nAlways.\n")
    assert await list_settings(service) == {
        "deployment_prompt": {"text": "Be kind.\n\nAlways.", "include_default": True}
    }
    ran = await operator.run("prompt", "show")
    assert ran.out == f"{own}\nBe kind.\n\nAlways.\n"
    file = tmp_path / "prompt.txt"
    file.write_text("From a file.")
    await operator.does("prompt", "set", str(file), "--without-default")
    await operator.does("prompt", "set", stdin="Another.")
    assert await list_settings(service) == {
        "deployment_prompt": {"text": "Another.", "include_default": False}
    }
    assert (await operator.run("prompt", "show")).out == "Another.\n"
    await operator.does("prompt", "set", "--clear")
    assert await list_settings(service) == {}


async def test_prompt_of_a_user(operator: Operator, service: Connection) -> None:
    user = await ensure_user(service, uuid4(), name="ann")
    await operator.does("prompt", "set", "--user", "ann", stdin="I am Ann.")
    assert await list_user_settings(service, user) == {
        "custom_prompt": {"text": "I am Ann."}
    }
    shown = await operator.does("prompt", "show", "--user", "ann")
    assert shown == {"custom_prompt": "I am Ann."}
    assert await operator.does("prompt", "show", "--user", "owner") == {
        "custom_prompt": ""
    }
    await operator.does("prompt", "set", "--user", "ann", "--clear")
    assert await list_user_settings(service, user) == {}
    assert "no user is called 'bob'" in await operator.fails(
        "prompt", "show", "--user", "bob"
    )


async def test_prompts_that_are_refused(operator: Operator, tmp_path: Path) -> None:
    for arguments, stdin, why in (
        ((), "x" * 131_073, "131,072 bytes"),
        ((str(tmp_path / "none"),), "", "cannot read"),
        (("--clear", "--without-default"), "", "--clear"),
        (("--user", "owner", "--without-default"), "x", "--user"),
        ((), "a\0b", "NUL"),
    ):
        assert why in await operator.fails("prompt", "set", *arguments, stdin=stdin)
    (tmp_path / "latin").write_bytes(b"\xe9")
    said = await operator.fails("prompt", "set", str(tmp_path / "latin"))
    assert "UTF-8" in said


async def test_malformed_setting_counts_as_not_set(
    operator: Operator, service: Connection
) -> None:
    await service.execute(
        "INSERT INTO platform.settings VALUES ('deployment_prompt', '[1]')"
    )
    shown = await operator.does("prompt", "show")
    assert (shown["system_prompt"], shown["include_default_system_prompt"]) == (
        "",
        True,
    )


async def test_thresholds_of_a_user(
    operator: Operator, service: Connection, models: dict[str, Any]
) -> None:
    said = await operator.does("threshold", "set", "one", "50")
    assert said == {"model_config_id": models["one"], "threshold_percent": 50}
    assert await operator.does("threshold", "list") == [
        {
            "model_config_id": models[name],
            "display_name": shown,
            "threshold_percent": own,
            "default_percent": 70,
        }
        for name, shown, own in (("one", "one", 50), ("two", "Two", None))
    ]
    assert "50 %" in (await operator.run("threshold", "list")).out
    assert (
        await value(service, "SELECT user_id FROM platform.compaction_thresholds")
        == FIRST_USER
    )
    cleared = await operator.does("threshold", "clear", "one")
    assert cleared["cleared"]
    assert not (await operator.does("threshold", "clear", "one"))["cleared"]
    await operator.does("model", "update", "one", "--disabled")
    assert "switched off" in await operator.fails("threshold", "set", "one", "50")
    assert "no model" in await operator.fails("threshold", "set", "three", "50")
