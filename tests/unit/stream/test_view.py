"""Events as frames: which, in what order, and that they rebuild the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from service import wire
from service.domain.events.chat import ChatEvent, TurnSettings
from service.stream.view import Frame, View, advance, see
from tests import builders as b


def show(*appends: Sequence[ChatEvent]) -> list[list[tuple[str, dict[str, Any]]]]:
    """The frames of each event, event by event."""
    view, shown = View(), []
    for append in appends:
        for number, event in enumerate(append, start=1):
            border = number == len(append)
            view, frames = see(view, b.CHAT, event, at_border=border)
            shown.append([read(frame) for frame in frames])
    return shown


def read(frame: Frame) -> tuple[str, dict[str, Any]]:
    event, data, end, rest = frame.body.split(b"\n")
    assert (end, rest) == (b"", b"")
    assert event == b"event: %b" % frame.name.encode()
    payload = wire.loads(data.removeprefix(b"data: "))
    assert payload["type"] == frame.name
    return frame.name, payload


def names(*appends: Sequence[ChatEvent]) -> list[list[str]]:
    return [[name for name, _ in frames] for frames in show(*appends)]


def test_a_new_chat_shows_itself_its_message_and_its_status() -> None:
    assert names(b.a_chat()) == [["chat_updated"], ["message", "status"]]


def test_what_is_for_the_model_only_is_not_shown() -> None:
    hidden = b.user("secret", role="system", visibility="model")
    assert names([b.created(), hidden, b.user()])[1] == []


def test_a_worker_at_work_shows_nothing_until_its_message() -> None:
    frames = names(b.a_chat(), [b.acquired()], [b.attempt(2)])
    assert frames[2:] == [[], []]


def test_a_message_names_the_preview_that_it_replaces() -> None:
    frames = show(b.a_chat(), [b.acquired()], [b.attempt(2)], b.an_answer()[4:])
    (name, data), *rest = frames[4]
    assert (name, rest) == ("message", [])
    assert data["replaces"] == {"epoch": 2, "attempt": 1}
    assert data["version"] == data["message"]["id"] == 5
    assert frames[5] == []


def test_a_turn_ends_after_its_status() -> None:
    frames = show(
        b.a_chat(), [b.acquired()], [b.attempt(2)], b.an_answer()[4:],
        [b.turn_finished()],
    )  # fmt: skip
    assert [name for name, _ in frames[-1]] == ["status", "turn_finished"]
    assert frames[-1][0][1]["status"] == "waiting"
    assert frames[-1][1][1]["turn_id"] == 2
    assert frames[-1][1][1]["outcome"] == "finished"


def test_a_failed_turn_resets_its_preview_and_says_why_before_it_ends() -> None:
    frames = show(b.a_chat(), [b.acquired()], [b.attempt(2)], [b.turn_failed()])
    assert [name for name, _ in frames[-1]] == [
        "preview_reset", "error", "status", "turn_finished",
    ]  # fmt: skip
    assert frames[-1][1][1]["error"]["kind"] == b.ERROR.kind
    assert frames[-1][3][1]["outcome"] == "failed"


def test_an_abandoned_attempt_resets_its_preview() -> None:
    frames = show(b.a_chat(), [b.acquired()], [b.attempt(2)], [b.attempt(2, 2)])
    assert [name for name, _ in frames[-1]] == ["preview_reset"]
    assert (frames[-1][0][1]["epoch"], frames[-1][0][1]["attempt"]) == (2, 1)


def test_an_interruption_keeps_the_partial_then_ends_the_turn() -> None:
    partial = b.assistant("he", epoch=2, attempt=1)
    finish = b.interruption_finished(turn_id=2, epoch=2, attempt=1)
    frames = names(
        b.a_chat(), [b.acquired()], [b.attempt(2)], [b.interrupt_requested()],
        [partial, finish],
    )  # fmt: skip
    assert frames[4:] == [["status"], ["message"], ["status", "turn_finished"]]


def test_an_interruption_with_nothing_said_resets_the_preview() -> None:
    finish = b.interruption_finished(turn_id=2, epoch=2, attempt=1)
    frames = names(
        b.a_chat(), [b.acquired()], [b.attempt(2)], [b.interrupt_requested()], [finish]
    )
    assert frames[-1] == ["preview_reset", "status", "turn_finished"]


def test_a_promoted_message_leaves_the_queue_and_the_status_alone() -> None:
    promoted = b.user("next", queued_id=7)
    frames = names(
        b.a_chat(), [b.acquired()], [b.attempt(2)], b.an_answer()[4:], [b.queued()],
        [b.turn_finished(), promoted],
    )  # fmt: skip
    assert frames[-3:] == [
        ["queue_update"],
        ["turn_finished"],
        ["message", "queue_update"],
    ]


def test_an_erased_event_shows_nothing() -> None:
    view, frames = see(View(), b.CHAT, None, at_border=True)
    assert (view.version, frames) == (1, [])


def test_advancing_without_frames_comes_to_the_same_view() -> None:
    view = shown = View()
    for event in [*b.an_idle_chat(), b.user("more"), b.attempt(8), b.turn_failed(8)]:
        view = advance(view, event, at_border=True)
        shown, _ = see(shown, b.CHAT, event, at_border=True)
        assert view == shown


def test_an_edit_of_a_running_turn_drops_its_preview_and_ends_it() -> None:
    edit = [b.truncated(2), b.queue_cleared(), b.user("rather")]
    frames = show(b.a_chat(), [b.acquired()], [b.attempt(2)], [b.queued()], edit)
    assert [[name for name, _ in event] for event in frames[-3:]] == [
        ["preview_reset", "history_truncated", "turn_finished"],
        ["queue_update"],
        ["message"],
    ]
    (_, (_, gone), (_, over)) = frames[-3]
    assert gone["from_id"] == 2
    assert (over["turn_id"], over["outcome"]) == (2, "interrupted")


def test_an_edit_of_an_idle_chat_ends_no_turn() -> None:
    edit = [b.truncated(2), b.user("rather")]
    assert names(b.an_idle_chat(), edit)[-2:] == [
        ["history_truncated"],
        ["message", "status"],
    ]


def test_what_is_done_to_the_queue_shows_all_of_it() -> None:
    frames = show(
        b.a_chat(), [b.queued("one")], [b.queued("two")], [b.queue_item_moved(4)],
        [b.queue_item_deleted(3)],
    )  # fmt: skip
    shown = [data["queued_messages"] for ((_, data),) in frames[2:]]
    assert [[item["id"] for item in queue] for queue in shown] == [
        [3], [3, 4], [4, 3], [4],
    ]  # fmt: skip


def test_a_failed_attempt_shows_when_the_next_one_is_made() -> None:
    begun = [b.a_chat(), [b.acquired()], [b.attempt(2)]]
    *_, frames, again = show(*begun, [b.retry_scheduled(2)], [b.attempt(2, 2)])
    assert [name for name, _ in frames] == ["preview_reset", "retry"]
    banner = frames[1][1]
    assert (banner["attempt"], banner["error"]["kind"]) == (1, b.ERROR.kind)
    assert banner["retrying_at"].endswith("Z")
    # the banner goes with the reset of a preview that nobody has
    assert [(name, data["attempt"]) for name, data in again] == [("preview_reset", 1)]


def test_calls_that_wait_for_a_client_come_with_their_arguments() -> None:
    call = b.browse(args={"url": "x"})
    *_, frames = show(b.an_answer(call), [b.action_required(call)])
    assert [name for name, _ in frames] == ["action_required", "status"]
    (waiting,) = frames[0][1]["tool_calls"]
    assert waiting == {
        "tool_call_id": call.tool_call_id,
        "tool_name": call.tool_name,
        "args": {"url": "x"},
    }
    assert frames[1][1]["status"] == "requires_action"


def test_what_is_about_a_chat_shows_its_header_and_nothing_else() -> None:
    about = [b.title_changed(), b.labels_changed(a="b"), b.pinned(), b.chat_archived()]
    for event in [*about, b.plan_mode_changed(), b.read_cursor_moved(2)]:
        ((name, data),) = show(b.an_idle_chat(), [event])[-1]
        assert name == "chat_updated"
        assert data["chat"]["version"] == data["version"] == 8


def test_a_fork_of_a_running_chat_is_at_rest_when_it_is_shown() -> None:
    copied = [*b.a_turn(), b.queued(), b.forked(5)]
    *_, frames = show(copied)
    assert [name for name, _ in frames] == [
        "preview_reset", "queue_update", "chat_updated", "status", "turn_finished",
    ]  # fmt: skip
    assert frames[1][1]["queued_messages"] == []
    assert frames[2][1]["chat"]["forked_from"]["version"] == 5
    assert frames[3][1]["status"] == "waiting"


def test_a_chat_that_was_put_right_says_what_was_wrong_and_ends_its_turn() -> None:
    *_, frames = show(b.a_turn(), [b.reconciled()])
    assert [name for name, _ in frames] == [
        "preview_reset", "error", "status", "turn_finished",
    ]  # fmt: skip
    assert frames[-1][1]["outcome"] == "failed"


def test_the_model_that_a_message_asks_for_is_in_the_header() -> None:
    wish = TurnSettings(model_config_id=b.CHILD)
    again = b.user(settings=wish)
    frames = show(b.an_idle_chat(), [b.user(settings=wish)], [b.turn_finished(8)])
    (_, message), (name, header), (last, _) = frames[7]
    assert message["message"]["model_config_id"] == str(b.CHILD)
    assert (name, header["chat"]["model_config_id"]) == ("chat_updated", str(b.CHILD))
    assert last == "status"
    # it is the chat's already
    assert names(b.an_idle_chat(), [b.user(settings=wish)], [again])[8] == ["message"]


def test_an_answer_says_what_it_took() -> None:
    config = b.ASKED.model_config_id
    answer = b.assistant(usage=b.usage(7), model_config_id=config)
    ((_, told),) = show([b.created(), answer])[1][:1]
    assert told["message"]["usage"] == {"input_tokens": 7}
    assert told["message"]["model_config_id"] == str(config)


def test_a_compaction_shows_a_call_and_its_result_in_place_of_the_preview() -> None:
    frames = show(b.a_compaction(), b.a_summary(10, 8))
    hidden, (call, *_), (result, *_), *quiet = frames[10:]
    assert hidden == []
    assert [name for name, _ in (call, result)] == ["message", "message"]
    assert call[1]["replaces"] == {"epoch": 8, "attempt": 1}
    assert quiet == [[], []]


def test_what_was_spent_shows_nothing() -> None:
    assert names(b.an_idle_chat(), [b.usage_recorded()])[7] == []
