"""What is asked about a chat: names, pins, settings, archive, family, what was read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.domain.chat.transitions import classify
from service.domain.events.chat import ChatEvent
from tests.builders import (
    CHAT,
    CHILD,
    OWNER,
    a_chat,
    a_request,
    a_turn,
    an_idle_chat,
    archive_member,
    assistant,
    chat_archived,
    chat_unarchived,
    child_spawned,
    commit_step,
    committed,
    created,
    given,
    given_state,
    interrupt_requested,
    labels_changed,
    model_changed,
    name_chat,
    pinned,
    plan_mode_changed,
    queued,
    read,
    read_cursor_moved,
    servers_changed,
    spawn,
    title_changed,
    tool,
    truncated,
    turn_failed,
    unpinned,
    update,
    usage,
    usage_recorded,
    user,
    workspace_bound,
)

ACTIVE = [
    pytest.param(a_turn(), id="R0"),
    pytest.param([*a_turn(), queued()], id="R1"),
    pytest.param([*a_turn(), interrupt_requested()], id="I0"),
    pytest.param([*a_turn(), interrupt_requested(), queued()], id="I1"),
    pytest.param(a_request(), id="A0"),
    pytest.param([*a_request(), queued()], id="A1"),
]
RESTING = [
    pytest.param(an_idle_chat(), id="W"),
    pytest.param([*a_turn(), turn_failed()], id="E0"),
    pytest.param([*a_turn(), queued(), turn_failed()], id="E1"),
]


def a_child(*then: ChatEvent) -> list[ChatEvent]:
    return [created(parent_chat_id=CHAT, root_chat_id=CHAT), user(), *then]


# names that models think of


def test_a_title_of_a_model_is_taken_and_charged() -> None:
    spent = {"usage": usage(9), "cost_micros": 7, "runtime_ms": 80}
    outcome = given(*a_turn()).when(name_chat("noon", **spent))
    outcome.then(
        title_changed("noon").model_copy(update={"source": "model"}),
        usage_recorded(**spent),
    )
    assert (outcome.state.title, outcome.state.title_source) == ("noon", "model")


@pytest.mark.parametrize(
    ("title", "fields"),
    [("noon", {"expected_title": "dawn"}), (None, {}), ("hello", {})],
    ids=["renamed meanwhile", "none came of it", "the same"],
)
def test_what_a_title_took_is_charged_whatever_comes_of_it(
    title: str | None, fields: dict[str, Any]
) -> None:
    outcome = given(*a_turn()).when(name_chat(title, **fields))
    outcome.then(usage_recorded())
    assert replace(outcome.state, version=4) == outcome.before


def test_who_gives_a_chat_its_first_words_again_means_those() -> None:
    renamed = (*a_turn(), title_changed("dawn"), title_changed("hello"))
    outcome = given(*renamed).when(name_chat(unasked=True))
    outcome.then(usage_recorded())
    given(*renamed).when(name_chat()).then(
        title_changed("noon").model_copy(update={"source": "model"}), usage_recorded()
    )


@pytest.mark.parametrize("chat", [*ACTIVE, *RESTING])
def test_a_name_disturbs_no_turn_and_moves_no_chat(chat: list[ChatEvent]) -> None:
    outcome = given(*chat).when(name_chat())
    before = outcome.before
    kept = {"title": before.title, "title_source": before.title_source}
    assert replace(outcome.state, version=before.version, **kept) == before


def test_an_archived_chat_can_be_named() -> None:
    gone = given(*an_idle_chat(), chat_archived()).when(name_chat())
    assert [event.type for event in gone.events] == ["title_changed", "usage_recorded"]


# change

CHANGES: list[tuple[dict[str, Any], ChatEvent]] = [
    ({"title": "noon"}, title_changed("noon")),
    ({"labels": {"k": "v"}}, labels_changed(k="v")),
    ({"pin_key": "m"}, pinned("m")),
    ({"plan_mode": "plan"}, plan_mode_changed("plan")),
    ({"workspace_id": CHILD}, workspace_bound(CHILD)),
    ({"model_config_id": CHILD}, model_changed(CHILD)),
    ({"mcp_server_ids": (CHILD,)}, servers_changed(CHILD)),
]


@pytest.mark.parametrize("chat", [*RESTING, *ACTIVE])
@pytest.mark.parametrize(
    ("change", "event"), CHANGES, ids=[next(iter(change)) for change, _ in CHANGES]
)
def test_each_field_is_an_event_that_leaves_the_turn_alone(
    change: dict[str, Any], event: ChatEvent, chat: list[ChatEvent]
) -> None:
    outcome = given(*chat).when(update(**change))
    outcome.then(event)
    assert classify(outcome.state) is classify(outcome.before)
    assert outcome.state.epoch == outcome.before.epoch
    given_state(outcome.state).when(update(**change)).then()


def test_a_rename_does_not_disturb_the_worker() -> None:
    renamed = given(*a_turn(), title_changed())
    renamed.when(commit_step(2)).then(assistant(epoch=2, attempt=1), committed(2))


def test_all_fields_change_together_and_in_one_order() -> None:
    every = {name: value for change, _ in CHANGES for name, value in change.items()}
    given(*a_chat()).when(update(**every)).then(*(event for _, event in CHANGES))


def test_nothing_given_is_nothing_changed() -> None:
    for chat in (a_chat(), [*an_idle_chat(), chat_archived()]):
        given(*chat).when(update()).then()


def test_what_is_not_given_is_not_touched() -> None:
    chat = [*a_chat(), workspace_bound(CHILD), model_changed(CHILD), pinned("m")]
    given(*chat).when(update(title="noon")).then(title_changed("noon"))
    given(*chat).when(update(title=None, pin_key=None, labels=None)).then()


def test_none_clears_what_can_be_absent() -> None:
    chat = [*a_chat(), workspace_bound(CHILD), model_changed(CHILD)]
    given(*chat).when(update(workspace_id=None, model_config_id=None)).then(
        workspace_bound(None), model_changed(None)
    )
    given(*a_chat()).when(update(workspace_id=None, model_config_id=None)).then()


def test_an_empty_value_clears_the_rest() -> None:
    chat = [
        *a_chat(),
        labels_changed(k="v"),
        pinned("m"),
        plan_mode_changed("plan"),
        servers_changed(CHILD),
    ]
    empty: dict[str, Any] = {"labels": {}, "pin_key": "", "plan_mode": ""}
    given(*chat).when(update(**empty, mcp_server_ids=())).then(
        labels_changed(), unpinned(), plan_mode_changed(""), servers_changed()
    )


def test_labels_are_replaced_as_a_whole() -> None:
    labelled = given(*a_chat(), labels_changed(a="1", b="2"))
    outcome = labelled.when(update(labels={"b": "2", "c": "3"}))
    assert outcome.state.labels == {"b": "2", "c": "3"}


def test_a_pin_that_moves_has_another_key() -> None:
    given(*a_chat(), pinned("m")).when(update(pin_key="t")).then(pinned("t"))


def test_a_title_that_took_long_to_think_of_does_not_undo_a_rename() -> None:
    thought = update(title="night", title_source="model", expected_title="hello")
    outcome = given(*a_chat()).when(thought)
    assert outcome.state.title_source == "model"
    given(*a_chat(), title_changed("noon")).when(thought).then_rejects("title-changed")


def test_nothing_changes_when_one_field_is_refused() -> None:
    asked = update(labels={"k": "v"}, title="night", expected_title="noon")
    given(*a_chat()).when(asked).then_rejects("title-changed")


# archive


@pytest.mark.parametrize("chat", RESTING)
def test_a_chat_that_rests_is_archived_and_comes_back_as_it_was(
    chat: list[ChatEvent],
) -> None:
    away = given(*chat).when(update(archived=True))
    away.then(chat_archived())
    assert away.state.archived
    back = given_state(away.state).when(update(archived=False))
    back.then(chat_unarchived())
    assert classify(back.state) is classify(away.before)
    assert back.state.last_error == away.before.last_error


@pytest.mark.parametrize("chat", ACTIVE)
def test_a_chat_that_is_active_is_not_archived(chat: list[ChatEvent]) -> None:
    given(*chat).when(update(archived=True)).then_rejects("chat-active")
    given(*chat).when(archive_member(True)).then_rejects("chat-active")
    given(*chat).when(update(archived=False)).then_rejects("not-archived")


def test_archiving_what_is_archived_is_refused() -> None:
    away = given(*an_idle_chat(), chat_archived())
    away.when(update(archived=True)).then_rejects("already-archived")
    given(*an_idle_chat()).when(update(archived=False)).then_rejects("not-archived")


def test_an_archived_chat_changes_its_title_and_labels_only() -> None:
    away = given(*an_idle_chat(), chat_archived())
    away.when(update(title="noon")).then(title_changed("noon"))
    away.when(update(labels={"k": "v"})).then(labels_changed(k="v"))
    for change, _ in CHANGES[2:]:
        away.when(update(**change)).then_rejects("chat-archived")
        away.when(update(title="noon", **change)).then_rejects("chat-archived")
    away.when(update(pin_key="")).then_rejects("chat-archived")
    away.when(update(workspace_id=None)).then_rejects("chat-archived")


def test_a_chat_that_comes_back_can_be_changed_in_the_same_request() -> None:
    away = given(*an_idle_chat(), chat_archived())
    away.when(update(archived=False, pin_key="m", plan_mode="plan")).then(
        chat_unarchived(), pinned("m"), plan_mode_changed("plan")
    )


def test_a_chat_that_goes_is_changed_first_and_not_pinned() -> None:
    chat = given(*an_idle_chat())
    chat.when(update(archived=True, title="noon")).then(
        title_changed("noon"), chat_archived()
    )
    chat.when(update(archived=True, pin_key="m")).then_rejects("chat-archived")


# family


def test_a_child_goes_with_its_root_and_not_by_itself() -> None:
    for then in ([], [turn_failed()], [turn_failed(), chat_archived()]):
        for archive in (True, False):
            child = given(*a_child(*then))
            child.when(update(archived=archive)).then_rejects("not-a-root")
    resting = given(*a_child(turn_failed()))
    resting.when(archive_member(True)).then(chat_archived())
    given(*a_child(turn_failed(), chat_archived())).when(archive_member(False)).then(
        chat_unarchived()
    )


def test_a_child_that_is_there_already_stays() -> None:
    given(*a_child(turn_failed(), chat_archived())).when(archive_member(True)).then()
    given(*a_child(turn_failed())).when(archive_member(False)).then()


def test_a_child_is_not_pinned_but_named() -> None:
    child = given(*a_child())
    child.when(update(pin_key="m")).then_rejects("not-a-root")
    child.when(update(pin_key="")).then()
    child.when(update(title="noon")).then(title_changed("noon"))


def test_a_turn_of_the_root_spawns_children() -> None:
    outcome = given(*a_turn()).when(spawn())
    outcome.then(child_spawned())
    assert outcome.state.children == (CHILD,)
    again = given_state(outcome.state).when(spawn(OWNER))
    assert again.state.children == (CHILD, OWNER)


def test_a_child_spawns_nothing() -> None:
    given(*a_child()).when(spawn()).then_rejects("not-a-root")


@pytest.mark.parametrize("chat", [*RESTING, *ACTIVE[2:]])
def test_only_a_turn_that_runs_spawns(chat: list[ChatEvent]) -> None:
    given(*chat).when(spawn()).then_rejects("invalid-state")


# what was read


def answered() -> list[ChatEvent]:
    """Answers are 3, 5 and 7, users' messages 2, 4 and 6."""
    return [created(), *[said for _ in range(3) for said in (user(), assistant())]]


