"""The shapes of answers about what chats cost: see `shapes`."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ChatCost(_Shape):
    """What a family of chats cost: the first one, and all that it spawned."""

    chat_id: UUID = Field(description="The first chat of the family.")
    total_cost_micros: int = Field(description="Millionths of a dollar.")
    request_count: int = Field(description="Calls of models.")
    unpriced_request_count: int = Field(
        description="Those of them whose cost nobody knows; they count as nothing."
    )


class _Spent(_Shape):
    total_cost_micros: int = Field(description="Millionths of a dollar.")
    total_input_tokens: int
    total_output_tokens: int = Field(description="With those of reasoning.")
    total_cache_read_tokens: int
    total_cache_creation_tokens: int
    total_runtime_ms: int


class ModelCost(_Spent):
    """What was spent on one model."""

    model_config_id: UUID | None = Field(description="Null: the environment's model.")
    display_name: str = Field(description="As its config is called now.")
    provider: str
    model: str
    message_count: int = Field(description="Calls of it, answered or cut off.")


class FamilyCost(_Spent):
    """What was spent in one family of chats."""

    root_chat_id: UUID
    chat_title: str | None = Field(description="Null: it is deleted.")
    message_count: int = Field(description="Calls of models, answered or cut off.")


class CostSummary(_Spent):
    """What a user spent, the dearest first. Edits and deletions take nothing back."""

    start_date: datetime
    end_date: datetime = Field(description="Not part of it.")
    priced_message_count: int = Field(description="Calls of models with a cost.")
    unpriced_message_count: int = Field(description="Those whose cost nobody knows.")
    by_model: list[ModelCost]
    by_chat: list[FamilyCost]
