"""What is under test: a program that puts a question to an agent."""

from __future__ import annotations

from dataclasses import dataclass

from service.client.client import Client


@dataclass(frozen=True)
class Reply:
    """What the agent said, or why it said nothing."""

    text: str
    failed: str | None = None


async def ask(client: Client, question: str, *, follow_up: str | None = None) -> Reply:
    """Ask, and ask once more; gives the last answer."""
    chat = await client.create(question, labels={"about": "small talk"})
    view = await client.turn_finished(chat, timeout_s=30)
    if follow_up is not None and view.error is None:
        await client.send(chat, follow_up)
        view = await client.turn_finished(chat, timeout_s=30)
    return Reply(view.answer, view.error and view.error["message"])