def test_the_newest_message_is_read_unless_told_otherwise() -> None:
    outcome = given(*answered()).when(read())
    outcome.then(read_cursor_moved(7))
    assert (outcome.state.read_up_to, outcome.state.first_unread) == (7, None)


def test_what_comes_after_what_was_read_is_unread() -> None:
    given(*answered()).when(read(4)).then(read_cursor_moved(4, next_unread=5))
    given(*answered()).when(read(3)).then(read_cursor_moved(3, next_unread=5))


def test_only_answers_that_are_shown_are_unread() -> None:
    thought = assistant(visibility="model")
    chat = given(*answered(), thought, tool(), user())
    chat.when(read(7)).then(read_cursor_moved(7))
    more = given(*answered(), thought, tool(), assistant())
    more.when(read(7)).then(read_cursor_moved(7, next_unread=10))


def test_what_was_read_stays_read() -> None:
    chat = given(*answered(), read_cursor_moved(5, 7))
    chat.when(read(5)).then()
    chat.when(read(3)).then()
    chat.when(read()).then(read_cursor_moved(7))


def test_only_messages_that_are_shown_can_be_read() -> None:
    hidden = user("so far", visibility="model")
    chat = given(*answered(), hidden)
    for absent in (1, 8, 9, 99):
        chat.when(read(absent)).then_rejects("message-not-found")
    chat.when(read()).then(read_cursor_moved(7))


def test_what_was_taken_back_counts_as_read_no_more_than_once() -> None:
    """After an edit everything new is behind the cursor's old place."""
    chat = [*answered(), read_cursor_moved(7), truncated(4), user("rather")]
    given(*chat).when(read(7)).then_rejects("message-not-found")
    more = given(*chat, assistant())
    assert more.state.first_unread == 11
    more.when(read()).then(read_cursor_moved(11))


def test_an_edit_that_leaves_nothing_new_leaves_nothing_to_read() -> None:
    chat = given(*answered(), read_cursor_moved(7), truncated(4))
    chat.when(read()).then()


def test_an_archived_chat_can_be_read() -> None:
    chat = given(*an_idle_chat(), chat_archived())
    chat.when(read()).then(read_cursor_moved(5))


def test_a_chat_that_does_not_exist_has_nothing_to_change() -> None:
    for asked in (update(title="x"), update(archived=True), read(), spawn()):
        given().when(asked).then_rejects("chat-not-found")
