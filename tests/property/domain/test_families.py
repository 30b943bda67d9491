"""What holds of a family of chats, each of which goes its own way."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.domain.chat.decide import decide
from service.domain.chat.evolve import fold
from service.domain.chat.state import ChatState
from service.domain.commands.chat import ArchiveMember, ChatCommand, UpdateChat
from service.errors import Rejection
from tests import builders as b
from tests.property.domain.courses import Intent, command_for, intents

COURSE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
STEPS = st.lists(st.tuples(st.integers(0, 3), intents()), min_size=20, max_size=60)
"""Who of the family it is, and what is up with it."""

ROOT = b.CHAT
Family = dict[UUID, ChatState]


@COURSE
@given(STEPS)
def test_a_family_is_archived_as_a_whole_or_not_at_all(
    steps: list[tuple[int, Intent]],
) -> None:
    family = at_rest()
    for who, intent in steps:
        member = list(family)[who % len(family)]
        command = command_for(intent, family[member])
        if intent.which % 3 == 0:
            command = b.update(archived=not family[member].archived)
        family |= request(family, member, command)
        root = family[ROOT]
        assert set(family) == {ROOT, *root.children}
        for chat, state in family.items():
            assert state.archived is root.archived
            assert state.is_root is (chat == ROOT)
            assert state.is_root or (state.pin_key, state.children) == (None, ())


def at_rest() -> Family:
    """A root and two children, whose turns have failed."""
    names, over = [UUID(int=1), UUID(int=2)], b.turn_failed()
    spawned = [b.child_spawned(name) for name in names]
    child = b.created(root_chat_id=ROOT, parent_chat_id=ROOT)
    return {
        ROOT: b.state_of(*b.a_turn(), *spawned, over),
        **{name: b.state_of(child, b.user(), over) for name in names},
    }


def request(family: Family, member: UUID, command: ChatCommand) -> Family:
    """The states that one request leaves; those of a request that is refused: none."""
    changed: list[tuple[UUID, ChatCommand]] = [(member, command)]
    match command:
        case ArchiveMember():
            # only ever part of a root's request
            return {}
        case UpdateChat(archived=bool(archived)):
            part = b.archive_member(archived)
            changed += [(child, part) for child in family[member].children]
        case _ if (child := getattr(command, "child_id", None)) is not None:
            changed.append((child, b.create(root_chat_id=ROOT, parent_chat_id=ROOT)))
    return all_or_nothing(family, changed)


def all_or_nothing(
    family: Family, changed: Iterable[tuple[UUID, ChatCommand]]
) -> Family:
    after: Family = {}
    for chat, command in changed:
        before = family.get(chat, ChatState())
        decision = decide(before, command)
        if isinstance(decision, Rejection):
            return {}
        after[chat] = fold(before, decision)
    return after
