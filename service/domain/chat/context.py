"""What of a chat the model sees, and how much of its context that took."""

from __future__ import annotations

from uuid import UUID

from service.domain.chat.state import ChatState, Message
from service.domain.events.chat import Usage


def model_messages(state: ChatState) -> list[Message]:
    """The messages that the model sees: what it is told, and from the summary on."""
    first = state.summary_id
    return [
        message
        for message in state.messages
        if message.visibility != "user"
        and (message.id >= first or message.role == "system")
    ]


def answers_since(state: ChatState, message_id: int) -> int:
    """Answers of models after this message; what only people see is none."""
    count = 0
    for index in range(len(state.messages) - 1, -1, -1):
        message = state.messages[index]
        if message.id <= message_id:
            break
        count += message.role == "assistant" and message.visibility != "user"
    return count


def context_tokens(state: ChatState) -> int | None:
    """Tokens of the newest prompt since the summary, if its vendor counted them."""
    for index in range(len(state.messages) - 1, -1, -1):
        message = state.messages[index]
        if message.id <= state.summary_id:
            return None
        if message.role == "assistant" and message.usage is not None:
            return tokens_of(message.usage)
    return None


def said_limit(state: ChatState, model_config_id: UUID | None) -> int | None:
    """The context that the vendor of this model said it has; None: nothing was said."""
    said = [state.context_limit] if state.context_limit else []
    for index in range(len(state.messages) - 1, -1, -1):
        message = state.messages[index]
        if message.usage is not None:
            limit = message.usage.context_limit
            if limit and message.model_config_id == model_config_id:
                said.append(limit)
            break
    return min(said, default=None)


def tokens_of(usage: Usage) -> int | None:
    """What a prompt took: read from caches or not; the total where that is all."""
    counted = (
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_creation_tokens,
    )
    tokens = sum(count or 0 for count in counted)
    return tokens or usage.total_tokens or None
