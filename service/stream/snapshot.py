"""A whole chat in one frame: what a client needs that has nothing yet."""

from __future__ import annotations

from itertools import islice
from typing import Any
from uuid import UUID

from service.domain.chat.public import (
    public_action,
    public_chat,
    public_message,
    public_queued,
    public_retry,
    visible,
)
from service.domain.chat.state import ChatState

SNAPSHOT_MESSAGES = 50
"""The newest ones; older pages come by GET."""


def snapshot(chat_id: UUID, state: ChatState) -> dict[str, Any]:
    """Header, last messages, queue, what the chat waits for; without the preview."""
    newest = (m for m in reversed(state.messages) if visible(m))
    page = list(islice(newest, SNAPSHOT_MESSAGES + 1))
    shown = page[:SNAPSHOT_MESSAGES][::-1]
    return {
        "chat": public_chat(chat_id, state),
        "messages": [public_message(chat_id, message) for message in shown],
        "has_more": len(page) > SNAPSHOT_MESSAGES,
        "queued_messages": [public_queued(chat_id, item) for item in state.queue],
        "action_required": state.action and public_action(state.action),
        "retry": state.retry and public_retry(state.retry),
    }
