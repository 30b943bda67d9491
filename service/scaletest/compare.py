"""What a chat's stream showed, what GET shows, and what the log has: the same?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from service.client.client import Client
from service.client.shapes import ChatRef, Message, Part, RecordedEvent

PAGE = 200
"""The most messages that a page may have."""


class Said(NamedTuple):
    """A message, without what its source alone knows of it."""

    role: str
    parts: tuple[tuple[str, str], ...]
    """The type of each part, and its text or the id of its call."""


@dataclass
class Asked:
    """What the test itself said in a chat, as the answers to its requests tell."""

    turns: int = 0
    """Messages that were taken."""
    unsure: int = 0
    """Messages that may have been taken: their requests failed."""
    ids: list[int] = field(default_factory=list)
    """Of those that were taken, where the answer says it: the first one's does not."""


async def pages(client: Client, chat: ChatRef, *, at_least: int) -> list[Message]:
    """All messages of a chat, oldest first, as pages of the read model show them.

    Raises ApiError while it has not come as far as `at_least`.
    """
    found: list[Message] = []
    before: int | None = None
    while True:
        page = await client.messages(
            chat, at_least=at_least, limit=PAGE, before_id=before
        )
        found += page["messages"]
        if not page["has_more"]:
            return found[::-1]
        before = page["messages"][-1]["id"]


def differences(
    streamed: Mapping[int, Message],
    paged: Sequence[Message],
    events: Sequence[RecordedEvent],
    asked: Asked,
) -> Iterator[str]:
    """What one has and another has not, or has otherwise; nothing if all agree."""
    yield from _holes(event["version"] for event in events)
    logged = in_log(events)
    yield from _repeated(message["id"] for message in paged)
    ways = {
        "stream": {id_: said(m["role"], m["content"]) for id_, m in streamed.items()},
        "list": {m["id"]: said(m["role"], m["content"]) for m in paged},
    }
    for where, found in ways.items():
        yield from _unlike(where, found, logged)
    yield from _unlike_asked(logged, asked)


def in_log(events: Iterable[RecordedEvent]) -> dict[int, Said]:
    """The messages that the events make, by id: a fold of our own, on purpose."""
    found: dict[int, Said] = {}
    for event in events:
        data = event["data"]
        if event["type"] == "history_truncated":
            found = {i: m for i, m in found.items() if i < data["from_id"]}
        elif event["type"] == "message_appended" and data["visibility"] != "model":
            found[event["version"]] = said(data["role"], data["parts"])
    return found


def said(role: str, parts: Sequence[Part]) -> Said:
    """A message to compare."""
    told = ((p["type"], p.get("text") or p.get("tool_call_id") or "") for p in parts)
    return Said(role, tuple(told))


def _holes(versions: Iterable[int]) -> Iterator[str]:
    expected = 1
    for version in versions:
        if version != expected:
            yield f"log: event {version} where {expected} was due"
        expected = version + 1


def _repeated(ids: Iterable[int]) -> Iterator[str]:
    newest = 0
    for id_ in ids:
        if id_ == newest:
            yield f"list: message {id_} is there twice"
        elif id_ < newest:
            yield f"list: message {id_} comes after message {newest}"
        newest = max(newest, id_)


def _unlike(
    where: str, found: Mapping[int, Said], logged: Mapping[int, Said]
) -> Iterator[str]:
    for id_ in sorted(logged.keys() - found.keys()):
        yield f"{where}: message {id_} is lost"
    for id_ in sorted(found.keys() - logged.keys()):
        yield f"{where}: message {id_} is not in the log"
    for id_ in sorted(found.keys() & logged.keys()):
        if found[id_] != logged[id_]:
            yield f"{where}: message {id_} is another than in the log"


def _unlike_asked(logged: Mapping[int, Said], asked: Asked) -> Iterator[str]:
    users: Collection[int] = [i for i, m in logged.items() if m.role == "user"]
    for id_, times in Counter(asked.ids).items():
        if id_ not in logged:
            yield f"log: message {id_}, which a request was told of, is lost"
        if times > 1:
            yield f"log: {times} requests were told of message {id_}"
    if not asked.turns <= len(users) <= asked.turns + asked.unsure:
        yield f"log: {len(users)} messages of the user, who sent {asked.turns}"
