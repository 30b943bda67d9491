"""Models that also tell what pydantic-ai leaves out: names of files, hints to caches.

And that spare a long history the SDK of OpenAI, which compares each of its fields with
the types that it could have: half a millisecond a message, for a copy that is the same.
What is overridden here is pinned by the minor version of the library, and by tests of
the requests that go out. A model object serves one request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, cast

from anthropic.types.beta import BetaContentBlockParam, BetaMessageParam
from openai.types import responses
from openai.types.chat import (
    ChatCompletionContentPartParam,
    ChatCompletionMessageParam,
)
from pydantic_ai.messages import (
    BinaryContent,
    CachePoint,
    ModelMessage,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.models.openai import (
    OpenAIChatModel,
    OpenAIChatModelSettings,
    OpenAIResponsesModel,
    OpenAIResponsesModelSettings,
)
from pydantic_ai.settings import ModelSettings

FILE_NAME = "parley_file_name"
"""Where a file's name is kept until it goes out."""

CACHED_MESSAGES = 2
"""The last one, and the one before it: where the prompt before this one ended."""


class ChatModel(OpenAIChatModel):
    """Chat completions."""

    _sent: list[ChatCompletionMessageParam]

    async def _map_messages(
        self,
        messages: Sequence[ModelMessage],
        model_request_parameters: ModelRequestParameters,
        *,
        model_settings: ModelSettings | None = None,
    ) -> list[ChatCompletionMessageParam]:
        self._sent = await super()._map_messages(
            messages, model_request_parameters, model_settings=model_settings
        )
        return []

    def _thinking_false_extra_body(
        self,
        model_settings: OpenAIChatModelSettings,
        model_request_parameters: ModelRequestParameters,
    ) -> object | None:
        given = super()._thinking_false_extra_body(
            model_settings, model_request_parameters
        )
        return {**_object(given), "messages": self._sent}

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

    async def _prepare_responses_create(
        self,
        messages: list[ModelMessage],
        model_settings: OpenAIResponsesModelSettings,
        model_request_parameters: ModelRequestParameters,
    ) -> tuple[Any, OpenAIResponsesModelSettings]:
        params, settings = await super()._prepare_responses_create(
            messages, model_settings, model_request_parameters
        )
        body = {**_object(settings.get("extra_body")), "input": params["input"]}
        return {**params, "input": []}, {**settings, "extra_body": body}

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


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _name_of(item: object) -> str | None:
    if not isinstance(item, BinaryContent):
        return None
    name = (item.vendor_metadata or {}).get(FILE_NAME)
    return name if isinstance(name, str) and name else None
