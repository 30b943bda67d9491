"""What a turn is made with: the settings of the message that began it, and its tools.

Pure functions of the committed state. Settings that change while a turn runs are for
the next one; so are those of messages that wait in the queue.
"""

from __future__ import annotations

from service.domain.chat.state import ChatState
from service.domain.events.chat import TurnSettings
from service.providers.provider import ToolSpec
from service.tools.registry import Registry


def turn_settings(state: ChatState) -> TurnSettings:
    """The settings of the running turn, with its plan mode as it was at its start."""
    began = state.messages.find(state.turn_id) if state.turn_id is not None else None
    given = (began.settings if began is not None else None) or TurnSettings()
    return given.model_copy(update={"plan_mode": state.turn_plan_mode})


def offered(registry: Registry, state: ChatState) -> tuple[ToolSpec, ...]:
    """The worker's tools, then the client's; always in the same order.

    Who calls a name that both have calls the client's, so only that one is offered.
    """
    clients = tuple(
        ToolSpec(tool.name, tool.description, tool.input_schema)
        for tool in state.client_tools
    )
    theirs = {tool.name for tool in clients}
    return (*(s for s in registry.specs() if s.name not in theirs), *clients)
