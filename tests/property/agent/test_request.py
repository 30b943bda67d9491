"""The same chat and the same sources give an equal request, whatever they say."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from service.agent.prompt import model_request
from service.agent.sources import ContextBlock, ContextFile, Skill, Sources
from service.domain import prompts
from service.domain.chat.state import ChatState
from service.domain.events.chat import ModelRef
from service.domain.prompt_text import TAGS, bounded, sanitised
from service.providers.models import Model
from service.providers.provider import ModelRequest
from service.providers.scripted import Scripted
from service.tools.clock import clock
from service.tools.registry import Registry
from tests.builders import CHAT, NOW, created, state_of, user

ROOT = UUID(int=0xA)
MODEL = Model(Scripted(rate=1000), ModelRef(provider="scripted", model="script"))
TOOLS = Registry([clock(lambda: NOW)], now=lambda: NOW)

PIECES = [
    *(
        f"<{slash}{tag}{end}"
        for tag in TAGS
        for slash in ("", "/")
        for end in (">", "")
    ),
    *("<", "/", " ", "\n", "\r", "\t", "\u200b", "\u2060", "\u200c", "\U000e0041"),
    *("be brief", "x", "&lt;", "\u00e4", prompts.PLAN_PATH),
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(
    max_size=20
)
CONTEXTS = st.none() | st.builds(
    ContextBlock,
    operating_system=st.none() | TEXTS,
    directory=st.none() | TEXTS,
    files=st.lists(st.builds(ContextFile, path=TEXTS, content=TEXTS), max_size=2),
)
SKILLS = st.lists(st.builds(Skill, name=TEXTS, description=TEXTS), max_size=2)


def sources_of(prompt: str, context: Any, skills: Any, late: bool) -> Sources:
    """Sources that answer in one order or in the other."""

    def giving(value: Any, turns: int) -> Any:
        async def load(*_: object) -> Any:
            for _turn in range(turns if late else 4 - turns):
                await asyncio.sleep(0)
            return value

        return load

    return Sources(
        user_prompt=giving(prompt, 1),
        context=giving(context, 2),
        skills=giving(skills, 3),
    )


def ask(state: ChatState, sources: Sources) -> ModelRequest:
    return asyncio.run(model_request(state, MODEL, TOOLS, sources, chat_id=CHAT))


@given(
    deployment=TEXTS,
    own=TEXTS,
    prompt=TEXTS,
    context=CONTEXTS,
    skills=SKILLS,
    plan=st.booleans(),
    child=st.booleans(),
)
def test_a_request_is_made_alike_and_clean(
    deployment: str,
    own: str,
    prompt: str,
    context: ContextBlock | None,
    skills: list[Skill],
    plan: bool,
    child: bool,
) -> None:
    root = ROOT if child else None
    given_ = created(
        default_prompt=1,
        deployment_prompt=deployment,
        plan_mode="plan" if plan else "",
        parent_chat_id=root,
        root_chat_id=root,
    )
    own_prompt = user(own, role="system", visibility="model")
    state = state_of(given_, own_prompt, user("hello"))
    early, late = (
        ask(state, sources_of(prompt, context, skills, late)) for late in (False, True)
    )
    assert early == late
    told = early.system
    assert len(set(told)) == len(told)
    assert all(sanitised(text) == text != "" for text in told)
    assert told[0] == prompts.DEFAULT_PROMPTS[1].strip()
    assert (prompts.SUBAGENT_NOTE in told) == child
    own_words = {_placed(deployment), _placed(own)}
    _stay_in_their_tags([text for text in told if text not in own_words])
    _in_order(told, own_words)


def _placed(text: str) -> str:
    return sanitised(bounded(text).replace(prompts.PLAN_PATH, ""))


def _stay_in_their_tags(told: Sequence[str]) -> None:
    for text in told:
        for tag in TAGS:
            if text.startswith(f"<{tag}>"):
                inner = text.removeprefix(f"<{tag}>").removesuffix(f"\n</{tag}>")
                assert len(inner) == len(text) - 2 * len(tag) - 6
                assert not any(f"<{t}" in inner or f"</{t}" in inner for t in TAGS)


def _in_order(told: Sequence[str], own_words: set[str]) -> None:
    overlays = {prompts.PLAN_OVERLAY_CHILD, _placed(prompts.PLAN_OVERLAY)}

    def place(text: str) -> int:
        if text in own_words:
            return 1
        if text == prompts.SUBAGENT_NOTE:
            return 2
        tags = [n for n, tag in enumerate(TAGS) if text.startswith(f"<{tag}>")]
        return 3 + tags[0] if tags else 6 if text in overlays else 0

    places = [place(text) for text in told]
    assert places == sorted(places)
    assert places.count(0) == 1
