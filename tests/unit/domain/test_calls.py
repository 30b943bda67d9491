"""Which tool calls wait for an answer."""

from __future__ import annotations

import pytest

from service.domain.chat.calls import (
    clients_calls,
    our_calls,
    outstanding,
    outstanding_calls,
)
from service.domain.events.chat import MessageAppended
from tests.builders import (
    BROWSER,
    assistant,
    browse,
    call,
    created,
    result,
    state_of,
    tool,
    user,
)


@pytest.mark.parametrize(
    ("messages", "waiting"),
    [
        pytest.param([assistant("hi")], [], id="no call"),
        pytest.param(
            [assistant(call("a"), call("b"))],
            ["a", "b"],
            id="in the order of the calls",
        ),
        pytest.param(
            [assistant(call("a"), call("b")), tool(result("b"))], ["a"], id="answered"
        ),
        pytest.param(
            [assistant(call("a", provider_executed=True))], [], id="the provider's own"
        ),
        pytest.param(
            [assistant(result("a"), call("a"))], [], id="answered in the same message"
        ),
        pytest.param(
            [assistant(call("a")), assistant("hm")], ["a"], id="an earlier message"
        ),
        pytest.param(
            [assistant(call("a")), tool(result("a")), assistant(call("a"))],
            ["a"],
            id="an id that comes again",
        ),
    ],
)
def test_outstanding(messages: list[MessageAppended], waiting: list[str]) -> None:
    assert [part.tool_call_id for part in outstanding(messages)] == waiting


def test_only_calls_since_the_last_user_message_count() -> None:
    state = state_of(created(), user(), assistant(call("a")), user(), assistant("hi"))
    assert outstanding_calls(state.messages) == []
    state = state_of(created(), user(), assistant(call("a")), assistant("hi"))
    assert [part.tool_call_id for part in outstanding_calls(state.messages)] == ["a"]
    state = state_of(created(), user(), assistant(call("b")), tool(result("a")))
    assert [part.tool_call_id for part in outstanding_calls(state.messages)] == ["b"]


def test_the_calls_of_a_client_are_those_of_the_tools_that_it_brought() -> None:
    state = state_of(
        created(client_tools=(BROWSER,)),
        user(),
        assistant(call("a"), browse("b"), browse("p", provider_executed=True)),
        assistant(browse("c"), call("d", "unknown")),
        tool(result("c")),
    )
    assert [part.tool_call_id for part in clients_calls(state)] == ["b"]
    assert [part.tool_call_id for part in our_calls(state)] == ["a", "d"]


def test_a_chat_without_tools_of_clients_runs_all_calls_itself() -> None:
    state = state_of(created(), user(), assistant(browse("a")))
    assert clients_calls(state) == []
    assert [part.tool_call_id for part in our_calls(state)] == ["a"]
