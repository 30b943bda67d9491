"""Edits, the queue, client tools and what else is done to a turn, through HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from service.api.shapes import ChatShape, Edited
from service.domain.chat.state import Status
from service.domain.parts import ToolResultPart
from tests.fixtures.byhand import ChatByHand
from tests.integration.api.conftest import Api, said
from tests.integration.api.driving import (
    at_rest,
    begun,
    break_state,
    delete,
    failed,
    fields,
    patch,
    path,
    queued,
    slug,
    waiting_for_client,
)

RESULT = {"tool_call_id": "c1", "output": {"city": "Lisbon"}}


async def first_user_message(chat: ChatByHand) -> int:
    state = await chat.state()
    return next(m.id for m in state.messages if m.role == "user")


async def edit(
    api: Api, chat: ChatByHand, message: object, text: str = "no, this", **more: Any
) -> httpx2.Response:
    body = said(text) | more.pop("body", {})
    return await patch(api, path(chat, "messages", message), body, **more)


# edit


async def test_an_edit_takes_everything_after_it_back(api: Api) -> None:
    chat = await at_rest(api)
    await chat.send("second")
    await queued(api, chat, "third")
    message = await first_user_message(chat)
    ids = [m.id for m in (await chat.state()).messages]
    answer = await edit(api, chat, message)
    assert answer.status_code == 200
    said_now = Edited.model_validate(answer.json())
    assert said_now.deleted_message_ids == ids
    state = await chat.state()
    assert [m.id for m in state.messages] == [said_now.message.id]
    assert state.status is Status.RUNNING
    assert state.queue == ()
    assert answer.headers["parley-version"] == f"{chat.id}:{state.version}"


async def test_an_edit_is_replayed_as_it_was(api: Api) -> None:
    chat = await at_rest(api)
    message = await first_user_message(chat)
    first = await edit(api, chat, message, key="e")
    await edit(api, chat, first.json()["message"]["id"], "once more")
    again = await edit(api, chat, message, key="e")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    other = await edit(api, chat, message, "another", key="e")
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")


async def test_an_edit_keeps_the_settings_that_it_does_not_give(api: Api) -> None:
    chat = await at_rest(api, reasoning_effort="high")
    first = await edit(api, chat, await first_user_message(chat))
    (message,) = (await chat.state()).messages
    assert message.settings
    assert message.settings.reasoning_effort == "high"
    more = {"reasoning_effort": "low"}
    await edit(api, chat, first.json()["message"]["id"], body=more)
    (message,) = (await chat.state()).messages
    assert message.settings
    assert message.settings.reasoning_effort == "low"


async def test_what_cannot_be_edited(api: Api) -> None:
    chat = await at_rest(api, system_prompt="be kind")
    hidden, _, spoken = ((await chat.state()).messages)[:3]
    for message, status, why in (
        (hidden.id, 404, "message-not-found"),
        (spoken.id, 400, "not-a-user-message"),
        (9999, 404, "message-not-found"),
        (10**18, 404, "message-not-found"),
        (0, 400, "invalid-id"),
        (-1, 400, "invalid-id"),
        ("x", 400, "invalid-id"),
        ("1.5", 400, "invalid-id"),
        ("9" * 40, 400, "invalid-id"),
        ("\uff11", 400, "invalid-id"),
    ):
        answer = await edit(api, chat, message)
        assert (answer.status_code, slug(answer)) == (status, why), message


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "content"),
        ({"content": []}, "content"),
        ({**said(), "busy_behavior": "queue"}, "busy_behavior"),
        ({**said(), "reasoning_effort": "some"}, "reasoning_effort"),
        (
            {**said(), "model_config_id": "0" * 8 + "-0000-4000-8000-" + "0" * 12},
            "model_config_id",
        ),
        (said("a\0b"), "content.0.text"),
    ],
    ids=["nothing", "empty", "not of an edit", "effort", "model", "NUL"],
)
async def test_a_wrong_edit_is_400(api: Api, body: Any, field: str) -> None:
    chat = await at_rest(api)
    before = await api.positions()
    message = await first_user_message(chat)
    answer = await patch(api, path(chat, "messages", message), body)
    assert (answer.status_code, fields(answer)) == (400, [field])
    assert await api.positions() == before


async def test_of_two_edits_at_once_both_count_or_one_finds_nothing(api: Api) -> None:
    chat = await at_rest(api)
    message = await first_user_message(chat)
    answers = await asyncio.gather(*(edit(api, chat, message, str(n)) for n in "ab"))
    # the first takes the message away, so the second has nothing to edit
    assert sorted(a.status_code for a in answers) == [200, 404]


# the queue


async def test_a_queued_message_is_taken_out(api: Api) -> None:
    chat = await begun(api)
    one, two = await queued(api, chat, "one", "two")
    answer = await delete(api, path(chat, "queue", one), key="d")
    assert (answer.status_code, answer.content) == (204, b"")
    state = await chat.state()
    assert [item.id for item in state.queue] == [two]
    assert answer.headers["parley-version"] == f"{chat.id}:{state.version}"
    again = await delete(api, path(chat, "queue", one), key="d")
    assert again.status_code == 204
    assert again.headers["idempotent-replayed"] == "true"
    gone = await delete(api, path(chat, "queue", one))
    assert (gone.status_code, slug(gone)) == (404, "queue-item-not-found")


async def test_a_promoted_message_is_next_and_stops_the_turn(api: Api) -> None:
    chat = await begun(api)
    one, two = await queued(api, chat, "one", "two")
    answer = await api.post(path(chat, "queue", two, "promote"), {}, key="p")
    assert answer.status_code == 202
    assert ChatShape.model_validate(answer.json()).status == "interrupting"
    state = await chat.state()
    assert [item.id for item in state.queue] == [two, one]
    assert answer.headers["parley-version"] == f"{chat.id}:{state.version}"
    again = await api.http.post(
        path(chat, "queue", two, "promote"), headers={"idempotency-key": "p"}
    )
    assert (again.status_code, again.content) == (202, answer.content)


async def test_a_queue_that_is_not_there(api: Api) -> None:
    chat = await at_rest(api)
    for answer in (
        await delete(api, path(chat, "queue", 3)),
        await api.http.post(path(chat, "queue", 3, "promote")),
    ):
        assert (answer.status_code, slug(answer)) == (409, "invalid-state")
    await chat.send("go on")
    for wrong in ("x", "0", "-1", "1e3"):
        for answer in (
            await delete(api, path(chat, "queue", wrong)),
            await api.http.post(path(chat, "queue", wrong, "promote")),
        ):
            assert (answer.status_code, slug(answer)) == (400, "invalid-id"), wrong
    await queued(api, chat, "one")
    missing = await api.http.post(path(chat, "queue", 999, "promote"))
    assert (missing.status_code, slug(missing)) == (404, "queue-item-not-found")
    named = await api.post(path(chat, "queue", 999, "promote"), {"to": 1})
    assert (named.status_code, fields(named)) == (400, ["to"])


async def test_of_two_deletes_at_once_one_finds_nothing(api: Api) -> None:
    chat = await begun(api)
    one, _ = await queued(api, chat, "one", "two")
    answers = await asyncio.gather(
        *(delete(api, path(chat, "queue", one)) for _ in range(2))
    )
    assert sorted(a.status_code for a in answers) == [204, 404]


# client tools


async def give(api: Api, chat: ChatByHand, *results: Any, **more: Any) -> Any:
    return await api.post(path(chat, "tool-results"), {"results": results}, **more)


async def test_results_let_the_turn_go_on(api: Api) -> None:
    chat = await waiting_for_client(api, "c1", "c2")
    shown = (await api.get(path(chat))).json()
    assert shown["status"] == "requires_action"
    second = {"tool_call_id": "c2", "output": None, "is_error": True}
    answer = await give(api, chat, second, RESULT, key="r")
    assert (answer.status_code, answer.content) == (204, b"")
    state = await chat.state()
    assert answer.headers["parley-version"] == f"{chat.id}:{state.version}"
    assert state.status is Status.RUNNING
    results = [m.parts[0] for m in state.messages if m.role == "tool"]
    assert [
        (r.tool_call_id, r.result, r.is_error)
        for r in results
        if isinstance(r, ToolResultPart)
    ] == [("c1", {"city": "Lisbon"}, False), ("c2", None, True)]
    again = await give(api, chat, second, RESULT, key="r")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (204, "true")
    late = await give(api, chat, RESULT)
    assert (late.status_code, slug(late)) == (409, "no-action-required")


async def test_all_results_or_none(api: Api) -> None:
    chat = await waiting_for_client(api, "c1", "c2")
    before = await api.positions()
    second = RESULT | {"tool_call_id": "c2"}
    unknown = RESULT | {"tool_call_id": "c3"}
    for results, wrong in (
        ([RESULT], ["results"]),
        ([RESULT, RESULT, second],
         ["results.0.tool_call_id", "results.1.tool_call_id"]),
        ([RESULT, second, unknown], ["results.2.tool_call_id"]),
        ([unknown], ["results.0.tool_call_id", "results"]),
    ):  # fmt: skip
        answer = await give(api, chat, *results)
        assert (answer.status_code, slug(answer)) == (400, "tool-results-mismatch")
        assert fields(answer) == wrong
    assert await api.positions() == before
    assert (await give(api, chat, RESULT, second)).status_code == 204


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        ({}, ["results"]),
        ({"results": []}, ["results"]),
        ({"results": RESULT}, ["results"]),
        ({"results": [{"output": 1}]}, ["results.0.tool_call_id"]),
        ({"results": [{"tool_call_id": "c1"}]}, ["results.0.output"]),
        ({"results": [{"tool_call_id": "", "output": 1}]}, ["results.0.tool_call_id"]),
        ({"results": [{"tool_call_id": 1, "output": 1}]}, ["results.0.tool_call_id"]),
        ({"results": [RESULT | {"is_error": "no"}]}, ["results.0.is_error"]),
        ({"results": [RESULT | {"name": "x"}]}, ["results.0.name"]),
        ({"results": [RESULT, 1], "more": 1}, ["results.1", "more"]),
        ({"results": [RESULT | {"output": {"a\0": 1}}]}, ["results.0.output.a"]),
    ],
    ids=[
        "nothing", "empty", "no list", "no id", "no output", "empty id", "id a number",
        "error a text", "unknown field", "two at once", "NUL",
    ],
)  # fmt: skip
async def test_wrong_results_are_400(api: Api, body: Any, wrong: list[str]) -> None:
    chat = await waiting_for_client(api, "c1")
    before = await api.positions()
    answer = await api.post(path(chat, "tool-results"), body)
    assert (answer.status_code, fields(answer)) == (400, wrong)
    assert await api.positions() == before


@pytest.mark.parametrize(
    "output",
    [b"1e400", b"1" + b"0" * 40, b"-9223372036854775809", b'"\\ud800"', b"NaN",
     b"[" * 40 + b"]" * 40],
    ids=["infinite", "giant", "just beyond", "surrogate", "NaN", "deep"],
)  # fmt: skip
async def test_output_that_cannot_be_kept_is_400(api: Api, output: bytes) -> None:
    chat = await waiting_for_client(api, "c1")
    before = await api.positions()
    raw = b'{"results":[{"tool_call_id":"c1","output":%b}]}' % output
    answer = await api.post(path(chat, "tool-results"), content=raw)
    assert answer.status_code == 400, answer.text
    assert await api.positions() == before


async def test_output_is_kept_as_it_is(api: Api) -> None:
    chat = await waiting_for_client(api, "c1")
    raw = b'{"a":1,"a":2,"big":18446744073709551615,"f":0.1,"n":[null,{"":[]}]}'
    body = b'{"results":[{"tool_call_id":"c1","output":%b}]}' % raw
    assert (await api.post(path(chat, "tool-results"), content=body)).status_code == 204
    api.stack.chats.forget_all()
    part = (await chat.state()).messages[-1].parts[0]
    assert isinstance(part, ToolResultPart)
    assert part.result == {"a": 2, "big": 2**64 - 1, "f": 0.1, "n": [None, {"": []}]}


async def test_large_results_are_413(api: Api) -> None:
    chat = await waiting_for_client(api, "c1")
    answer = await give(api, chat, RESULT | {"output": "x" * 262_144})
    assert answer.status_code == 413


async def test_of_two_clients_one_answers(api: Api) -> None:
    chat = await waiting_for_client(api, "c1")
    answers = await asyncio.gather(*(give(api, chat, RESULT) for _ in range(5)))
    assert sorted(a.status_code for a in answers) == [204, 409, 409, 409, 409]


async def test_an_interrupt_cancels_calls_and_the_model_goes_on(api: Api) -> None:
    chat = await waiting_for_client(api, "c1")
    answer = await api.http.post(path(chat, "interrupt"))
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    assert (await give(api, chat, RESULT)).status_code == 409


# compact, reconcile


async def test_without_an_answer_there_is_nothing_to_compact(api: Api) -> None:
    chat = await failed(api)
    answer = await api.http.post(path(chat, "compact"))
    assert (answer.status_code, slug(answer)) == (409, "nothing-to-compact")
    running = await begun(api)
    answer = await api.http.post(path(running, "compact"))
    assert (answer.status_code, slug(answer)) == (409, "invalid-state")


async def test_a_chat_at_rest_runs_once_somebody_wants_it_shorter(api: Api) -> None:
    chat = await at_rest(api)
    answer = await api.post(path(chat, "compact"), {}, key="c")
    assert answer.status_code == 200
    assert ChatShape.model_validate(answer.json()).status == "running"
    again = await api.post(path(chat, "compact"), {}, key="c")
    assert again.content == answer.content
    state = await chat.state()
    assert (state.compaction, state.turn_id) == (state.version, None)


async def test_a_chat_in_no_legal_state_is_put_right(api: Api) -> None:
    chat = await at_rest(api)
    legal = await api.http.post(path(chat, "reconcile-invalid"))
    assert (legal.status_code, slug(legal)) == (409, "state-valid")
    await break_state(api, chat)
    refused = await api.post(path(chat, "messages"), said())
    assert (refused.status_code, slug(refused)) == (409, "invalid-state")
    answer = await api.post(path(chat, "reconcile-invalid"), {}, key="r")
    assert answer.status_code == 200
    assert ChatShape.model_validate(answer.json()).status == "error"
    again = await api.post(path(chat, "reconcile-invalid"), {}, key="r")
    assert again.content == answer.content
    assert (await api.post(path(chat, "messages"), said())).status_code == 200
