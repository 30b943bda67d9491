"""Headers, methods, request ids, CORS, health: what every answer has in common."""

from __future__ import annotations

import logging
from uuid import UUID

import pytest

from service import wire
from service.api import routes
from service.api.routes import OPERATIONS
from service.api.shapes import Health, ProblemShape, Ready
from tests.integration.api.conftest import ORIGIN, Api, said

CREATE = "/api/v1/chats"
SECRET_TEXT = "the moon is made of cheese"


async def test_unknown_paths_and_methods_are_problems(api: Api) -> None:
    for path in ("/", "/api/v1", "/api/v1/chat", "/api/v1/chats/", "/favicon.ico"):
        answer = await api.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "/problems/not-found"
    answer = await api.http.request("DELETE", CREATE)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    ProblemShape.model_validate(answer.json())


async def test_head_answers_like_get_without_a_body(api: Api) -> None:
    chat = await api.create()
    for path in (CREATE, f"{CREATE}/{chat['id']}", "/healthz"):
        got, head = await api.get(path), await api.http.head(path)
        assert head.status_code == got.status_code == 200
        assert head.content == b""
        assert head.headers["content-length"] == got.headers["content-length"]
    stream = await api.http.head(f"{CREATE}/{chat['id']}/stream")
    assert stream.status_code == 200
    assert stream.headers["content-type"].startswith("text/event-stream")


async def test_a_request_id_is_taken_echoed_and_stored(api: Api) -> None:
    answer = await api.post(CREATE, said(), headers={"x-request-id": "req-1"})
    assert answer.headers["x-request-id"] == "req-1"
    chat_id = UUID(answer.json()["id"])
    async with api.stack.pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT DISTINCT metadata ->> 'correlation_id', metadata ->> 'actor' "
            "FROM es.events WHERE stream_id = %s",
            (chat_id,),
        )
        rows = await cursor.fetchall()
    assert rows == [("req-1", f"user:{api.user_id}")]


async def test_a_request_id_that_is_not_one_is_replaced(api: Api) -> None:
    for wrong in ("a b", "x" * 200, "", "\u00e9"):
        answer = await api.get("/healthz", headers={"x-request-id": wrong.encode()})
        assert answer.headers["x-request-id"] not in ("", wrong)
        assert len(answer.headers["x-request-id"]) == 32
    problem = await api.get("/nowhere", headers={"x-request-id": "r/2"})
    assert problem.json()["request_id"] == "r/2"


async def test_every_answer_has_security_headers_and_no_server(api: Api) -> None:
    for path in ("/healthz", "/nowhere", CREATE):
        answer = await api.get(path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "server" not in answer.headers


async def test_cors_lets_the_listed_origin_in_and_nobody_else(api: Api) -> None:
    asks = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,idempotency-key",
    }
    yes = await api.http.options(CREATE, headers={"origin": ORIGIN} | asks)
    assert yes.status_code == 200
    assert yes.headers["access-control-allow-origin"] == ORIGIN
    no = await api.http.options(
        CREATE, headers={"origin": "https://evil.example"} | asks
    )
    assert "access-control-allow-origin" not in no.headers
    refused = await api.get(
        CREATE, headers={"origin": ORIGIN, "authorization": "Bearer x"}
    )
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    exposed = refused.headers["access-control-expose-headers"].lower()
    assert "x-request-id" in exposed
    assert "idempotent-replayed" in exposed


async def test_cors_lets_every_method_through(api: Api) -> None:
    for operation in OPERATIONS:
        asked = await api.http.options(
            operation.path.format(
                chat_id=UUID(int=1), message_id=1, queued_id=1, user="me"
            ),
            headers={
                "origin": ORIGIN,
                "access-control-request-method": operation.method,
                "access-control-request-headers": "authorization,idempotency-key",
            },
        )
        assert asked.status_code == 200, operation.path
        allowed = asked.headers["access-control-allow-methods"].split(", ")
        assert operation.method in allowed


async def test_one_record_a_request_without_content_or_token(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await api.post(CREATE, said(SECRET_TEXT), headers={"x-request-id": "r1"})
    records = [r for r in caplog.records if r.message == "request"]
    assert len(records) == 1
    fields = vars(records[0])
    assert (fields["method"], fields["route"], fields["status"]) == (
        "POST",
        CREATE,
        201,
    )
    assert fields["outcome"] == "appended"
    assert fields["events"] == 2
    everything = "".join(str(vars(record)) for record in caplog.records)
    assert "cheese" not in everything
    assert api.token not in everything


async def test_health_and_readiness(api: Api) -> None:
    Health.model_validate((await api.get("/healthz")).json())
    await api.create()
    ready = await api.get("/readyz")
    assert ready.status_code == 200
    lag = Ready.model_validate(ready.json()).lag
    assert lag["chats"].events == 2
    await api.project()
    ready = await api.get("/readyz")
    assert {row["events"] for row in ready.json()["lag"].values()} == {0}


async def test_a_schema_that_is_not_ours_is_not_ready(api: Api) -> None:
    async with api.stack.pool.connection() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute(
            "DELETE FROM ops._yoyo_migration WHERE migration_id LIKE '0003%'"
        )
    answer = await api.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["type"] == "/problems/schema-not-current"
    assert (await api.get("/healthz")).status_code == 200


async def test_metrics_count_requests_by_route(api: Api) -> None:
    chat = await api.create()
    await api.get(f"{CREATE}/{chat['id']}")
    await api.get("/nowhere/at/all")
    answer = await api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert (
        'parley_http_requests_total{method="GET",'
        'route="/api/v1/chats/{chat_id}",status="200"} 1.0'
    ) in answer.text
    assert (
        'parley_http_request_seconds_count{route="/api/v1/chats/{chat_id}",'
        'status="200"} 1.0'
    ) in answer.text
    assert 'route="other",status="404"} 1.0' in answer.text
    assert chat["id"] not in answer.text


async def test_metrics_need_a_token(api: Api) -> None:
    for headers in ({"authorization": ""}, {"authorization": "Bearer parley_wrong"}):
        answer = await api.get("/metrics", headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="parley"'
        assert "parley_" not in answer.text


async def test_openapi_describes_every_operation(api: Api) -> None:
    document = (await api.get("/openapi.json")).json()
    assert document["openapi"] == "3.2.0"
    told = {(m.upper(), p) for p, item in document["paths"].items() for m in item}
    assert told == {(o.method, o.path) for o in OPERATIONS}
    text = wire.dumps(document).decode()
    for name in _references(document):
        assert f'"{name}":' in text
        assert name in document["components"]["schemas"]


async def test_openapi_is_made_once(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs no token, so it may cost next to nothing."""
    first = await api.get("/openapi.json")
    monkeypatch.delattr(routes, "build")
    assert (await api.get("/openapi.json")).content == first.content


def _references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if "$ref" in value else set()
        return own.union(*(_references(v) for v in value.values()))
    if isinstance(value, list):
        return set().union(*(_references(v) for v in value))
    return set()
