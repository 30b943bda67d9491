"""Schemathesis holds a running service to its own OpenAPI document.

Every operation, with requests that the document allows and with such that it does not:
the statuses, media types, headers and bodies must be those it tells of, and nothing may
be a fault of ours. Streams are cut short, and their frames are held to `itemSchema`.

One check is left out: whether everything that the schema allows is accepted. JSON
Schema cannot say that lines are in order, or that an id is one of something that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
)

from service.api.routes import openapi_document
from service.client.shapes import Chat
from service.testing.parley import Parley, StartParley

schema = schemathesis.openapi.from_dict(
    openapi_document(), config=SchemathesisConfig.from_dict({})
)
Check = Callable[..., bool | None]

# the service runs in a thread of this process, and its jitter draws from `random`
# while hypothesis draws a case: not what this warning is about
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module"
    ":hypothesis.errors.HypothesisDeprecationWarning"
)

STREAM_S = 0.05
"""A stream lives for so long; it says everything that is there first."""

bounded = settings(
    max_examples=4,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
drill = settings(bounded, max_examples=100, derandomize=False)


@pytest.fixture(scope="module")
def service(start_parley: StartParley) -> Iterator[Parley]:
    with start_parley(stream_lifetime_s=STREAM_S, rate_limit_per_minute=0) as parley:
        yield parley


@pytest.fixture(scope="module")
def chat(service: Parley) -> Chat:
    """A chat with a finished turn and one that failed."""

    async def talk() -> Chat:
        chat = await service.create("hello")
        await service.turn_finished(chat)
        await service.send(chat, "fail")
        await service.turn_finished(chat)
        return chat

    return asyncio.run(talk())


def hold(case: Case, service: Parley, chat: Chat) -> None:
    """To the document: the case, and once more with a chat that there is."""

    def ask(*left_out: Check) -> None:
        case.call_and_validate(
            base_url=service.url,
            headers={"Authorization": f"Bearer {service.token}"},
            excluded_checks=left_out,
        )

    ask(positive_data_acceptance)
    if "chat_id" in (case.path_parameters or {}):
        case.path_parameters["chat_id"] = chat["id"]
        # what was wrong with the case may have been its chat
        ask(positive_data_acceptance, negative_data_rejection)


@schema.parametrize()
@bounded
def test_the_service_is_as_it_says(case: Case, service: Parley, chat: Chat) -> None:
    hold(case, service, chat)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@schema.parametrize()
@drill
def test_the_service_is_as_it_says_for_long(
    case: Case, service: Parley, chat: Chat
) -> None:
    hold(case, service, chat)
