"""What can be done to a chat's turn: interrupt it, answer its calls, put it right."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service.api.body import read_body, read_optional_body
from service.api.context import context_of
from service.api.perform import (
    actor,
    chat_response,
    no_content,
    perform_on,
    target_of,
    turn_may_begin,
)
from service.api.schemas import InterruptBody, NothingBody, ToolResultsBody
from service.domain.commands.chat import (
    Interrupt,
    Reconcile,
    RequestCompaction,
    SubmitToolResults,
)


async def interrupt_chat(request: Request) -> Response:
    """200 and the chat, which is interrupting; a worker keeps what had been said."""
    target = await target_of(request, "chat.interrupt")
    body = await read_optional_body(request, InterruptBody)
    command = Interrupt(now=context_of(request).now(), actor=actor(target.subject))
    handled = await perform_on(request, target, command, body, where="/interrupt")
    return await chat_response(request, target.chat_id, handled)


async def submit_tool_results(request: Request) -> Response:
    """204: every call that waited has its result, and the turn goes on."""
    target = await target_of(request, "chat.tool_results")
    body = await read_body(request, ToolResultsBody)
    command = SubmitToolResults(
        now=context_of(request).now(),
        actor=actor(target.subject),
        results=tuple(given.result() for given in body.results),
    )
    handled = await perform_on(request, target, command, body, where="/tool-results")
    return no_content(target.chat_id, handled)


async def compact_chat(request: Request) -> Response:
    """200 and the chat, which runs: a model sums up what was said so far."""
    target = await target_of(request, "chat.compact")
    body = await read_optional_body(request, NothingBody)
    command = RequestCompaction(
        now=context_of(request).now(), actor=actor(target.subject)
    )
    await turn_may_begin(request, target)
    handled = await perform_on(request, target, command, body, where="/compact")
    return await chat_response(request, target.chat_id, handled)


async def reconcile_chat(request: Request) -> Response:
    """200 and the chat: it was in no legal state, and is in error, to go on from."""
    target = await target_of(request, "chat.reconcile")
    body = await read_optional_body(request, NothingBody)
    command = Reconcile(now=context_of(request).now(), actor=actor(target.subject))
    where = "/reconcile-invalid"
    handled = await perform_on(request, target, command, body, where=where)
    return await chat_response(request, target.chat_id, handled)
