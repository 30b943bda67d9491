"""What streams send is what the OpenAPI document says of their frames."""

from __future__ import annotations

from service.api.frames import CHAT_FRAMES
from service.client.client import Client
from service.testing.model import Call, Failure, Pause, Reasoning
from service.testing.parley import Parley
from tests.integration.api.conftest import Api, said
from tests.integration.api.driving import begun, call_client, patch, path, retry, tool

BY_HAND = {"retry", "action_required", "history_truncated"}
"""What a model that answers does not cause."""
NOT_SENT_HERE = {"resync", "bye"}
"""tests/integration/stream asks for these; the models are the same as of the others."""


async def test_a_chats_frames_are_those_of_the_document(parley: Parley) -> None:
    # the model says nothing before somebody listens, and waits for a part to be seen
    start, pause = Pause(), Pause()
    clock = Call("clock", {"timezone": "UTC"})
    parley.model.answer(
        [start, Reasoning("look"), "one ", clock],
        ["two ", pause, "three"],
        [Failure()],
    )
    chat = await parley.create("hello")
    seen = set()
    async with parley.client() as client:
        for after in (None, "0"):
            pauses = (start, pause)
            seen |= await _hold(client, str(chat["id"]), after, parley, pauses)
    assert seen == CHAT_FRAMES.keys() - NOT_SENT_HERE - BY_HAND


async def test_frames_of_a_turn_with_trouble_are_those_of_the_document(
    api: Api,
) -> None:
    chat = await begun(api, client_tools=[tool()])
    async with api.stack.follow(chat.id) as client:
        await chat.attempt()
        await retry(api, chat)
        await call_client(api, chat, "c1")
        message = (await chat.state()).messages[0].id
        edited = await patch(api, path(chat, "messages", message), said("no, this"))
        assert edited.status_code == 200
        await client.until(lambda c: {f.event for f in c.frames} >= BY_HAND)
    for frame in client.frames:
        if frame.event is not None:
            CHAT_FRAMES[frame.event].model_validate(frame.data)


async def _hold(
    client: Client,
    chat: str,
    after: str | None,
    parley: Parley,
    pauses: tuple[Pause, Pause],
) -> set[str]:
    """Hold each frame up to the end of the second turn to its model."""
    seen, turns, asked = set(), 0, after is not None
    start, pause = pauses
    async for frame in client.follow(chat, after=after):
        CHAT_FRAMES[frame.name].model_validate(frame.data)
        seen.add(frame.name)
        if frame.name == "snapshot":
            start.release()
        if frame.name == "message_part" and not asked:
            asked = True
            await parley.send(chat, "and then?")
            pause.release()
        turns += frame.name == "turn_finished"
        if turns == 2:
            break
    return seen
