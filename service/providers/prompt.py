"""A chat's history in the one shape that every vendor accepts.

Turns alternate, the user's first. Each call of an assistant turn is answered once, by
the user turn right after it, in the order of the calls; a result that was lost is made
up, and so is the call of a result that has none. Ids are unique in the whole prompt and
made of characters that all vendors take. Messages that only the user sees are left out.
The same history gives the same prompt, so that vendors' caches of prefixes hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from service import wire
from service.domain.chat.state import Message
from service.domain.parts import (
    FileReferencePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.provider import Metadata

ID_LENGTH = 40
"""The shortest limit among the vendors."""

NAME_LENGTH = 64
"""The same for names of tools."""

OPENING = "(The beginning of this conversation is missing.)"
"""Said by the user where a history begins with an answer."""

NO_RESULT = "tool call was interrupted before it produced a result"

_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_FENCE = re.compile(r"`{3,}")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the assistant made; `metadata` is the vendor's own."""

    id: str
    name: str
    args: Mapping[str, JsonValue]
    metadata: Metadata | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to the call of that id."""

    id: str
    name: str
    text: str
    is_error: bool


Said = TextPart | ReasoningPart | Call


@dataclass(slots=True)
class UserTurn:
    """Results come before texts."""

    results: list[Result] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class AssistantTurn:
    """Never empty, never ends in reasoning."""

    parts: list[Said] = field(default_factory=list)


Turn = UserTurn | AssistantTurn


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a vendor is asked."""

    system: str
    turns: Sequence[Turn]


def prompt_of(messages: Iterable[Message], *, identity: str) -> Prompt:
    """The prompt; of reasoning only what this provider (`identity`) had signed."""
    seen = [m for m in messages if m.visibility != "user"]
    system = [_first_text(m) for m in seen if m.role == "system"]
    builder = _Builder(identity)
    for message in seen:
        match message.role:
            case "user":
                builder.user(message)
            case "assistant":
                builder.assistant(message)
            case "tool":
                builder.tool(message)
            case "system":
                pass
    return Prompt("\n\n".join(filter(None, system)), builder.finish())


def unique(wanted: str, taken: set[str]) -> str:
    """The id in characters that all vendors take, different from those taken."""
    clean = _FOREIGN.sub("_", wanted)[:ID_LENGTH] or "call"
    made, number = clean, 1
    while made in taken:
        number += 1
        suffix = f"_{number}"
        made = clean[: ID_LENGTH - len(suffix)] + suffix
    taken.add(made)
    return made


