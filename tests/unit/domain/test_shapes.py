"""Commands and events refuse what no chat can hold."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from service.domain.commands.chat import CommitStep, CreateChat, SendMessage
from service.domain.ids import UserId, derive_chat_id
from tests.builders import OWNER, commit_step, create, draft, send, user


@pytest.mark.parametrize(
    ("model", "command", "field"),
    [
        (CreateChat, create(), "parts"),
        (SendMessage, send(), "parts"),
        (CommitStep, commit_step(2), "messages"),
    ],
)
def test_nothing_said_is_no_message(model: Any, command: Any, field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        model(**{**dict(command), field: ()})


@pytest.mark.parametrize("role", ["user", "system"])
def test_a_worker_speaks_for_the_model_and_its_tools_only(role: str) -> None:
    with pytest.raises(ValidationError, match="role"):
        draft(role=role)


def test_a_clock_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        type(user()).model_validate({**dict(user()), "at": datetime(2026, 3, 1)})  # noqa: DTZ001


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        user(colour="red")


def test_a_chat_id_follows_from_caller_and_key() -> None:
    caller, other = UserId(OWNER), UserId(derive_chat_id(UserId(OWNER), "x"))
    assert derive_chat_id(caller, "k") == derive_chat_id(caller, "k")
    assert derive_chat_id(caller, "k") != derive_chat_id(caller, "l")
    assert derive_chat_id(caller, "k") != derive_chat_id(other, "k")
