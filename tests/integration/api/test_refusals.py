"""What is refused, how it is said, and that nothing was appended for it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from service.api.routes import OPERATIONS
from service.api.shapes import ProblemShape
from service.auth.bearer import new_token
from tests.integration.api.conftest import Api, bearer, said
from tests.integration.api.driving import at_rest

NAMED = {"message_id": 2, "queued_id": 3, "user": "me"}
"""What else is named in paths."""
HUGE_DEPTH = "[" * 100_000
CREATE = "/api/v1/chats"


def text_part(**fields: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": "hello"} | fields]}


WRONG_BODIES: list[tuple[str, Any, str]] = [
    ("not an object", [], ""),
    ("null", None, ""),
    ("no content", {}, "content"),
    ("empty content", {"content": []}, "content"),
    ("content is text", {"content": "hello"}, "content"),
    ("blank text", {"content": [{"type": "text", "text": " \n"}]}, "content.0.text"),
    ("text is a number", {"content": [{"type": "text", "text": 1}]}, "content.0.text"),
    ("second part unknown", {"content": [*said()["content"], {"type": "image"}]},
     "content.1"),
    ("part without type", {"content": [{"text": "x"}]}, "content.0"),
    ("part is text", {"content": ["x"]}, "content.0"),
    ("unknown field of a part", text_part(size=1), "content.0.size"),
    ("metadata smuggled in", text_part(provider_metadata={}),
     "content.0.provider_metadata"),
    ("unknown file", {"content": [{"type": "file", "file_id": str(uuid4())}]},
     "content.0.file_id"),
    ("no file name", {"content": [{"type": "file-reference", "file_name": " ",
     "start_line": 1, "end_line": 1, "content": ""}]}, "content.0.file_name"),
    ("lines run backwards", {"content": [{"type": "file-reference", "file_name": "a",
     "start_line": 2, "end_line": 1, "content": ""}]}, "content.0"),
    ("line is text", {"content": [{"type": "file-reference", "file_name": "a",
     "start_line": "1", "end_line": 1, "content": ""}]}, "content.0.start_line"),
    ("unknown field", said() | {"colour": "red"}, "colour"),
    ("nil organization", said() | {"organization_id": str(UUID(int=0))},
     "organization_id"),
    ("organization is no uuid", said() | {"organization_id": "x"}, "organization_id"),
    ("system prompt too long", said() | {"system_prompt": "x" * 10_001},
     "system_prompt"),
    ("model config", said() | {"model_config_id": str(uuid4())}, "model_config_id"),
    ("workspace", said() | {"workspace_id": str(uuid4())}, "workspace_id"),
    ("mcp server", said() | {"mcp_server_ids": [str(uuid4())]}, "mcp_server_ids"),
    ("client type", said() | {"client_type": "cli"}, "client_type"),
    ("effort", said() | {"reasoning_effort": "very"}, "reasoning_effort"),
    ("plan mode", said() | {"plan_mode": "yes"}, "plan_mode"),
    ("label key", said() | {"labels": {"-a": "x"}}, "labels.-a"),
    ("label key too long", said() | {"labels": {"a" * 65: "x"}}, f"labels.{'a' * 64}"),
    ("label value empty", said() | {"labels": {"a": ""}}, "labels.a"),
    ("label value too long", said() | {"labels": {"a": "\u00e9" * 129}}, "labels.a"),
    ("label value a number", said() | {"labels": {"a": 1}}, "labels.a"),
    ("too many labels", said() | {"labels": {f"l{n}": "x" for n in range(51)}},
     "labels"),
    ("NUL", said("a\0b"), "content.0.text"),
    ("NUL in a key", said() | {"labels": {"a\0": "x"}}, "labels.a"),
]  # fmt: skip

WRONG_BYTES: list[tuple[str, bytes, str, str]] = [
    ("nothing", b"", "invalid-json", ""),
    ("not JSON", b"{", "invalid-json", ""),
    ("trailing comma", b'{"content": [],}', "invalid-json", ""),
    ("NaN", b'{"content": NaN}', "invalid-json", ""),
    ("not UTF-8", b'{"content": "\xff"}', "invalid-json", ""),
    ("surrogate in raw bytes", b'{"content": "\xed\xa0\x80"}', "invalid-json", ""),
    ("lone surrogate", rb'{"content":[{"type":"text","text":"\ud83d\ude00 \ud800"}]}',
     "invalid-request", "content.0.text"),
    ("lone surrogate second", rb'{"content":[{"type":"text","text":"\udc00"}]}',
     "invalid-request", "content.0.text"),
    ("deep", HUGE_DEPTH.encode(), "invalid-json", ""),
    ("rather deep", b'{"a":' * 40 + b"1" + b"}" * 40, "invalid-request",
     ".".join("a" * 32)),
]  # fmt: skip


async def test_wrong_bodies_are_400_and_name_the_field(api: Api) -> None:
    chat = await api.create()
    before = await api.positions()
    for what, body, field in WRONG_BODIES:
        for path in (CREATE, f"{CREATE}/{chat['id']}/messages"):
            answer = await api.post(path, body)
            assert answer.status_code == 400, (what, path, answer.text)
            problem = ProblemShape.model_validate(answer.json())
            fields = {error.field for error in problem.errors or ()}
            # what only a create knows is an unknown field of a send
            assert fields & {field, field.partition(".")[0]}, (what, fields)
            assert path != CREATE or field in fields, (what, fields)
    assert await api.positions() == before


async def test_wrong_bytes_are_400(api: Api) -> None:
    before = await api.positions()
    for what, content, slug, field in WRONG_BYTES:
        answer = await api.post(CREATE, content=content)
        assert answer.status_code == 400, (what, answer.text)
        body = answer.json()
        assert body["type"] == f"/problems/{slug}", what
        if field:
            assert [e["field"] for e in body["errors"]] == [field], what
    assert await api.positions() == before


async def test_input_is_never_repeated_in_an_answer(api: Api) -> None:
    secret = "s3cret" * 3
    for body in (
        {"content": [{"type": secret}]},
        said() | {"client_type": secret},
        said() | {"organization_id": secret},
        {"content": [{"type": "text", "text": secret + "\0"}]},
    ):
        answer = await api.post(CREATE, body)
        assert answer.status_code == 400
        assert secret not in answer.text


async def test_an_emoji_as_a_pair_of_escapes_is_welcome(api: Api) -> None:
    content = rb'{"content":[{"type":"text","text":"\ud83d\ude00 \\ud800"}]}'
    answer = await api.post(CREATE, content=content)
    assert answer.status_code == 201
    assert answer.json()["title"] == "\U0001f600 \\ud800"


async def test_busy_behavior_is_queue_or_interrupt(api: Api) -> None:
    chat = await api.create()
    path = f"{CREATE}/{chat['id']}/messages"
    refused = await api.post(path, said() | {"busy_behavior": "drop"})
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "busy_behavior"
    sent = await api.post(path, said() | {"busy_behavior": "interrupt"})
    assert sent.json()["queued"] is True
    got = await api.get(f"{CREATE}/{chat['id']}")
    assert got.json()["status"] == "interrupting"


async def test_a_foreign_organization_is_403(api: Api) -> None:
    answer = await api.post(CREATE, said() | {"organization_id": str(uuid4())})
    assert answer.status_code == 403
    assert answer.json()["type"] == "/problems/forbidden"


async def test_organization_may_be_left_out_only_while_there_is_one(api: Api) -> None:
    await _join_second_organization(api)
    answer = await api.post(CREATE, said())
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "organization_id"
    other = await api.post(CREATE, said(), headers=bearer(api.other_token))
    assert other.status_code == 201


async def test_everything_under_api_needs_a_token(api: Api) -> None:
    chat = await api.create()
    for operation in OPERATIONS:
        path = operation.path.format(chat_id=chat["id"], **NAMED)
        for headers in (
            {"authorization": ""},
            {"authorization": "Basic eDp5"},
            {"authorization": "Bearer parley_x"},
            bearer(new_token()),
        ):
            answer = await api.http.request(operation.method, path, headers=headers)
            if operation.doc.open:
                assert answer.status_code == 200, path
                continue
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert answer.json()["type"] == "/problems/unauthorized"


async def test_not_mine_and_unknown_are_the_same_404(api: Api) -> None:
    chat = await api.create()
    headers = bearer(api.other_token) | {"x-request-id": "same"}
    for operation in OPERATIONS:
        if "{chat_id}" not in operation.path:
            continue
        answers = []
        for chat_id in (chat["id"], str(uuid4())):
            path = operation.path.format(chat_id=chat_id, **NAMED)
            answer = await api.http.request(
                operation.method, path, headers=headers, json=said()
            )
            assert answer.status_code == 404, path
            answers.append((answer.content, _stable(answer.headers)))
        assert answers[0] == answers[1], operation.path


async def test_a_parameter_that_would_be_ignored_is_400(api: Api) -> None:
    chat = await at_rest(api)
    before = await api.positions()
    for operation in OPERATIONS:
        if not operation.path.startswith(CREATE):
            continue
        path = operation.path.format(chat_id=chat.id, **NAMED)
        answer = await api.http.request(
            operation.method, path, params={"dry_run": "1"}, json=said()
        )
        assert answer.status_code == 400, (operation.method, path)
        assert answer.json()["errors"][0]["field"] == "dry_run", path
    assert await api.positions() == before


async def test_an_id_that_is_no_uuid_is_400(api: Api) -> None:
    chat = await api.create()
    for wrong in (
        "x", "1", chat["id"].replace("-", ""), f"urn:uuid:{chat['id']}",
        "{" + chat["id"] + "}", chat["id"][:-1] + "\uff11",
    ):  # fmt: skip
        answer = await api.get(f"{CREATE}/{wrong}")
        assert answer.status_code == 400, wrong
        assert answer.json()["type"] == "/problems/invalid-id"
    assert (await api.get(f"{CREATE}/{chat['id'].upper()}")).status_code == 200


async def test_expired_and_revoked_tokens_are_401(api: Api) -> None:
    token = bearer(api.other_token)
    assert (await api.get(CREATE, headers=token)).status_code == 200
    dsn = api.stack.database.dsn
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as owner:
        await owner.execute(
            "UPDATE platform.tokens SET expires_at = %s",
            (api.stack.now() - timedelta(days=1),),
        )
    # this API has seen one of them, and may remember it for a few seconds
    answer = await api.get(CREATE)
    assert answer.status_code == 401
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as owner:
        await owner.execute(
            "UPDATE platform.tokens SET expires_at = NULL, revoked_at = now()"
        )
    assert (await api.get(CREATE)).status_code == 401


@pytest.mark.parametrize("key", ["", "a b", "\u00e9", "x" * 201])
async def test_a_malformed_key_is_400(api: Api, key: str) -> None:
    answer = await api.post(
        CREATE, said(), headers={"idempotency-key": key.encode("utf-8")}
    )
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-idempotency-key"


async def _join_second_organization(api: Api) -> None:
    organization = uuid4()
    async with api.stack.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO platform.organizations (id, name) VALUES (%s, 'second')",
            (organization,),
        )
        await connection.execute(
            "INSERT INTO platform.memberships (user_id, organization_id, role) "
            "VALUES (%s, %s, 'member')",
            (api.user_id, organization),
        )


def _stable(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "date"}
