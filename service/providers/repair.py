"""Turns from messages, repaired where a vendor would refuse them."""

from __future__ import annotations

from collections.abc import Sequence

from service.domain.parts import (
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from service.providers.files import Item
from service.providers.hosted import hosted_in, own
from service.providers.provider import Metadata
from service.providers.texts import clean, clean_json, told
from service.providers.turns import (
    AssistantTurn,
    Call,
    Ids,
    Reasoning,
    Result,
    Said,
    Text,
    Turn,
    UserTurn,
    tool_name,
)

OPENING = "(The beginning of this conversation is missing.)"
"""Said by the user where a history begins with an answer."""

GO_ON = "(Please go on.)"
"""Said by the user where a history ends in an answer: the last word is always his."""

NO_RESULT = "tool call was interrupted before it produced a result"


class Repair:
    """Turns in the making. The last one is open: it may still grow."""

    def __init__(self, identity: str) -> None:
        self._identity = identity
        self._turns: list[Turn] = []
        self._ids = Ids()
        self._hosted: set[str] = set()
        """Ids of the vendor's own calls that were told."""
        self._open: dict[str, Call] = {}
        """Calls of the last assistant turn by the ids that the log has."""
        self._results: dict[str, Result] = {}
        """Results since then, by the ids of the prompt."""
        self._orphans: dict[str, ToolResultPart] = {}
        self._said: list[tuple[Item, ...]] = []

    def user(self, items: tuple[Item, ...]) -> None:
        """Add what a user said."""
        if items:
            self._said.append(items)

    def results(self, parts: Sequence[Part]) -> None:
        """Add results of tools."""
        for part in parts:
            if isinstance(part, ToolResultPart) and not part.provider_executed:
                self._result(part)

    def assistant(self, parts: Sequence[Part]) -> None:
        """Add an answer of a model, and results that stand beside their calls."""
        if said := self._told(parts):
            turn = self._assistant_turn()
            for part in said:
                if isinstance(part, ToolCallPart):
                    self._call(part, turn)
                else:
                    turn.parts.append(part)
        self.results(parts)

    def finish(self) -> list[Turn]:
        """The turns; nothing may be added any more."""
        self._close_user_turn()
        if isinstance(self._turns[-1], AssistantTurn):
            self._turns.append(UserTurn(said=[(GO_ON,)]))
        return self._turns

    def _told(self, parts: Sequence[Part]) -> list[Said | ToolCallPart]:
        """What of an answer is told; reasoning that led to nothing is not."""
        hosted = hosted_in(parts, identity=self._identity, told=self._hosted)
        # what a text cites may be gone with a search
        whole = all(at in hosted for at, part in enumerate(parts) if _hosted(part))
        said: list[Said | ToolCallPart] = []
        for at, part in enumerate(parts):
            match part:
                case TextPart():
                    if part.text.strip():
                        said.append(self._text(part, whole=whole))
                case ReasoningPart():
                    if reasoning := self._reasoning(part):
                        said.append(reasoning)
                case ToolCallPart() if not part.provider_executed:
                    said.append(part)
                case _ if at in hosted:
                    kept = hosted[at]
                    said.append(Text(kept) if isinstance(kept, str) else kept)
        while said and isinstance(said[-1], Reasoning):
            said.pop()
        return said

    def _text(self, part: TextPart, *, whole: bool) -> Text:
        text = clean(part.text)
        # metadata that speaks of another text is worse than none
        same = whole and text == part.text
        return Text(text, own(part.provider_metadata, self._identity) if same else None)

    def _reasoning(self, part: ReasoningPart) -> Reasoning | None:
        """As it came or not at all: a signature holds for every character."""
        metadata = own(part.provider_metadata, self._identity)
        if metadata is None or clean(part.text) != part.text:
            return None
        if not part.text.strip() and not _signed(metadata):
            return None
        return Reasoning(part.text, metadata)

    def _assistant_turn(self) -> AssistantTurn:
        """The open assistant turn, or a new one if the user has spoken since."""
        last = self._turns[-1] if self._turns else None
        spoken = self._said or self._results or self._orphans
        if isinstance(last, AssistantTurn) and not spoken:
            return last
        self._close_user_turn()
        turn = AssistantTurn()
        self._turns.append(turn)
        return turn

    def _call(self, part: ToolCallPart, turn: AssistantTurn) -> None:
        if part.tool_call_id in self._open:
            return
        args = clean_json(part.args)
        call = Call(
            id=self._ids.take(part.tool_call_id),
            name=tool_name(part.tool_name),
            args=args if isinstance(args, dict) else {},
            metadata=own(part.provider_metadata, self._identity),
        )
        self._open[part.tool_call_id] = call
        turn.parts.append(call)

    def _result(self, part: ToolResultPart) -> None:
        call = self._open.get(part.tool_call_id)
        if call is not None:
            self._results.setdefault(call.id, _answer(call, part))
        elif part.tool_name:
            self._orphans.setdefault(part.tool_call_id, part)

    def _close_user_turn(self) -> None:
        """Answer the open calls, then the orphans, then put what was said."""
        answers = [
            self._results.get(call.id) or Result(call.id, call.name, NO_RESULT, True)
            for call in self._open.values()
        ]
        if answers:
            self._user_turn().results.extend(answers)
        if self._orphans:
            self._adopt()
        if self._said:
            self._user_turn().said.extend(self._said)
        if not self._turns:
            self._turns.append(UserTurn(said=[(OPENING,)]))
        self._open, self._results = {}, {}
        self._orphans, self._said = {}, []

    def _adopt(self) -> None:
        """Give each orphaned result a call, in an assistant turn of their own."""
        if not self._turns:
            self._turns.append(UserTurn(said=[(OPENING,)]))
        orphans = self._orphans.values()
        calls = [
            Call(self._ids.take(part.tool_call_id), tool_name(part.tool_name), {})
            for part in orphans
        ]
        pairs = zip(calls, orphans, strict=True)
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


def _hosted(part: Part) -> bool:
    return isinstance(part, ToolCallPart | ToolResultPart) and part.provider_executed


def _signed(metadata: Metadata) -> bool:
    return bool(metadata.get("signature") or metadata.get("details"))


def _answer(call: Call, part: ToolResultPart) -> Result:
    text = told(part.result, is_error=part.is_error)
    return Result(call.id, call.name, text, part.is_error)
