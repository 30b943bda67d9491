"""Who may do what: one pure function, and the table it reads.

Everything is the owner's own for now: a chat is seen, written to and interrupted by
the user who created it, and created in an organization that the user belongs to.
What a subject may not read is answered like what does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

Action = Literal["chat.create", "chat.list", "chat.read", "chat.send", "chat.interrupt"]
Scope = Literal["chat"]

SCOPES: tuple[Scope, ...] = ("chat",)
"""What a token may be limited to; a new token gets them all."""

NEEDED_SCOPE: dict[Action, Scope] = {
    "chat.create": "chat",
    "chat.list": "chat",
    "chat.read": "chat",
    "chat.send": "chat",
    "chat.interrupt": "chat",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks: a user, by a token with scopes, in some organizations."""

    user_id: UUID
    organizations: frozenset[UUID]
    token_id: UUID
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked for: whose it is, and in which organization it is."""

    owner_id: UUID | None = None
    organization_id: UUID | None = None


def allowed(subject: Subject, action: Action, resource: Resource) -> bool:
    """Whether the subject may do this to the resource."""
    if NEEDED_SCOPE[action] not in subject.scopes:
        return False
    if action == "chat.create":
        return resource.organization_id in subject.organizations
    return resource.owner_id == subject.user_id
