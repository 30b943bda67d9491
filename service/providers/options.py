"""What only some vendors know of: the options of a model's config, by name.

Whoever writes them is refused what nobody knows; whoever reads stored ones goes
without those that do not fit, for an older or newer release may have written them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic import field_validator as validator

from service.errors import FieldError, Rejection

logger = logging.getLogger(__name__)

OURS = frozenset(
    {"model", "messages", "input", "instructions", "system", "tools", "stream"}
)
"""Fields of a request that `extra_body` must not replace: they are what is asked."""

MIN_THINKING = 1_024
"""Anthropic refuses less."""

MAX_TOP_K = 1_000_000
"""More than any vocabulary has tokens."""

Penalty = Annotated[float, Field(ge=-2, le=2)]


class Options(BaseModel):
    """What a config may say; what it leaves out is as the vendor has it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    api: Literal["chat", "responses"] | None = None
    """Which of OpenAI's two; its own address has responses, others chat."""
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: int | None = Field(default=None, ge=1, le=MAX_TOP_K)
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    parallel_tool_calls: bool | None = None
    service_tier: (
        Literal["auto", "default", "flex", "priority", "standard_only"] | None
    ) = None
    verbosity: Literal["low", "medium", "high"] | None = None
    reasoning_summary: Literal["auto", "concise", "detailed"] | None = None
    store: bool | None = None
    """Whether the vendor may keep what was said."""
    thinking_budget_tokens: int | None = Field(default=None, ge=MIN_THINKING)
    web_search: bool | None = None
    """The vendor's own."""
    extra_body: dict[str, JsonValue] | None = None
    """Goes into the request as it is."""

    @validator("extra_body")
    @classmethod
    def _leaves_ours_alone(
        cls, value: dict[str, JsonValue] | None
    ) -> dict[str, JsonValue] | None:
        if taken := sorted(OURS & set(value or ())):
            raise ValueError(f"{taken[0]!r} is not for options to set")
        return value


class OptionsRefused(Rejection):
    """Options that do not fit; `errors` names each, the text the first."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        first = errors[0]
        super().__init__("invalid-request", f"{first.field}: {first.detail}", errors)

    def __str__(self) -> str:
        return self.detail


def parse_options(raw: object) -> dict[str, JsonValue]:
    """The options as they are stored; null unsets one. Raises OptionsRefused."""
    try:
        return _plain(Options.model_validate(raw))
    except ValidationError as error:
        raise OptionsRefused([_told(p) for p in _problems(error)]) from error


def read_options(raw: Mapping[str, JsonValue], *, model: str) -> dict[str, JsonValue]:
    """Stored options, without those that do not fit; `model` is for the warning."""
    try:
        return _plain(Options.model_validate(raw))
    except ValidationError as error:
        bad = {str(problem["loc"][0]) for problem in _problems(error)}
    logger.warning(
        "stored options of a model are ignored",
        extra={"model": model, "options": ",".join(sorted(bad))},
    )
    fits = {name: value for name, value in raw.items() if name not in bad}
    return _plain(Options.model_validate(fits))


def _plain(options: Options) -> dict[str, JsonValue]:
    return options.model_dump(exclude_none=True)


def _problems(error: ValidationError) -> list[Any]:
    return error.errors(include_input=False, include_url=False)


def _told(problem: Any) -> FieldError:
    """Which option is wrong, as a dotted path below `options`, and why."""
    path = ".".join(["options", *map(str, problem["loc"])])
    if problem["type"] == "extra_forbidden":
        known = ", ".join(Options.model_fields)
        return FieldError(path, f"no such option; known are {known}")
    return FieldError(path, str(problem["msg"]).removeprefix("Value error, "))
