"""Models that also tell what pydantic-ai leaves out: names of files, hints to caches.

What is overridden here is pinned by the minor version of the library, and by tests of
the requests that go out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, cast

from anthropic.types.beta import BetaContentBlockParam, BetaMessageParam
from openai.types import responses
from openai.types.chat import ChatCompletionContentPartParam
from pydantic_ai.messages import (
    BinaryContent,
    CachePoint,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel

FILE_NAME = "parley_file_name"
"""Where a file's name is kept until it goes out."""

CACHED_MESSAGES = 2
"""The last one, and the one before it: where the prompt before this one ended."""


class ChatModel(OpenAIChatModel):
    """Chat completions."""

    async def _map_user_prompt_content_item(
        self, item: UserContent, content: list[ChatCompletionContentPartParam]
    ) -> None:
        await super()._map_user_prompt_content_item(item, content)
        if name := _name_of(item):
            part = cast(dict[str, Any], content[-1])
            if part["type"] == "file":
                part["file"]["filename"] = name


class ResponsesModel(OpenAIResponsesModel):
    """Responses."""

    async def _map_user_prompt(
        self, part: UserPromptPart
    ) -> responses.EasyInputMessageParam:
        message = await super()._map_user_prompt(part)
        content = message["content"]
        if isinstance(content, list) and not isinstance(part.content, str):
            # one for one, in their order
            for item, made in zip(part.content, content, strict=True):
                if (name := _name_of(item)) and made["type"] == "input_file":
                    made["filename"] = name
        return message


class MessagesModel(AnthropicModel):
    """Anthropic's messages."""

    async def _map_user_prompt(
        self, part: UserPromptPart, *, include_citations: bool = False
    ) -> AsyncGenerator[BetaContentBlockParam | CachePoint]:
        items = [] if isinstance(part.content, str) else part.content
        names = iter([item for item in items if isinstance(item, BinaryContent)])
        made = super()._map_user_prompt(part, include_citations=include_citations)
        async for block in made:
            if isinstance(block, dict) and block["type"] in ("document", "image"):
                name = _name_of(next(names, None))
                if name and block["type"] == "document":
                    cast(dict[str, Any], block)["title"] = name
            yield block

    def _apply_explicit_message_caching(
        self,
        model_settings: AnthropicModelSettings,
        anthropic_messages: list[BetaMessageParam],
        request_scoped_texts: tuple[str, ...] = (),
    ) -> None:
        if model_settings.get("anthropic_cache_messages"):
            for message in anthropic_messages[-CACHED_MESSAGES:]:
                self._add_message_cache_control(message, "5m")


def _name_of(item: object) -> str | None:
    if not isinstance(item, BinaryContent):
        return None
    name = (item.vendor_metadata or {}).get(FILE_NAME)
    return name if isinstance(name, str) and name else None
