"""A turn is made with what the message that began it asked for."""

from __future__ import annotations

from datetime import UTC, datetime

from service.agent.turn import offered, turn_settings
from service.domain.events.chat import ClientTool, PlanMode, TurnSettings
from service.providers.provider import ToolSpec
from service.tools.registry import Registry, Tool
from tests.builders import (
    an_answer,
    assistant,
    call,
    created,
    plan_mode_changed,
    state_of,
    tool,
    turn_finished,
    user,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def asking(model: str, plan: PlanMode | None = None) -> TurnSettings:
    return TurnSettings(model=model, reasoning_effort="low", plan_mode=plan)


def registry(*names: str) -> Registry:
    async def run(_: object) -> None:
        return None

    tools = [Tool(ToolSpec(name, "ours", {}), run) for name in names]
    return Registry(tools, now=lambda: NOW)


def clients(*names: str) -> tuple[ClientTool, ...]:
    return tuple(
        ClientTool(name=name, description="theirs", input_schema={"type": "object"})
        for name in names
    )


def test_settings_are_those_of_the_message_that_began_the_turn() -> None:
    state = state_of(created(), user(settings=asking("a")))
    assert turn_settings(state) == asking("a", "")


def test_without_any_the_provider_decides() -> None:
    assert turn_settings(state_of(created(), user())) == TurnSettings(plan_mode="")


def test_later_steps_of_the_turn_have_them_too() -> None:
    asked = user(settings=asking("a"))
    state = state_of(created(), asked, assistant(call()), tool())
    assert turn_settings(state).model == "a"


def test_a_message_for_the_model_alone_changes_none() -> None:
    notice = user("by the way", visibility="model", settings=asking("b", "plan"))
    state = state_of(created(), user(settings=asking("a")), notice)
    assert turn_settings(state) == asking("a", "")


def test_a_message_from_the_queue_brings_its_own() -> None:
    """Its chat has changed its mind since; what was asked for with it stands."""
    promoted = user(settings=asking("b", "plan"), queued_id=3)
    state = state_of(*an_answer(), plan_mode_changed(""), turn_finished(), promoted)
    assert turn_settings(state) == asking("b", "plan")


def test_without_a_plan_mode_of_its_own_a_turn_has_the_chats() -> None:
    state = state_of(created(), plan_mode_changed("plan"), user())
    assert turn_settings(state).plan_mode == "plan"


def test_the_plan_mode_of_a_running_turn_does_not_change() -> None:
    planning = state_of(created(plan_mode="plan"), user(), plan_mode_changed(""))
    assert turn_settings(planning).plan_mode == "plan"
    doing = state_of(created(), user(), plan_mode_changed("plan"))
    assert turn_settings(doing).plan_mode == ""


def test_the_workers_tools_come_first_and_in_their_order() -> None:
    state = state_of(created(client_tools=clients("z", "a")), user())
    names = [tool.name for tool in offered(registry("m", "b"), state)]
    assert names == ["m", "b", "z", "a"]


def test_a_name_that_both_have_is_offered_once_and_is_the_clients() -> None:
    state = state_of(created(client_tools=clients("z", "b")), user())
    tools = offered(registry("m", "b"), state)
    assert [(tool.name, tool.description) for tool in tools] == [
        ("m", "ours"),
        ("z", "theirs"),
        ("b", "theirs"),
    ]