class _Builder:
    """Turns in the making. The last one is open: it may still grow."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._turns: list[Turn] = []
        self._taken: set[str] = set()
        self._open: dict[str, Call] = {}
        """Calls of the last assistant turn by the ids that the log has."""
        self._results: dict[str, Result] = {}
        """Results since then, by the ids of the prompt."""
        self._orphans: list[ToolResultPart] = []
        self._texts: list[str] = []

    def user(self, message: Message) -> None:
        texts = [_user_text(part) for part in message.parts]
        text = "\n\n".join(text for text in texts if text.strip())
        if text:
            self._texts.append(text)

    def tool(self, message: Message) -> None:
        for part in message.parts:
            if isinstance(part, ToolResultPart) and not part.provider_executed:
                self._result(part)

    def assistant(self, message: Message) -> None:
        if said := self._said(message):
            turn = self._assistant_turn()
            for part in said:
                if isinstance(part, ToolCallPart):
                    self._call(part, turn)
                else:
                    turn.parts.append(part)
        # local results that stand beside their calls
        self.tool(message)

    def finish(self) -> list[Turn]:
        self._close_user_turn()
        self._close_assistant_turn()
        return self._turns

    def _said(self, message: Message) -> list[TextPart | ReasoningPart | ToolCallPart]:
        said: list[TextPart | ReasoningPart | ToolCallPart] = []
        for part in message.parts:
            match part:
                case TextPart() if part.text.strip():
                    said.append(part)
                case ReasoningPart() if self._own(part.provider_metadata) is not None:
                    said.append(part)
                # what a provider executed is told in terms of its own ids
                case ToolCallPart() if not part.provider_executed:
                    said.append(part)
        return said

    def _own(self, metadata: Metadata | None) -> Metadata | None:
        """Metadata that this provider wrote; nobody else could read it."""
        own = metadata is not None and metadata.get("provider") == self._identity
        return metadata if own else None

    def _assistant_turn(self) -> AssistantTurn:
        """The open assistant turn, or a new one if the user has spoken since."""
        last = self._turns[-1] if self._turns else None
        spoken = self._texts or self._results or self._orphans
        if isinstance(last, AssistantTurn) and not spoken:
            return last
        self._close_user_turn()
        turn = AssistantTurn()
        self._turns.append(turn)
        return turn

    def _call(self, part: ToolCallPart, turn: AssistantTurn) -> None:
        if part.tool_call_id in self._open:
            return
        call = Call(
            id=unique(part.tool_call_id, self._taken),
            name=_name(part.tool_name),
            args=part.args if isinstance(part.args, dict) else {},
            metadata=self._own(part.provider_metadata),
        )
        self._open[part.tool_call_id] = call
        turn.parts.append(call)

    def _result(self, part: ToolResultPart) -> None:
        call = self._open.get(part.tool_call_id)
        if call is not None:
            self._results.setdefault(call.id, _answer(call, part))
        elif part.tool_name and all(
            part.tool_call_id != other.tool_call_id for other in self._orphans
        ):
            self._orphans.append(part)

    def _close_assistant_turn(self) -> None:
        """Drop what may not stand at the end of an assistant turn."""
        turn = self._turns[-1] if self._turns else None
        if not isinstance(turn, AssistantTurn):
            return
        while turn.parts and isinstance(turn.parts[-1], ReasoningPart):
            turn.parts.pop()
        if not turn.parts:
            self._turns.pop()

    def _close_user_turn(self) -> None:
        """Answer the open calls, then the orphans, and put the texts after them."""
        self._close_assistant_turn()
        answers = [
            self._results.get(call.id) or Result(call.id, call.name, NO_RESULT, True)
            for call in self._open.values()
        ]
        if answers:
            self._user_turn().results.extend(answers)
        if self._orphans:
            self._adopt()
        if self._texts:
            self._user_turn().texts.extend(self._texts)
        if not self._turns:
            self._turns.append(UserTurn(texts=[OPENING]))
        self._open, self._results = {}, {}
        self._orphans, self._texts = [], []

    def _adopt(self) -> None:
        """Give each orphaned result a call, in an assistant turn of their own."""
        if not self._turns:
            self._turns.append(UserTurn(texts=[OPENING]))
        calls = [
            Call(unique(part.tool_call_id, self._taken), _name(part.tool_name), {})
            for part in self._orphans
        ]
        pairs = zip(calls, self._orphans, strict=True)
        results = [_answer(call, part) for call, part in pairs]
        last = self._turns[-1]
        if isinstance(last, AssistantTurn):
            last.parts.extend(calls)
        else:
            self._turns.append(AssistantTurn(list(calls)))
        self._turns.append(UserTurn(results=results))

    def _user_turn(self) -> UserTurn:
        last = self._turns[-1] if self._turns else None
        if isinstance(last, UserTurn):
            return last
        turn = UserTurn()
        self._turns.append(turn)
        return turn


def _first_text(message: Message) -> str:
    for part in message.parts:
        if isinstance(part, TextPart):
            return part.text.strip()
    return ""


def _user_text(part: object) -> str:
    match part:
        case TextPart():
            return part.text
        case FileReferencePart():
            return _reference(part)
    return ""


def _reference(part: FileReferencePart) -> str:
    """A header and the lines, in a fence that the lines cannot close."""
    lines = f"lines {part.start_line}-{part.end_line}"
    if part.start_line == part.end_line:
        lines = f"line {part.start_line}"
    longest = max(map(len, _FENCE.findall(part.content)), default=2)
    fence = "`" * (longest + 1)
    return f"{part.file_name}, {lines}:\n{fence}\n{part.content}\n{fence}"


def _name(name: str) -> str:
    return _FOREIGN.sub("_", name)[:NAME_LENGTH] or "unknown"


def _answer(call: Call, part: ToolResultPart) -> Result:
    return Result(call.id, call.name, _result_text(part), part.is_error)


def _result_text(part: ToolResultPart) -> str:
    """Text as it is, anything else as JSON; of an error only what it says."""
    result = part.result
    if part.is_error and isinstance(result, dict):
        result = result.get("error", result)
    if isinstance(result, str):
        return result if result.strip() else "{}"
    return "{}" if result is None else wire.dumps(result).decode()
