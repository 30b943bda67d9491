"""`parley provider`: keys go in, and never come out."""

from __future__ import annotations

from service.db.pool import Connection
from service.platform.providers import list_providers
from service.platform.secrets import SecretBox, new_key
from tests.integration.platform.commands import Operator
from tests.sql.batch import rows, value

KEY = "sk-very-secret-123"


def box(operator: Operator) -> SecretBox:
    return SecretBox(operator.environ["PARLEY_SECRET_KEY"].split(","))


async def test_key_from_the_environment_is_stored_sealed(
    operator: Operator, service: Connection
) -> None:
    operator.environ["VENDOR_KEY"] = KEY
    ran = await operator.run("provider", "add", "openai", "--api-key-env", "VENDOR_KEY")
    assert ran.code == 0
    assert KEY not in ran.out + ran.err
    (row,) = await list_providers(service)
    assert (row.kind, row.display_name, row.base_url) == ("openai", "openai", None)
    assert row.api_key_encrypted is not None
    assert KEY.encode() not in row.api_key_encrypted
    assert box(operator).decrypt(row.api_key_encrypted) == KEY
    told = await operator.run("provider", "list")
    assert KEY not in told.out
    (shown,) = await operator.does("provider", "list")
    assert (shown["has_api_key"], shown["models"]) == (True, 0)
    assert "api_key" not in str(sorted(shown)).replace("has_api_key", "")
    log = await value(service, "SELECT string_agg(e::text, '') FROM es.events AS e")
    assert KEY not in log


async def test_key_from_standard_input(operator: Operator, service: Connection) -> None:
    ran = await operator.process(
        "provider", "add", "anthropic", "--api-key-stdin", stdin=f"{KEY}\n"
    )
    assert (ran.code, ran.err) == (0, "")
    (row,) = await list_providers(service)
    assert ran.out == f"provider {row.id} is added\n"
    assert row.api_key_encrypted is not None
    assert box(operator).decrypt(row.api_key_encrypted) == KEY


async def test_update_changes_what_is_given(
    operator: Operator, service: Connection
) -> None:
    await operator.does("provider", "add", "openai", "--api-key-stdin", stdin=KEY)
    (before,) = await list_providers(service)
    await operator.does(
        "provider", "update", "openai", "--name", "Ours", "--base-url",
        "http://models.example/v1",
    )  # fmt: skip
    (row,) = await list_providers(service)
    assert (row.display_name, row.base_url) == ("Ours", "http://models.example/v1")
    assert row.api_key_encrypted == before.api_key_encrypted
    await operator.does("provider", "update", "Ours", "--no-base-url", "--disabled")
    await operator.does("provider", "update", str(row.id), "--no-api-key")
    (row,) = await list_providers(service)
    assert (row.base_url, row.enabled, row.api_key_encrypted) == (None, False, None)
    assert await rows(
        service, "SELECT DISTINCT metadata ->> 'actor' FROM es.events"
    ) == [("cli",)]


async def test_provider_with_models_is_not_removed(operator: Operator) -> None:
    added = await operator.does("provider", "add", "openai")
    await operator.does("model", "add", "openai", "m", "--context-limit", "1000")
    assert "models (1)" in await operator.fails("provider", "remove", "openai")
    await operator.does("model", "remove", "m")
    removed = await operator.does("provider", "remove", "openai")
    assert removed == {"id": added["id"], "removed": True}
    assert await operator.does("provider", "list") == []
    assert "no provider 'openai'" in await operator.fails(
        "provider", "remove", "openai"
    )


async def test_mistakes_are_told_in_a_line(operator: Operator) -> None:
    await operator.does("provider", "add", "openai")
    for arguments, stdin, why in (
        (("add", "openai"), "", "one of that name already"),
        (("add", "openai_compat", "--name", "x"), "", "--base-url"),
        (("add", "openai", "--base-url", "ftp://x"), "", "http://host"),
        (("add", "openai", "--base-url", "http://a:b@x"), "", "no user"),
        (("add", "openai", "--api-key-env", "NOT_SET"), "", "'NOT_SET'"),
        (("add", "openai", "--api-key-stdin"), "\n", "expected a key"),
        (("add", "openai", "--api-key-stdin"), "two\nlines", "expected a key"),
        (("add", "openai", "--api-key-stdin"), "k" * 10_241, "10,240"),
        (("update", "nobody", "--disabled"), "", "no provider 'nobody'"),
        (("update", "openai", "--no-api-key", "--api-key-stdin"), "k", "together"),
        (("update", "openai", "--name", "x" * 201), "", "providers__display_name"),
    ):
        said = await operator.fails("provider", *arguments, stdin=stdin)
        assert why in said
        assert len(said.splitlines()) == 1


async def test_keys_are_rotated(operator: Operator, service: Connection) -> None:
    await operator.does("provider", "add", "openai", "--api-key-stdin", stdin=KEY)
    await operator.does("provider", "add", "anthropic")
    old, new = operator.environ["PARLEY_SECRET_KEY"], new_key()
    operator.environ["PARLEY_SECRET_KEY"] = new
    assert "bring PARLEY_SECRET_KEY back" in await operator.fails(
        "provider", "rotate-keys"
    )
    operator.environ["PARLEY_SECRET_KEY"] = f"{new}, {old}"
    assert await operator.does("provider", "rotate-keys") == {"rotated": 1}
    keys = [row.api_key_encrypted for row in await list_providers(service)]
    assert keys[1] is None
    assert SecretBox([new]).decrypt(keys[0] or b"") == KEY


async def test_key_of_the_data_folder_is_made_when_none_is_set(
    operator: Operator, service: Connection
) -> None:
    del operator.environ["PARLEY_SECRET_KEY"]
    await operator.does("provider", "add", "openai", "--api-key-stdin", stdin=KEY)
    file = operator.data_dir / "secret.key"
    assert file.stat().st_mode & 0o777 == 0o600
    (row,) = await list_providers(service)
    found = SecretBox([file.read_text().strip()]).decrypt(row.api_key_encrypted or b"")
    assert found == KEY


async def test_malformed_secret_key_is_not_shown(operator: Operator) -> None:
    operator.environ["PARLEY_SECRET_KEY"] = "hunter2"
    said = await operator.fails(
        "provider", "add", "openai", "--api-key-stdin", stdin=KEY
    )
    assert "PARLEY_SECRET_KEY: expected" in said
    assert "hunter2" not in said
    assert KEY not in said
