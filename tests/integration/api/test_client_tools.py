"""Tools that a client declares when it creates a chat."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from service.domain.events.chat import ClientTool
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, said
from tests.integration.api.driving import CREATE, fields, tool


async def declare(api: Api, **body: Any) -> Any:
    return await api.post(CREATE, said() | body)


async def kept(api: Api, answered: Any) -> tuple[ClientTool, ...]:
    assert answered.status_code == 201, answered.text
    chat = ChatByHand(api.stack, UUID(answered.json()["id"]))
    return (await chat.state()).client_tools


async def test_tools_are_kept_by_either_name(api: Api) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "any": True},
        "required": ["city"],
        "$defs": {"x": {}},
    }
    declared = [
        tool("get_location", description="Where it is.", input_schema=schema),
        tool("open-map", input_schema={}),
    ]
    for name in ("client_tools", "unsafe_dynamic_tools"):
        assert await kept(api, await declare(api, **{name: declared})) == (
            ClientTool(
                name="get_location", description="Where it is.", input_schema=schema
            ),
            # vendors want to be told the type
            ClientTool(name="open-map", input_schema={"type": "object"}),
        )


async def test_as_many_tools_as_there_may_be(api: Api) -> None:
    tools = [tool(f"t{n}") for n in range(251)]
    assert len(await kept(api, await declare(api, client_tools=tools[:250]))) == 250
    refused = await declare(api, client_tools=tools)
    assert (refused.status_code, fields(refused)) == (400, ["client_tools"])


@pytest.mark.parametrize("number", [0, 1], ids=["none", "one"])
async def test_both_names_at_once_are_400(api: Api, number: int) -> None:
    tools = [tool()][:number]
    refused = await declare(api, client_tools=tools, unsafe_dynamic_tools=tools)
    assert (refused.status_code, fields(refused)) == (400, ["unsafe_dynamic_tools"])


@pytest.mark.parametrize("name", ["client_tools", "unsafe_dynamic_tools"])
@pytest.mark.parametrize(
    ("tools", "wrong"),
    [
        ([tool(""), tool("a b"), tool("a" * 65), tool("caf\u00e9"), tool("a\n")],
         [".0.name", ".1.name", ".2.name", ".3.name", ".4.name"]),
        ([tool("clock")], [".0.name"]),
        ([tool("a"), tool("b"), tool("a")], [""]),
        ([{"name": "a"}, {"input_schema": {}}], [".0.input_schema", ".1.name"]),
        ([tool(description=None), tool("b", description=1)],
         [".0.description", ".1.description"]),
        ([tool(input_schema=s) for s in (None, [], "object", True, 1)],
         [f".{n}.input_schema" for n in range(5)]),
        ([tool(input_schema={"type": t}) for t in ("string", None, ["object"])],
         [f".{n}.input_schema" for n in range(3)]),
        ([tool(input_schema={"properties": p}) for p in ([], None, {"a": 1})],
         [f".{n}.input_schema" for n in range(3)]),
        ([tool(input_schema={"required": r}) for r in ("a", [1], {"a": 1})],
         [f".{n}.input_schema" for n in range(3)]),
        ([tool(run="x")], [".0.run"]),
        ([tool(input_schema={"a\0": 1})], [".0.input_schema.a"]),
        ({"a": 1}, [""]),
    ],
    ids=[
        "names", "built in", "twice", "missing", "description", "no schema", "type",
        "properties", "required", "unknown field", "NUL", "no list",
    ],
)  # fmt: skip
async def test_wrong_tools_are_400(
    api: Api, name: str, tools: Any, wrong: list[str]
) -> None:
    before = await api.positions()
    refused = await declare(api, **{name: tools})
    assert refused.status_code == 400
    assert fields(refused) == [f"{name}{field}" for field in wrong]
    assert await api.positions() == before


@pytest.mark.parametrize(
    "schema",
    [b'{"maximum":1%b}' % (b"0" * 40), b'{"maximum":1e999}',
     b'{"a":' * 40 + b"1" + b"}" * 40],
    ids=["giant", "infinite", "deep"],
)  # fmt: skip
async def test_schemas_that_cannot_be_kept_are_400(api: Api, schema: bytes) -> None:
    before = await api.positions()
    raw = (
        b'{"content":[{"type":"text","text":"x"}],'
        b'"client_tools":[{"name":"a","input_schema":%b}]}' % schema
    )
    assert (await api.post(CREATE, content=raw)).status_code == 400
    assert await api.positions() == before


async def test_plan_mode_and_client_type_are_the_chats(api: Api) -> None:
    answered = await declare(api, plan_mode="plan", client_type="ui")
    shown = answered.json()
    assert (shown["plan_mode"], shown["client_type"]) == ("plan", "ui")
    sent = await api.post(
        f"{CREATE}/{shown['id']}/messages", said() | {"plan_mode": ""}
    )
    assert sent.status_code == 200
    found = await api.get(f"{CREATE}/{shown['id']}")
    assert found.json()["plan_mode"] == ""
