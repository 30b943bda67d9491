"""A chat folded from frames, and waiting for its end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import httpx2
import pytest

from service import wire
from service.client.client import Client
from service.client.shapes import chat_id_of
from service.client.view import ChatView, Turn
from tests.reducer import ChatOnScreen

CHAT = "00000000-0000-4000-8000-00000000000a"


def header(status: str = "running", **more: Any) -> dict[str, Any]:
    return {"id": CHAT, "title": "t", "status": status, "last_error": None, **more}


def message(id_: int, role: str, text: str) -> dict[str, Any]:
    return {"id": id_, "role": role, "content": [{"type": "text", "text": text}]}


def snapshot(status: str = "running", **more: Any) -> tuple[str, dict[str, Any]]:
    whole = {
        "chat": header(status),
        "messages": [message(2, "user", "hi")],
        "queued_messages": [],
        "preview": None,
    }
    return "snapshot", whole | more


def part(seq: int, text: str, attempt: int = 1) -> tuple[str, dict[str, Any]]:
    said = {"role": "assistant", "part": {"type": "text", "text": text}}
    return "message_part", {"epoch": 2, "attempt": attempt, "seq": seq, **said}


def committed(id_: int, text: str) -> tuple[str, dict[str, Any]]:
    replaces = {"epoch": 2, "attempt": 1}
    return "message", {
        "message": message(id_, "assistant", text),
        "replaces": replaces,
    }


def folded(*frames: tuple[str, dict[str, Any]]) -> ChatView:
    view = ChatOnScreen()
    for name, data in frames:
        view.take(name, data)
    return view


def test_a_preview_grows_and_gives_way_to_its_message() -> None:
    view = folded(snapshot(), part(1, "he"), part(2, "llo"))
    assert view.preview is not None
    assert view.preview.text == "hello"
    assert view.answer == ""
    view.take(*committed(5, "hello"))
    assert view.preview is None
    assert view.answer == "hello"
    assert [*view.messages] == [2, 5]


def test_a_snapshot_brings_its_preview_and_a_resync_replaces_everything() -> None:
    said = [{"role": "assistant", "part": {"type": "text", "text": "he"}}]
    shown = {"epoch": 2, "attempt": 1, "seq": 3, "parts": said}
    view = folded(snapshot(preview=shown), part(4, "y"))
    assert view.preview is not None
    assert view.preview.text == "hey"
    view.take("resync", snapshot("waiting", messages=[])[1])
    assert (view.status, view.messages, view.preview) == ("waiting", {}, None)


def test_status_errors_and_turns() -> None:
    failed = {"message": "no", "kind": "generic", "retryable": False}
    view = folded(
        snapshot(),
        ("error", {"version": 7, "error": failed}),
        ("status", {"status": "error"}),
        ("turn_finished", {"turn_id": 2, "outcome": "failed"}),
    )
    assert view.error == failed
    assert view.at_rest
    assert view.turns == [Turn(2, "failed")]
    view.take("error", {"error": {"message": "of the connection"}})
    assert view.error == failed
    view.take("status", {"status": "running"})
    assert view.error is None
    assert not view.at_rest


def test_names_of_a_newer_service_change_nothing() -> None:
    view, same = folded(snapshot()), folded(snapshot())
    view.take("fireworks", {"colour": "red"})
    assert view == same


@pytest.mark.parametrize(
    "frames",
    [
        (part(1, "a"), part(1, "a")),
        (part(1, "a"), part(3, "c")),
        (part(1, "a"), part(1, "b", attempt=2)),
        (committed(5, "x"), committed(5, "x")),
    ],
)
def test_what_a_whole_stream_cannot_have(
    frames: tuple[tuple[str, dict[str, Any]], ...],
) -> None:
    view = ChatView()
    for name, data in (snapshot(), *frames):
        view.take(name, data)  # goes on as well as it can
    with pytest.raises(AssertionError):
        folded(snapshot(), *frames)


def block(id_: int, name: str, data: dict[str, Any]) -> str:
    place = "" if name == "caught_up" else f"id: {id_}\n"
    return f"{place}event: {name}\ndata: {wire.dumps(data).decode()}\n\n"


def client_of(*frames: tuple[str, dict[str, Any]]) -> Client:
    body = "".join(block(n, *frame) for n, frame in enumerate(frames, 1))

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body.encode())

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    return Client("http://x", "parley_x", http=http)


CAUGHT_UP = ("caught_up", {"chat_id": CHAT})


async def test_turn_finished_waits_for_the_last_frame_of_a_turn() -> None:
    ended = ("turn_finished", {"turn_id": 2, "outcome": "finished"})
    frames = (snapshot(), CAUGHT_UP, committed(5, "hello"))
    async with client_of(*frames, ("status", {"status": "waiting"}), ended) as client:
        view = await client.turn_finished({"id": CHAT})
    assert view.turns == [Turn(2, "finished")]
    assert view.answer == "hello"
    assert view.last_id == "5"


async def test_turn_finished_of_a_chat_at_rest_is_there_at_once() -> None:
    async with client_of(snapshot("error"), CAUGHT_UP) as client:
        view = await client.turn_finished(UUID(CHAT))
    assert view.status == "error"


async def test_turn_finished_does_not_wait_for_what_the_client_must_do() -> None:
    needs = ("status", {"status": "requires_action"})
    async with client_of(snapshot(), CAUGHT_UP, needs) as client:
        assert (await client.turn_finished(CHAT)).status == "requires_action"


def test_a_chat_is_named_by_its_id_or_itself() -> None:
    assert {chat_id_of(c) for c in (CHAT, UUID(CHAT), {"id": CHAT})} == {CHAT}
