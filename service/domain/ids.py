"""Identifiers and how they are derived.

A chat's id is uuid5(caller, idempotency key) when the caller gave a key, so a retried
create finds the first one's chat. Message ids, queue ids and turn ids are versions of
events on the chat's stream.
"""

from __future__ import annotations

from typing import NewType
from uuid import UUID, uuid5

ChatId = NewType("ChatId", UUID)
UserId = NewType("UserId", UUID)
OrganizationId = NewType("OrganizationId", UUID)

CHAT = "chat"
"""The category of chats."""


def derive_chat_id(caller: UserId, key: str) -> ChatId:
    """The id of the chat that `caller` creates with this idempotency key."""
    return ChatId(uuid5(caller, key))
