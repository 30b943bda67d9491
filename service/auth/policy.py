"""Who may do what: one pure function, and the table it reads.

Everything is the owner's own for now: a chat is seen, written to, changed and copied by
the user who created it, and created in an organization that the user belongs to.
What a subject may not read is answered like what does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args
from uuid import UUID

Action = Literal[
    "chat.create",
    "chat.list",
    "chat.read",
    "chat.send",
    "chat.edit",
    "chat.queue",
    "chat.interrupt",
    "chat.tool_results",
    "chat.compact",
    "chat.reconcile",
    "chat.update",
    "chat.read_cursor",
    "chat.fork",
    "log.read",
]
Scope = Literal["chat", "audit"]

SCOPES: tuple[Scope, ...] = ("chat",)
"""What a new token may do unless it is made for something else."""

EVERY_SCOPE: tuple[Scope, ...] = get_args(Scope)
"""`audit` reads the whole log, everybody's chats: only who asks for it gets it."""

NEEDED_SCOPE: dict[Action, Scope] = {
    "chat.create": "chat",
    "chat.list": "chat",
    "chat.read": "chat",
    "chat.send": "chat",
    "chat.edit": "chat",
    "chat.queue": "chat",
    "chat.interrupt": "chat",
    "chat.tool_results": "chat",
    "chat.compact": "chat",
    "chat.reconcile": "chat",
    "chat.update": "chat",
    "chat.read_cursor": "chat",
    "chat.fork": "chat",
    "log.read": "audit",
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
    if action == "log.read":
        return True
    return resource.owner_id == subject.user_id
