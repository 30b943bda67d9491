"""A worker with a model at each of two vendors, for tests of what they are asked.

Run as a program, in a process that knows nothing else, it tells the vendors once more
all that a chat ever asked them: dsn, role prefix, chat, the addresses of both.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from uuid import UUID

from service.agent.prompt import model_request, summary_request
from service.agent.sources import ContextBlock, ContextFile, Skill, Sources
from service.db.guard import Guard
from service.db.pool import Database, Pool
from service.domain.chat.evolve import evolve
from service.domain.chat.state import ChatState
from service.domain.events.chat import GenerationAttemptStarted, ModelRef
from service.eventstore import codec, store
from service.eventstore.records import StreamName
from service.providers.models import Model
from service.providers.provider import FileContent, Provider
from service.providers.vendor.model import open_vendor
from service.tools.clock import clock
from service.tools.registry import Registry
from tests.fixtures.model_servers import ModelServer
from tests.fixtures.wires import MODELS, Wire, vendor_model
from tests.integration.agent.crew import Switchboard, now

FIRST, SECOND = UUID(int=1), UUID(int=2)
"""Their configs: a chat begins with the first."""

CONTEXT_LIMIT = 1000
"""Tokens; what an answer says that its prompt took decides about summaries."""

PICTURE = UUID(int=3)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


async def user_prompt(_: UUID) -> str:
    return "Answer in short sentences."


async def workspace(_: UUID, __: ChatState) -> ContextBlock:
    told = ContextFile("AGENTS.md", "Run the tests before you are done.")
    return ContextBlock(operating_system="Linux", directory="/srv", files=(told,))


async def skills(_: UUID, __: ChatState) -> Sequence[Skill]:
    return (Skill("deploy", "How a release is made."), Skill("bake", "Of bread."))


async def files(wanted: Sequence[UUID]) -> Mapping[UUID, FileContent]:
    return {one: FileContent("image/png", PIXEL, "dot.png") for one in wanted}


async def plan_path(_: UUID, __: ChatState) -> str:
    return "/srv/plan.md"


SOURCES = Sources(
    user_prompt=user_prompt,
    context=workspace,
    skills=skills,
    files=files,
    plan_path=plan_path,
)


def registry() -> Registry:
    return Registry([clock(now)], now=now)


@asynccontextmanager
async def two_vendors(first: str, second: str) -> AsyncIterator[Switchboard]:
    """OpenAI's responses at the one address, Anthropic's messages at the other."""
    one = vendor_model("responses", first, ModelServer.key)
    other = vendor_model("anthropic", second, ModelServer.key)
    async with open_vendor(one) as openai, open_vendor(other) as anthropic:
        models = {
            FIRST: _model(openai, "responses", FIRST),
            SECOND: _model(anthropic, "anthropic", SECOND),
        }
        yield Switchboard(models[FIRST], models)


def _model(provider: Provider, wire: Wire, config: UUID) -> Model:
    return Model(
        provider,
        ModelRef(provider=provider.name, model=MODELS[wire], model_config_id=config),
        context_limit=CONTEXT_LIMIT,
        default_effort="low",
        options={"reasoning_summary": "auto", "web_search": True},
        names_chats=False,
    )


async def ask_again(database: Database, chat_id: UUID, models: Switchboard) -> None:
    """Fold the chat event by event; where the log has a call of a model, make it."""
    tools, state = registry(), ChatState()
    stream = StreamName("chat", chat_id)
    async with (
        Pool(database, guard=Guard("raise"), size=1) as pool,
        pool.connection() as connection,
    ):
        recorded = await store.read_stream(connection, stream, 0, 100_000)
    for event in map(codec.decode, recorded):
        if isinstance(event, GenerationAttemptStarted) and event.asked is not None:
            config = event.asked.model_config_id
            model = await models.resolve(
                owner_id=chat_id, model_config_id=config, purpose="turn"
            )
            make = summary_request if event.kind == "compaction" else model_request
            request = await make(state, model, tools, SOURCES, chat_id=chat_id)
            async with aclosing(model.provider.stream(request)) as deltas:
                async for _ in deltas:
                    pass
        state = evolve(state, event)


async def _main(dsn: str, role_prefix: str, chat: str, first: str, second: str) -> None:
    database = Database(dsn, role_prefix=role_prefix)
    async with two_vendors(first, second) as models:
        await ask_again(database, UUID(chat), models)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
