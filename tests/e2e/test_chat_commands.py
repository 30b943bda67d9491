"""parley chat list, show, fork, archive: chats over HTTP, for people and programs."""

from __future__ import annotations

from service.client.shapes import Chat
from service.testing.parley import Parley
from tests.e2e.commands import Ran, command


async def ran(parley: Parley, *arguments: str, code: int = 0) -> Ran:
    environ = {"PARLEY_URL": parley.url, "PARLEY_TOKEN": parley.token}
    done = await command(environ, "chat", *arguments)
    assert done.code == code, done.err
    return done


async def finished(parley: Parley, text: str, **fields: object) -> Chat:
    chat = await parley.create(text, **fields)
    await parley.turn_finished(chat)
    return chat


async def test_chats_are_listed_by_what_is_asked(parley: Parley) -> None:
    one = await finished(parley, "count 2", labels={"team": "red"})
    two = await finished(parley, "count 3")
    async with parley.client() as client:
        await client.update(two, title="Trip to Lisbon", pin_order=1)
        # so that the list shows what was changed
        while (await client.chats(title="Lisbon"))["chats"] == []:
            continue
    page = (await ran(parley, "list", "--json")).json
    assert [chat["id"] for chat in page["chats"]] == [two["id"], one["id"]]
    labelled = await ran(parley, "list", "--label", "team:red", "--json")
    assert [chat["id"] for chat in labelled.json["chats"]] == [one["id"]]
    shown = (await ran(parley, "list", "--title", "lisbon")).out
    assert two["id"] in shown
    assert "#1" in shown
    assert one["id"] not in shown


async def test_a_chat_is_shown_as_it_is_and_as_it_was(parley: Parley) -> None:
    chat = await finished(parley, "count 3")
    async with parley.client() as client:
        await client.send(chat, "count 2")
        view = await parley.turn_finished(chat)
        await client.messages(chat, at_least=view.chat and view.chat["version"])
    now = (await ran(parley, "show", chat["id"])).out
    assert now.splitlines()[1:] == ["> count 3", "1 2 3", "> count 2", "1 2"]
    first = (await ran(parley, "show", chat["id"], "--at", "2")).out
    assert "running" in first.splitlines()[0]
    assert first.splitlines()[1:] == ["> count 3"]
    told = (await ran(parley, "show", chat["id"], "--at", "2", "--json")).json
    assert told["chat"]["at_version"] == 2
    assert [m["role"] for m in told["messages"]] == ["user"]
    wrong = await ran(parley, "show", chat["id"], "--at", "999", code=1)
    assert "version" in wrong.err


async def test_a_chat_is_forked_archived_and_brought_back(parley: Parley) -> None:
    chat = await finished(parley, "count 3")
    made = (await ran(parley, "fork", chat["id"], "--at", "2")).out.strip()
    async with parley.client() as client:
        fork = await client.get(made)
        assert fork["forked_from"]["chat_id"] == chat["id"]
        await ran(parley, "archive", made, chat["id"])
        assert (await client.get(made))["archived"]
        refused = await ran(parley, "archive", made, code=1)
        assert "archived already" in refused.err
        await ran(parley, "archive", "--undo", made)
        assert not (await client.get(made))["archived"]
