"""The JSON of every event type and schema version, which never changes once written.

A golden file is the wire contract: the log holds such data for ever. A new shape gets
a new schema version, a new file and an upcaster; the old file stays and must decode.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from service import wire
from service.domain.events.chat import (
    ChatCreated,
    ChatEvent,
    ClientTool,
    InterruptionFinished,
    MessageAppended,
    MessageQueued,
    ModelRef,
    RetryScheduled,
    StateReconciled,
    StepCommitted,
    TurnFailed,
    TurnSettings,
    Usage,
)
from service.domain.events.data import decode_data, encode_data
from service.domain.parts import (
    FilePart,
    FileReferencePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.domain.upcasters import CURRENT, EVENTS, UNKNOWN
from tests.builders import (
    ASKED,
    ERROR,
    NOW,
    ORGANIZATION,
    OWNER,
    abandoned,
    acquired,
    action_required,
    attempt,
    call,
    calls_cancelled,
    chat_archived,
    chat_unarchived,
    child_spawned,
    compacted,
    compaction_requested,
    forked,
    interrupt_requested,
    labels_changed,
    model_changed,
    pinned,
    plan_mode_changed,
    queue_cleared,
    queue_item_deleted,
    queue_item_moved,
    read_cursor_moved,
    reconciled,
    results_submitted,
    retry_scheduled,
    servers_changed,
    title_changed,
    truncated,
    turn_finished,
    unpinned,
    usage_recorded,
    workspace_bound,
)
from tests.fixtures.golden import ROOT, Golden, pretty

FILES = sorted((ROOT / "events").glob("*.json"))

PARTS: tuple[Part, ...] = (
    TextPart(text="half past", provider_metadata={"vendor": {"id": "t1"}}),
    ReasoningPart(
        text="a clock is needed",
        created_at=NOW,
        completed_at=NOW,
        provider_metadata={"vendor": {"signature": "s1"}},
    ),
    ToolCallPart(
        tool_call_id="c1",
        tool_name="clock",
        args={"zone": "UTC", "format": None},
        provider_executed=True,
        created_at=NOW,
        provider_metadata={"vendor": {"item": "i1"}},
    ),
    ToolResultPart(
        tool_call_id="c1",
        tool_name="clock",
        result={"error": "no clock"},
        is_error=True,
        provider_executed=True,
        created_at=NOW,
        provider_metadata={"vendor": {"item": "i2"}},
    ),
    FileReferencePart(
        file_name="main.py", start_line=3, end_line=4, content="x = 1\ny = 2\n"
    ),
    SourcePart(source_id="s1", url="https://example.org/time", title="The time"),
    FilePart(file_id=UUID(int=14), media_type="image/png", name="clock.png"),
)
SETTINGS = TurnSettings(
    model="m1",
    model_config_id=UUID(int=10),
    reasoning_effort="high",
    plan_mode="plan",
)
USAGE = Usage(
    input_tokens=11,
    output_tokens=12,
    total_tokens=23,
    reasoning_tokens=5,
    cache_creation_tokens=1,
    cache_read_tokens=2,
    context_limit=200_000,
)
TOOL = ClientTool(
    name="browser",
    description="looks at a page",
    input_schema={"type": "object", "properties": {"url": {"type": "string"}}},
)
FAILURE = ERROR.model_copy(
    update={
        "detail": "no answer in 60 s",
        "provider": "vendor",
        "status_code": 503,
        "context_limit": 8192,
    }
)

EXAMPLES: list[ChatEvent] = [
    ChatCreated(
        at=NOW,
        organization_id=ORGANIZATION,
        owner_id=OWNER,
        title="what time is it",
        title_source="user",
        client_type="ui",
        labels={"team": "blue"},
        parent_chat_id=UUID(int=7),
        root_chat_id=UUID(int=8),
        plan_mode="plan",
        client_tools=(TOOL,),
        default_prompt=1,
        deployment_prompt="be brief",
    ),
    MessageAppended(
        at=NOW,
        role="user",
        visibility="user",
        parts=PARTS,
        created_by=OWNER,
        settings=SETTINGS,
        queued_id=4,
        epoch=5,
        attempt=1,
        model_config_id=UUID(int=10),
        usage=USAGE,
    ),
    MessageQueued(
        at=NOW,
        parts=PARTS[:1],
        created_by=OWNER,
        settings=SETTINGS,
        busy_behavior="interrupt",
    ),
    queue_item_deleted(9),
    queue_item_moved(9),
    queue_cleared(),
    truncated(4),
    forked(12),
    acquired(term=3),
    abandoned(term=3),
    attempt(5, 2, "tools", asked=ASKED),
    retry_scheduled(5, 2, FAILURE),
    StepCommitted(
        at=NOW,
        epoch=5,
        attempt=2,
        kind="model",
        asked=ASKED,
        usage=USAGE,
        cost_micros=17,
        runtime_ms=840,
        finish_reason="stop",
        response={"id": "r1", "usage": {"input_tokens": 11}},
    ),
    action_required(call(args={"url": "about:blank", "wait": None})),
    results_submitted("c1", "c2"),
    calls_cancelled("c1", "c2", reason="timed out"),
    interrupt_requested(reason="enough"),
    InterruptionFinished(
        at=NOW, turn_id=2, epoch=5, attempt=2, kind="model", asked=ASKED, runtime_ms=840
    ),
    turn_finished(2, reason="max_steps"),
    TurnFailed(at=NOW, turn_id=2, error=FAILURE),
    compaction_requested(),
    compacted(9, threshold_percent=70, context_tokens=150_000, context_limit=200_000),
    reconciled(FAILURE),
    title_changed("noon", previous="what time is it"),
    labels_changed(team="blue"),
    pinned("a0"),
    unpinned(),
    plan_mode_changed("plan"),
    workspace_bound(UUID(int=9)),
    model_changed(UUID(int=10)),
    servers_changed(UUID(int=11), UUID(int=12)),
    chat_archived(),
    chat_unarchived(),
    read_cursor_moved(7, next_unread=9),
    child_spawned(UUID(int=13)),
    usage_recorded(usage=USAGE, cost_micros=17, runtime_ms=840),
]
"""One of each type, with every field set to something else than its default."""


def decoded(name: str) -> ChatEvent:
    told = wire.loads((ROOT / "events" / f"{name}.json").read_bytes())
    return decode_data(told["type"], told["schema_version"], told["data"])


def stored(event: ChatEvent) -> dict[str, Any]:
    return {
        "type": event.type,
        "schema_version": event.schema_version,
        "data": encode_data(event),
    }


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda event: event.type)
def test_an_event_encodes_to_its_golden_file(
    example: ChatEvent, golden: Golden
) -> None:
    name = f"events/{example.type}.v{example.schema_version}.json"
    golden(name, pretty(stored(example)))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_of_any_version_decodes(path: Path) -> None:
    told = wire.loads(path.read_bytes())
    event = decode_data(told["type"], told["schema_version"], told["data"])
    assert path.name == f"{told['type']}.v{told['schema_version']}.json"
    if told["schema_version"] == CURRENT[event.type]:
        assert stored(event) == told
        assert event in EXAMPLES


def test_there_is_a_file_for_every_version_of_every_type() -> None:
    versions = {
        f"{name}.v{version}.json"
        for name, newest in CURRENT.items()
        for version in range(1, newest + 1)
    }
    found = {path.name for path in (ROOT / "events").glob("*.json")}
    assert found == versions


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda event: event.type)
def test_an_example_leaves_no_field_at_its_default(example: ChatEvent) -> None:
    assert untold(example) == []


def test_a_chat_of_the_first_release_has_no_plan_and_no_tools_of_clients() -> None:
    event = decoded("chat_created.v1")
    assert isinstance(event, ChatCreated)
    assert (event.plan_mode, event.client_tools) == ("", ())
    assert event.labels == {"team": "blue"}


NEW: dict[tuple[str, int], dict[str, Any]] = {
    ("chat_created", 2): {"default_prompt": 0, "deployment_prompt": ""},
    ("message_appended", 1): {"model_config_id": None, "usage": None},
    ("generation_attempt_started", 1): {"asked": None},
    ("step_committed", 1): {
        "asked": ModelRef(provider=UNKNOWN, model="m1"),
        "cost_micros": None,
        "response": None,
    },
    ("interruption_finished", 1): {"kind": None, "asked": None, "runtime_ms": None},
}
"""What the newest shape of a type says of events that were written before it."""


@pytest.mark.parametrize(("old", "says"), NEW.items(), ids=[name for name, _ in NEW])
def test_an_event_of_an_older_release_says_what_it_said(
    old: tuple[str, int], says: dict[str, Any]
) -> None:
    event = decoded("{}.v{}".format(*old))
    assert {name: getattr(event, name) for name in says} == says
    newest = next(example for example in EXAMPLES if example.type == event.type)
    for name in set(type(event).model_fields) - set(says) - {"settings", "parts"}:
        assert getattr(event, name) == getattr(newest, name)


@pytest.mark.parametrize("name", ["retry_scheduled", "turn_failed", "state_reconciled"])
def test_an_error_of_an_older_release_knew_no_limit(name: str) -> None:
    event = decoded(f"{name}.v1")
    assert isinstance(event, RetryScheduled | TurnFailed | StateReconciled)
    assert event.error == FAILURE.model_copy(update={"context_limit": None})


def test_settings_of_an_older_release_named_no_config() -> None:
    for name in ("message_appended", "message_queued"):
        event = decoded(f"{name}.v1")
        assert isinstance(event, MessageAppended | MessageQueued)
        assert event.settings == SETTINGS.model_copy(update={"model_config_id": None})


def test_a_step_that_named_no_model_asked_nobody_knows_whom() -> None:
    data = {"at": "2026-03-01T12:00:00Z", "epoch": 5, "attempt": 2, "kind": "tools"}
    event = decode_data("step_committed", 1, data)
    assert isinstance(event, StepCommitted)
    assert event.asked is None


def test_there_is_an_example_of_each_type_and_each_part() -> None:
    assert [event.type for event in EXAMPLES] == list(EVENTS)
    assert {type(part) for part in PARTS} == {
        TextPart,
        ReasoningPart,
        ToolCallPart,
        ToolResultPart,
        FileReferencePart,
        SourcePart,
        FilePart,
    }


def test_absent_fields_are_left_out_and_empty_ones_are_kept() -> None:
    part = ToolResultPart(tool_call_id="c1", tool_name="", result=0)
    event = MessageAppended(at=NOW, role="tool", parts=(part,))
    assert encode_data(event) == {
        "at": "2026-03-01T12:00:00.000000Z",
        "role": "tool",
        "visibility": "both",
        "parts": [
            {
                "type": "tool-result",
                "tool_call_id": "c1",
                "tool_name": "",
                "result": 0,
                "is_error": False,
                "provider_executed": False,
            }
        ],
    }


def untold(value: object, path: str = "") -> list[str]:
    """Paths of fields that still have their default, but for `type`."""
    if isinstance(value, tuple):
        return [p for n, item in enumerate(value) for p in untold(item, f"{path}[{n}]")]
    if not isinstance(value, BaseModel):
        return []
    found: list[str] = []
    for name, field in type(value).model_fields.items():
        at = f"{path}.{name}"
        inner = getattr(value, name)
        if name != "type" and inner == field.get_default(call_default_factory=True):
            found.append(at)
        found += untold(inner, at)
    return found
