"""What clients may send: one strict model for each body."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pydantic.config import JsonDict

from service.api.client_tools import ClientTools, ToolResultInput, declared
from service.api.fields import (
    VERSION_MAX,
    Body,
    Labels,
    McpServerIds,
    ModelConfigId,
    SystemPrompt,
    Title,
    WorkspaceId,
    example,
    refusal,
)
from service.api.parts import Content
from service.domain.events.chat import (
    BusyBehavior,
    ClientTool,
    ClientType,
    PlanMode,
    TurnSettings,
)
from service.domain.parts import Part

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
Version = Annotated[int, Field(ge=1, le=VERSION_MAX)]

_NIL = UUID(int=0)
_MODEL = "The model config that answers from here on; null: the one that did."
_NONE_YET = "Only null: none can be made in this release."
_SAID = {"content": [{"type": "text", "text": "count 3"}]}
_TOOL = {
    "name": "get_location",
    "description": "Where the user is.",
    "input_schema": {"type": "object", "properties": {}},
}


def _settings(**asked: Any) -> TurnSettings | None:
    """None where nothing is asked, as the log has it."""
    settings = TurnSettings(**asked)
    return None if settings == TurnSettings() else settings


class _Message(Body):
    """What everything that is said has."""

    content: Content
    model_config_id: ModelConfigId = Field(default=None, description=_MODEL)
    reasoning_effort: ReasoningEffort | None = Field(
        default=None, description="How much the model thinks; null: as it likes."
    )

    def parts(self) -> tuple[Part, ...]:
        """The content as parts of a message."""
        return tuple(item.part() for item in self.content)


class _Turn(_Message):
    """What both a create and a send say."""

    mcp_server_ids: McpServerIds | None = Field(
        default=None, description="None can be made in this release."
    )
    plan_mode: PlanMode | None = Field(
        default=None,
        description="Kept with the turn; changes nothing in this release.",
    )

    def settings(self) -> TurnSettings | None:
        """What the message asks of its turn, if anything."""
        return _settings(
            model_config_id=self.model_config_id,
            reasoning_effort=self.reasoning_effort,
            plan_mode=self.plan_mode,
        )


class CreateChatBody(_Turn):
    """POST /api/v1/chats."""

    model_config = example(
        {**_SAID, "labels": {"team": "support"}, "client_tools": [_TOOL]}
    )

    organization_id: UUID | None = Field(
        default=None, description="null: yours; said when you are in several."
    )
    system_prompt: SystemPrompt = Field(
        default="", description="What the model is told before everything else."
    )
    workspace_id: WorkspaceId = Field(default=None, description=_NONE_YET)
    labels: Labels = Field(default_factory=dict)
    client_type: ClientType = Field(
        default="api", description="What kind of program made it; only kept."
    )
    client_tools: ClientTools | None = Field(
        default=None, description="Tools that you run when the model calls them."
    )
    unsafe_dynamic_tools: ClientTools | None = Field(
        default=None,
        description="Another name of client_tools.",
        json_schema_extra={"deprecated": True},
    )

    @field_validator("organization_id")
    @classmethod
    def _not_nil(cls, value: UUID | None) -> UUID | None:
        if value == _NIL:
            raise refusal("the nil UUID names no organization")
        return value

    @field_validator("unsafe_dynamic_tools")
    @classmethod
    def _only_one_name(
        cls, value: ClientTools | None, info: ValidationInfo
    ) -> ClientTools | None:
        if value is not None and info.data.get("client_tools") is not None:
            raise refusal("is another name of client_tools; give one of them")
        return value

    def tools(self) -> tuple[ClientTool, ...]:
        """The client's tools, by whichever name they came."""
        return declared(self.client_tools or self.unsafe_dynamic_tools or ())


class SendMessageBody(_Turn):
    """POST /api/v1/chats/{chat_id}/messages."""

    model_config = example({**_SAID, "busy_behavior": "interrupt"})

    busy_behavior: BusyBehavior = Field(
        default="queue", description="While a turn runs: wait for its end, or stop it."
    )


class EditMessageBody(_Message):
    """PATCH /api/v1/chats/{chat_id}/messages/{message_id}."""

    model_config = example(_SAID)

    def settings(self) -> TurnSettings | None:
        """What the message asks of its turn; None: what the old one asked."""
        return _settings(
            model_config_id=self.model_config_id,
            reasoning_effort=self.reasoning_effort,
        )


class NothingBody(Body):
    """Nothing needs to be said; the body may be left out."""


class InterruptBody(NothingBody):
    """POST /api/v1/chats/{chat_id}/interrupt; the body may be left out."""


def _without_defaults(schema: JsonDict) -> None:
    """A field that is left out is not touched; it is not set to any default."""
    properties = schema["properties"]
    assert isinstance(properties, dict)  # noqa: S101
    for told in properties.values():
        assert isinstance(told, dict)  # noqa: S101
        told.pop("default", None)
    schema["examples"] = [{"title": "Trip to Lisbon", "pin_order": 1}]


class UpdateChatBody(Body):
    """PATCH /api/v1/chats/{chat_id}: what is given changes, all of it or nothing."""

    model_config = ConfigDict(json_schema_extra=_without_defaults)
    said_only: ClassVar[bool] = True

    title: Title = ""
    labels: Labels = Field(default_factory=dict)
    archived: bool = False
    pin_order: int = Field(
        default=0, ge=0, le=VERSION_MAX,
        description="0: no pin. An unpinned chat goes to the end of the pins, a "
        "pinned one to this place, or to the last.",
    )  # fmt: skip
    plan_mode: PlanMode = ""
    workspace_id: WorkspaceId = Field(default=None, description="null: none.")
    model_config_id: ModelConfigId = Field(
        default=None, description="null: the deployment's default."
    )
    mcp_server_ids: McpServerIds = Field(default_factory=list)


class ToolResultsBody(Body):
    """POST /api/v1/chats/{chat_id}/tool-results: one for each call that waits."""

    model_config = example(
        {"results": [{"tool_call_id": "call_1", "output": {"city": "Lisbon"}}]}
    )

    results: list[ToolResultInput] = Field(min_length=1)


class ReadBody(Body):
    """POST /api/v1/chats/{chat_id}/read; the body may be left out."""

    message_id: int | None = Field(
        default=None, ge=1, le=VERSION_MAX, description="None: the newest message."
    )


class ForkBody(Body):
    """POST /api/v1/chats/{chat_id}/fork; the body may be left out."""

    version: Version | None = Field(
        default=None, description="The last event to copy; none: the newest."
    )


class TicketBody(Body):
    """POST /api/v1/stream-tickets."""

    model_config = example({"chat_id": "6422b81e-14b0-561f-a834-c3d1314ecd6c"})

    chat_id: UUID | None = Field(
        default=None, description="The chat to follow; none: all your chats."
    )
