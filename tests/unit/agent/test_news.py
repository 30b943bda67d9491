"""What appends mean to workers that do not hold their chat."""

from __future__ import annotations

from uuid import UUID

import pytest

from service.agent.news import Meaning, News, news_of
from service.eventstore.records import RecordedEvent, StreamName
from tests.builders import NOW

CHAT, OTHER = UUID(int=1), UUID(int=2)
FREE, CHANGED = Meaning.FREE, Meaning.CHANGED
HELD, NOTHING = Meaning.HELD, Meaning.NOTHING


def append(
    *types: str, chat: UUID = CHAT, category: str = "chat"
) -> list[RecordedEvent]:
    return [
        RecordedEvent(
            position=version,
            stream=StreamName(category, chat),
            version=version,
            append_last=len(types),
            type=type_,
            schema_version=1,
            data={},
            metadata={},
            recorded_at=NOW,
            digest=b"",
        )
        for version, type_ in enumerate(types, 1)
    ]


@pytest.mark.parametrize(
    ("types", "meaning", "urgent"),
    [
        (["chat_created", "message_appended"], FREE, False),
        (["history_truncated", "message_appended"], FREE, False),
        (["run_abandoned"], FREE, False),
        (["compaction_requested"], FREE, False),
        (["message_queued"], NOTHING, False),
        (["title_changed"], NOTHING, False),
        (["message_queued", "interrupt_requested"], CHANGED, True),
        (["message_appended", "tool_results_submitted"], CHANGED, False),
        (
            ["message_appended", "tool_calls_cancelled", "message_queued"],
            CHANGED,
            False,
        ),
        (["run_acquired"], HELD, False),
        (["message_appended", "step_committed"], HELD, False),
        (["turn_finished", "message_appended"], HELD, False),
        (["interruption_finished", "message_appended"], HELD, False),
        (["retry_scheduled"], HELD, False),
        (["action_required"], HELD, False),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, list) else None,
)
def test_an_append(types: list[str], meaning: Meaning, urgent: bool) -> None:
    assert list(news_of(append(*types))) == [News(CHAT, len(types), meaning, urgent)]


def test_appends_are_told_apart() -> None:
    page = [
        *append("turn_finished"),
        *append("chat_created", "message_appended", chat=OTHER),
        *append("user_created", category="platform"),
        *append("interrupt_requested"),
    ]
    assert [(news.chat_id, news.meaning) for news in news_of(page)] == [
        (CHAT, HELD),
        (OTHER, FREE),
        (CHAT, CHANGED),
    ]
