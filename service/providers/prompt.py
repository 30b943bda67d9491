"""A chat's history as a prompt.

Each call of an assistant turn is answered once, by the user turn right after it, in the
order of the calls; a result that was lost is made up, and so is the call of a result
that has none. Ids are unique in the whole prompt. What another vendor wrote for itself
is left out, and so is what only the user sees. The same history gives the same prompt,
and a longer one begins alike, so that vendors' caches of prefixes hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from service.domain.chat.state import Message
from service.domain.parts import FilePart, FileReferencePart, TextPart
from service.providers.files import Accepts, Item, item_of
from service.providers.provider import FileContent
from service.providers.repair import Repair
from service.providers.texts import clean, fenced
from service.providers.turns import Prompt


def prompt_of(
    messages: Iterable[Message],
    *,
    system: Sequence[str] = (),
    identity: str,
    files: Mapping[UUID, FileContent],
    accepts: Accepts,
) -> Prompt:
    """The prompt for the provider that signs what it writes with `identity`.

    Messages of the role system follow `system`. Raises ProviderError for a file that
    the vendor refuses and that cannot be told otherwise.
    """
    told = list(system)
    repair = Repair(identity)
    for message in messages:
        if message.visibility == "user":
            continue
        match message.role:
            case "user":
                repair.user(_items(message, files, accepts))
            case "assistant":
                repair.assistant(message.parts)
            case "tool":
                repair.results(message.parts)
            case "system":
                told.append(_first_text(message))
    block = tuple(clean(text.strip()) for text in told if text.strip())
    return Prompt(block, repair.finish())


def _first_text(message: Message) -> str:
    for part in message.parts:
        if isinstance(part, TextPart):
            return part.text
    return ""


def _items(
    message: Message, files: Mapping[UUID, FileContent], accepts: Accepts
) -> tuple[Item, ...]:
    """What a user's message says; texts between files are one."""
    items: list[Item] = []
    for part in message.parts:
        match part:
            case TextPart():
                item: Item | None = clean(part.text)
            case FileReferencePart():
                item = _reference(part)
            case FilePart():
                item = item_of(part, files=files, accepts=accepts)
            case _:
                item = None
        if item is None or (isinstance(item, str) and not item.strip()):
            continue
        if isinstance(item, str) and items and isinstance(items[-1], str):
            items[-1] = f"{items[-1]}\n\n{item}"
        else:
            items.append(item)
    return tuple(items)


def _reference(part: FileReferencePart) -> str:
    """A header and the lines, in a fence that the lines cannot close."""
    lines = f"lines {part.start_line}-{part.end_line}"
    if part.start_line == part.end_line:
        lines = f"line {part.start_line}"
    return clean(f"{part.file_name}, {lines}:\n{fenced(part.content)}")
