"""From a chat of 2,000 messages to what a vendor's library is given: the whole prompt.

Choosing what the model sees, the system block, all repairs of the history, and the
vendor's own shape; not the network. Beside it, in the same rounds: the same messages as
one JSON, which is what sending them costs at the least.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from uuid import UUID

from scripts.benchmarks.bench import Bench
from scripts.benchmarks.events import ANSWER, AT, QUESTION, chat_created, user_message
from scripts.benchmarks.harness import Result
from service import wire
from service.agent.prompt import model_request
from service.agent.sources import Sources
from service.domain.chat.evolve import fold
from service.domain.chat.public import public_message
from service.domain.chat.state import ChatState
from service.domain.events.chat import ChatEvent, MessageAppended, ModelRef
from service.domain.parts import Part, ReasoningPart, TextPart, ToolCallPart
from service.domain.parts import ToolResultPart as Answer
from service.providers.files import Accepts
from service.providers.models import Model
from service.providers.prompt import prompt_of
from service.providers.scripted import Scripted
from service.tools.registry import Registry

MESSAGES = 2_000
CHAT = UUID(int=7)
IDENTITY = "anthropic"
ACCEPTS = Accepts("Anthropic")


async def run(bench: Bench) -> list[Result]:
    """Milliseconds, and how many times the JSON they are."""
    from service.providers.vendor.history import messages_of

    state = fold(ChatState(), _events())
    provider = Scripted(rate=1_000)
    model = Model(provider, ModelRef(provider=IDENTITY, model="bench"))
    tools, sources = Registry([], now=lambda: AT), Sources(user_prompt=_habits)
    ours: list[float] = []
    plain: list[float] = []
    await bench.quiet.wait()
    for _ in range(bench.rounds * 3):
        began = time.perf_counter()
        request = await model_request(state, model, tools, sources, chat_id=CHAT)
        prompt = prompt_of(
            request.messages,
            system=request.system,
            identity=IDENTITY,
            files=request.files,
            accepts=ACCEPTS,
        )
        made = messages_of(prompt, system=IDENTITY)
        ours.append(time.perf_counter() - began)
        began = time.perf_counter()
        size = len(wire.dumps([public_message(CHAT, m) for m in state.messages]))
        plain.append(time.perf_counter() - began)
    details = {
        "messages": len(state.messages),
        "turns_of_the_prompt": len(made),
        "json_bytes": size,
        "max_ms": 1_000 * max(ours),
        **bench.facts,
    }
    case = f"prompt of a chat with {MESSAGES} messages"
    value, baseline = (1_000 * statistics.median(times) for times in (ours, plain))
    return [Result(case, value, "ms", baseline=baseline, details=details)]


async def _habits(_owner: UUID) -> str:
    return "Answer in short sentences."


def _events() -> Iterator[ChatEvent]:
    """Turns of four messages: asked, thought and called, looked up, answered."""
    yield chat_created()
    for turn in range(MESSAGES // 4):
        call = f"call_{turn}"
        yield user_message(QUESTION)
        yield _said(
            "assistant",
            ReasoningPart(
                text="The catalog knows.",
                created_at=AT,
                provider_metadata={"provider": IDENTITY, "signature": f"s{turn}"},
            ),
            TextPart(text="I look it up."),
            ToolCallPart(tool_call_id=call, tool_name="query", args={"limit": turn}),
        )
        yield _said(
            "tool",
            Answer(tool_call_id=call, tool_name="query", result={"rows": [ANSWER]}),
        )
        yield _said("assistant", TextPart(text=ANSWER))


def _said(role: str, *parts: Part) -> MessageAppended:
    return MessageAppended.model_validate({"at": AT, "role": role, "parts": parts})
