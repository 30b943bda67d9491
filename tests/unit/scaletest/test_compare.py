"""A stream, a list and the log of one chat, compared."""

from __future__ import annotations

from typing import Any, cast

import pytest

from service.client.shapes import Message, RecordedEvent
from service.scaletest.compare import Asked, differences


def text(words: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": words}]


def event(version: int, type_: str, **data: Any) -> RecordedEvent:
    return cast(RecordedEvent, {"version": version, "type": type_, "data": data})


def said(version: int, role: str, words: str, visibility: str = "both") -> Any:
    return event(
        version, "message_appended", role=role, parts=text(words), visibility=visibility
    )


def message(id_: int, role: str, words: str) -> Message:
    return cast(Message, {"id": id_, "role": role, "content": text(words)})


LOG = [
    event(1, "chat_created"),
    said(2, "system", "be kind", "model"),
    said(3, "user", "hi"),
    event(4, "run_acquired"),
    said(5, "assistant", "hello"),
    said(6, "user", "bye"),
]
SEEN = [message(3, "user", "hi"), message(5, "assistant", "hello"),
        message(6, "user", "bye")]  # fmt: skip
ASKED = Asked(turns=2, ids=[6])


def found(
    streamed: list[Message] = SEEN,
    paged: list[Message] = SEEN,
    log: list[RecordedEvent] = LOG,
    asked: Asked = ASKED,
) -> list[str]:
    return list(differences({m["id"]: m for m in streamed}, paged, log, asked))


def test_a_whole_chat_has_no_differences() -> None:
    assert found() == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param({"streamed": SEEN[:2]}, "stream: message 6 is lost", id="lost"),
        pytest.param(
            {"paged": SEEN[1:]}, "list: message 3 is lost", id="list_lost"
        ),
        pytest.param(
            {"streamed": [*SEEN, message(9, "user", "x")]},
            "stream: message 9 is not in the log", id="made_up",
        ),
        pytest.param(
            {"paged": [*SEEN, SEEN[2]]}, "list: message 6 is there twice", id="twice"
        ),
        pytest.param(
            {"paged": [SEEN[1], SEEN[0], SEEN[2]]},
            "list: message 3 comes after message 5", id="order",
        ),
        pytest.param(
            {"streamed": [SEEN[0], message(5, "assistant", "hell"), SEEN[2]]},
            "stream: message 5 is another than in the log", id="content",
        ),
        pytest.param(
            {"log": [*LOG[:3], *LOG[4:]]}, "log: event 5 where 4 was due", id="hole"
        ),
        pytest.param(
            {"asked": Asked(turns=1, ids=[])},
            "log: 2 messages of the user, who sent 1", id="sent_twice",
        ),
        pytest.param(
            {"asked": Asked(turns=2, ids=[7])},
            "log: message 7, which a request was told of, is lost", id="sent_lost",
        ),
        pytest.param(
            {"asked": Asked(turns=2, ids=[6, 6])},
            "log: 2 requests were told of message 6", id="told_twice",
        ),
    ],
)  # fmt: skip
def test_a_difference_is_told(given: dict[str, Any], told: str) -> None:
    assert found(**given) == [told]


def test_a_request_without_an_answer_may_have_been_heard_or_not() -> None:
    assert found(asked=Asked(turns=1, unsure=1, ids=[])) == []
    assert found(asked=Asked(turns=2, unsure=1, ids=[6])) == []


def test_an_edit_takes_back_what_followed() -> None:
    log = [*LOG, event(7, "history_truncated", from_id=5), said(8, "user", "wait")]
    left = [SEEN[0], message(8, "user", "wait")]
    assert found(left, left, log, Asked(turns=2, ids=[8])) == []
