"""Who may do what, as a table."""

from __future__ import annotations

from typing import get_args
from uuid import UUID

import pytest

from service.auth.policy import SCOPES, Action, Resource, Subject, allowed

ME, THEM = UUID(int=1), UUID(int=2)
OURS, FOREIGN = UUID(int=3), UUID(int=4)

MINE = Resource(owner_id=ME, organization_id=OURS)
MINE_ELSEWHERE = Resource(owner_id=ME, organization_id=FOREIGN)
THEIRS_HERE = Resource(owner_id=THEM, organization_id=OURS)
THEIRS = Resource(owner_id=THEM, organization_id=FOREIGN)
NOBODYS = Resource()

OWNER_ONLY: tuple[Action, ...] = (
    "chat.list", "chat.read", "chat.send", "chat.edit", "chat.queue",
    "chat.interrupt", "chat.tool_results", "chat.compact", "chat.reconcile",
    "chat.update", "chat.read_cursor", "chat.fork",
)  # fmt: skip

TABLE: list[tuple[Action, Resource, bool]] = [
    *((action, MINE, True) for action in OWNER_ONLY),
    *((action, MINE_ELSEWHERE, True) for action in OWNER_ONLY),
    *((action, THEIRS_HERE, False) for action in OWNER_ONLY),
    *((action, THEIRS, False) for action in OWNER_ONLY),
    *((action, NOBODYS, False) for action in OWNER_ONLY),
    ("chat.create", MINE, True),
    ("chat.create", Resource(organization_id=OURS), True),
    ("chat.create", MINE_ELSEWHERE, False),
    ("chat.create", Resource(organization_id=FOREIGN), False),
    ("chat.create", NOBODYS, False),
    *(("log.read", resource, False) for resource in (MINE, THEIRS, NOBODYS)),
]


def subject(*scopes: str) -> Subject:
    return Subject(ME, frozenset({OURS}), UUID(int=9), frozenset(scopes))


@pytest.mark.parametrize(("action", "resource", "expected"), TABLE)
def test_policy(action: Action, resource: Resource, expected: bool) -> None:
    assert allowed(subject("chat"), action, resource) is expected


def test_only_audit_reads_the_log_and_it_does_nothing_else() -> None:
    assert allowed(subject("audit"), "log.read", NOBODYS)
    assert not allowed(subject("audit"), "chat.read", MINE)


def test_a_new_token_may_not_read_the_log() -> None:
    assert not allowed(subject(*SCOPES), "log.read", NOBODYS)


def test_the_table_is_complete() -> None:
    assert {action for action, _, _ in TABLE} == set(get_args(Action))


@pytest.mark.parametrize("action", get_args(Action))
def test_without_the_scope_nothing_is_allowed(action: Action) -> None:
    assert not allowed(subject(), action, MINE)
    if action != "log.read":
        assert not allowed(subject("audit"), action, MINE)


def test_without_an_organization_nothing_can_be_created() -> None:
    nobody = Subject(ME, frozenset(), UUID(int=9), frozenset({"chat"}))
    assert not allowed(nobody, "chat.create", MINE)
