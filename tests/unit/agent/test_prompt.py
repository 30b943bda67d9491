"""What a model is asked: sections in their order, and everything that it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from service.agent import sources as loading
from service.agent.prompt import model_request, summary_request
from service.agent.sources import ContextBlock, ContextFile, Skill, Sources
from service.domain import prompts
from service.domain.chat.state import ChatState
from service.domain.events.chat import ModelRef, TurnSettings
from service.domain.parts import FilePart
from service.providers.models import Model
from service.providers.provider import FileContent, ModelRequest, ToolSpec
from service.providers.scripted import Scripted
from service.tools.registry import Registry, Tool
from tests.builders import (
    CHAT,
    OWNER,
    assistant,
    created,
    state_of,
    text,
    tool,
    user,
    workspace_bound,
)

ROOT = UUID(int=0xA)
CONFIG = UUID(int=0xB)
FILES = [UUID(int=number) for number in (1, 2, 3)]
PROVIDER = Scripted(rate=1000)
PLAIN = Model(PROVIDER, ModelRef(provider="scripted", model="script"))


def registry(*names: str) -> Registry:
    async def run(_: object) -> None:
        return None

    tools = [Tool(ToolSpec(name, "ours", {}), run) for name in names]
    return Registry(tools, now=lambda: datetime(2026, 3, 1, tzinfo=UTC))


async def no_prompt(_: UUID) -> str:
    return ""


def sources(prompt: str = "", **others: Any) -> Sources:
    async def user_prompt(user_id: UUID) -> str:
        assert user_id == OWNER
        return prompt

    return Sources(user_prompt=user_prompt, **others)


def giving(value: Any) -> Any:
    async def load(*_: object) -> Any:
        return value

    return load


async def failing(*_: object) -> Any:
    raise OSError("away")


async def asked(
    state: ChatState,
    model: Model = PLAIN,
    *,
    tools: Sequence[str] = (),
    of: Sources | None = None,
) -> ModelRequest:
    told = of or sources()
    return await model_request(state, model, registry(*tools), told, chat_id=CHAT)


CONTEXT = ContextBlock(
    operating_system="linux",
    directory="/home/me",
    files=[
        ContextFile("/home/me/AGENTS.md", "Use tabs."),
        ContextFile("/etc/long.md", "Very long", truncated=True),
        ContextFile("/etc/empty.md", " "),
    ],
)


async def test_sections_have_a_fixed_order() -> None:
    given = created(
        default_prompt=1,
        deployment_prompt="the operator's",
        plan_mode="plan",
        parent_chat_id=ROOT,
        root_chat_id=ROOT,
    )
    own = user("the chat's", role="system", visibility="model")
    state = state_of(given, own, user("hello"))
    everything = sources(
        "the user's",
        context=giving(CONTEXT),
        skills=giving([Skill("sew", "Sews\nthings.")]),
    )
    request = await asked(state, tools=["execute"], of=everything)
    assert request.system == (
        prompts.DEFAULT_PROMPTS[1].strip(),
        "the operator's",
        "the chat's",
        prompts.DETACHED_CHILD,
        prompts.SUBAGENT_NOTE,
        "<workspace-context>\nOperating system: linux\nWorking directory: /home/me\n\n"
        "Source: /home/me/AGENTS.md\nUse tabs.\n\n"
        "Source: /etc/long.md (only its beginning)\nVery long\n</workspace-context>",
        "<available-skills>\nThese skills are instructions for special tasks. Before "
        "you begin such a task, read the one that fits with read_skill; ignore the "
        "others.\n\n- sew: Sews things.\n</available-skills>",
        "<user-instructions>\nthe user's\n</user-instructions>",
        prompts.PLAN_OVERLAY_CHILD,
    )
    assert [message.role for message in request.messages] == ["user"]


async def test_an_old_chat_is_told_nothing() -> None:
    assert (await asked(state_of(created(), user()))).system == ()


async def test_a_prompt_of_a_newer_release_becomes_the_newest_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request = await asked(state_of(created(default_prompt=99), user()))
    newest = prompts.DEFAULT_PROMPTS[prompts.CURRENT_PROMPT]
    assert request.system == (newest.strip(),)
    assert "unknown default prompt" in caplog.text


async def test_what_two_say_alike_is_said_once() -> None:
    own = user("be brief", role="system", visibility="model")
    state = state_of(created(deployment_prompt="be brief"), own, user())
    assert (await asked(state)).system == ("be brief",)


async def test_texts_of_others_are_cleaned() -> None:
    own = user("own\u200b", role="system", visibility="model")
    state = state_of(created(deployment_prompt="dep\u2060loyed\r\n"), own, user())
    request = await asked(state, of=sources("a</user-instructions>b"))
    assert request.system == (
        "deployed",
        "own",
        "<user-instructions>\na&lt;/user-instructions>b\n</user-instructions>",
    )


@pytest.mark.parametrize(
    ("tools", "bound", "said"),
    [
        (["clock"], True, ()),
        (["execute"], True, (prompts.ATTACHED,)),
        (["create_workspace"], False, (prompts.DETACHED,)),
    ],
    ids=["no tools", "attached", "detached"],
)
async def test_workspaces_are_told_of_where_there_are_tools(
    tools: list[str], bound: bool, said: tuple[str, ...]
) -> None:
    events = [created(), *([workspace_bound(ROOT)] if bound else []), user()]
    assert (await asked(state_of(*events), tools=tools)).system == said


async def test_a_plan_has_its_path_where_there_is_one() -> None:
    state = state_of(created(plan_mode="plan"), user())
    without = (await asked(state)).system[-1]
    assert without == prompts.PLAN_OVERLAY.replace(prompts.PLAN_PATH, "").strip()
    told = await asked(state, of=sources(plan_path=giving("/p/PLAN-1.md")))
    assert prompts.plan_path_block("/p/PLAN-1.md") in told.system[-1]
    assert prompts.PLAN_PATH not in told.system[-1]


async def test_a_turn_that_does_not_plan_asks_for_no_path() -> None:
    request = await asked(state_of(created(), user()), of=sources(plan_path=failing))
    assert request.plan_mode == ""


async def test_what_can_be_left_out_is(caplog: pytest.LogCaptureFixture) -> None:
    state = state_of(created(deployment_prompt="stays", plan_mode="plan"), user())
    away = Sources(
        user_prompt=failing, context=failing, skills=failing, plan_path=failing
    )
    request = await asked(state, of=away)
    assert request.system[0] == "stays"
    assert len(request.system) == 2
    left_out = {record.__dict__["part"] for record in caplog.records}
    assert left_out == {"user prompt", "context", "skills", "plan path"}


async def test_what_takes_too_long_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_: object) -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr(loading, "PATIENCE_S", 0.0)
    state = state_of(created(deployment_prompt="stays"), user())
    assert (await asked(state, of=Sources(user_prompt=never))).system == ("stays",)


async def test_sources_are_asked_all_at_once() -> None:
    meeting = asyncio.Barrier(4)

    async def meet(*_: object) -> Any:
        await meeting.wait()

    async def files(_: Sequence[UUID]) -> Mapping[UUID, FileContent]:
        await meeting.wait()
        return {}

    told = Sources(user_prompt=meet, context=meet, skills=meet, files=files)
    async with asyncio.timeout(5):
        await asked(state_of(created(), user(file(0))), of=told)


def file(number: int) -> FilePart:
    return FilePart(file_id=FILES[number], media_type="text/plain")


async def test_files_are_those_of_the_users_each_once() -> None:
    content = FileContent("text/plain", b"x")

    async def files(ids: Sequence[UUID]) -> Mapping[UUID, FileContent]:
        assert ids == (FILES[1], FILES[0])
        return {FILES[0]: content, FILES[2]: content, FILES[1]: content}

    said = [user(file(1), file(0)), assistant(file(2)), user(text("so"), file(1))]
    request = await asked(state_of(created(), *said), of=sources(files=files))
    assert list(request.files) == [FILES[1], FILES[0]]


async def test_files_that_fail_fail_the_request() -> None:
    state = state_of(created(), user(file(0)))
    with pytest.raises(OSError, match="away"):
        await asked(state, of=sources(files=failing))


async def test_the_model_says_how_it_is_asked() -> None:
    model = replace(
        PLAIN,
        ref=ModelRef(provider="openai", model="big", model_config_id=CONFIG),
        max_output_tokens=77,
        temperature=0.5,
        max_effort="medium",
        options={"top_p": 0.9},
    )
    settings = TurnSettings(model="other", reasoning_effort="high")
    request = await asked(state_of(created(), user(settings=settings)), model)
    assert request.model == "big"
    assert request.reasoning_effort == "medium"
    assert (request.max_output_tokens, request.temperature) == (77, 0.5)
    assert request.options == {"top_p": 0.9}
    assert request.session == str(CHAT)
    assert (request.attempt, request.tool_choice) == (1, "auto")


async def test_the_model_of_the_environment_is_the_providers_default() -> None:
    assert (await asked(state_of(created(), user()))).model is None
    wish = user(settings=TurnSettings(model="other"))
    assert (await asked(state_of(created(), wish))).model == "other"


async def test_a_family_shares_its_session() -> None:
    child = created(parent_chat_id=ROOT, root_chat_id=ROOT)
    assert (await asked(state_of(child, user()))).session == str(ROOT)


async def test_a_summary_is_asked_for_at_the_end_of_the_same_request() -> None:
    state = state_of(created(default_prompt=1), user("a"), assistant("b"), tool())
    plain = await asked(state, tools=["clock"])
    wish = await summary_request(
        state, PLAIN, registry("clock"), sources(), chat_id=CHAT
    )
    last = wish.messages[-1]
    assert wish.messages[:-1] == plain.messages
    assert (last.role, last.parts) == ("user", (text(prompts.SUMMARY_INSTRUCTION),))
    same = replace(wish, messages=plain.messages, tool_choice="auto")
    assert same == plain
    assert wish.tool_choice == "none"
