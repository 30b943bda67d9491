"""parley cost, parley chat cost: what was spent, for people and programs."""

from __future__ import annotations

from service.testing.parley import Parley
from tests.e2e.commands import Ran, command


async def ran(parley: Parley, *arguments: str, code: int = 0) -> Ran:
    environ = {"PARLEY_URL": parley.url, "PARLEY_TOKEN": parley.token}
    done = await command(environ, *arguments)
    assert done.code == code, done.err
    return done


async def test_what_a_chat_cost_is_told_and_what_all_did(parley: Parley) -> None:
    chat = await parley.create("count 3")
    view = await parley.turn_finished(chat)
    version = view.chat and view.chat["version"]
    async with parley.client() as client:
        seen = await client.chat_cost(chat, at_least=version)
    assert seen["request_count"] >= 1
    told = (await ran(parley, "chat", "cost", chat["id"])).out
    assert " of unknown cost" in told
    assert told.startswith("0.000000 USD for ")
    spent = (await ran(parley, "cost", "--json")).json
    (family,) = spent["by_chat"]
    assert (family["root_chat_id"], spent["total_cost_micros"]) == (chat["id"], 0)
    words = (await ran(parley, "cost")).out
    assert chat["id"] in words
    assert "scripted" in words
    long_ago = await ran(parley, "cost", "--to", "2020-02-01")
    assert long_ago.out.startswith("2020-01-02T00:00 to 2020-02-01T00:00: 0.000000 USD")
    wrong = ("cost", "--from", "2020-02-01", "--to", "2020-01-01")
    assert "before end_date" in (await ran(parley, *wrong, code=1)).err
