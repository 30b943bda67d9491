"""One call of the model: asked, shown while it comes, committed as one step."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from service.agent import attempt, failure
from service.agent.assemble import Assembly
from service.agent.attempt import Attempt
from service.agent.call import Answer
from service.agent.chosen import Chosen
from service.agent.hold import Hold
from service.agent.means import Means
from service.agent.preparation import ask_for
from service.agent.prompt import model_request
from service.domain.chat.state import ChatState
from service.domain.commands.chat import CommitStep, DraftMessage, FinishTurn
from service.domain.events.chat import ChatError
from service.domain.parts import Part, ReasoningPart, SourcePart
from service.errors import BadEvent
from service.providers.provider import ProviderError

logger = logging.getLogger(__name__)

UNSTORABLE = ChatError(message="the model's answer cannot be stored")

FILTERED = "the vendor's content filter kept the answer back; say it another way"


async def generate(
    state: ChatState, hold: Hold, means: Means, *, chosen: Chosen
) -> None:
    """Ask the model once, and commit what came of it."""
    ref = chosen.model.ref
    opened = await attempt.start(state, hold, means, kind="model", asked=chosen.asked)
    answer = Answer(Assembly(hold.now))
    try:
        made = model_request(
            state, chosen.model, means.tools, means.sources, chat_id=hold.chat_id
        )
        asked = ask_for(
            made, chosen.model, answer, hold=hold, means=means, show=opened.show
        )
        await hold.unless_disturbed(asked, epoch=opened.epoch)
        await _commit_answer(answer, opened, chosen, hold=hold, means=means)
    except ProviderError as error:
        spent = answer.lost(chosen.asked, chosen.model)
        said = await failure.retry_later(
            error, opened, ref, hold=hold, means=means, spent=spent
        )
        if said is not None:
            await failure.fail(said, opened, hold, spent=spent)
    except BadEvent:
        logger.exception("an answer cannot be stored")
        spent = answer.lost(chosen.asked, chosen.model)
        await failure.fail(UNSTORABLE, opened, hold, spent=spent)
    hold.say_through(None)


async def _commit_answer(
    answer: Answer, opened: Attempt, chosen: Chosen, *, hold: Hold, means: Means
) -> None:
    ref, parts = chosen.model.ref, answer.assembly.parts()
    if answer.assembly.finish_reason == "content_filter" and not _says(parts):
        raise ProviderError(kind="content_filter", message=FILTERED)
    fence = hold.fence(opened.epoch)
    means.metrics.step(ref.provider, ref.model)
    if not parts:
        # a model that says nothing has nothing more to say
        spent = answer.lost(chosen.asked, chosen.model)
        await hold.commit(FinishTurn(**fence, spent=spent))
        return
    await hold.commit(
        CommitStep(
            **fence,
            attempt=opened.number,
            kind="model",
            messages=(DraftMessage(role="assistant", parts=parts),),
            asked=chosen.asked,
            **answer.spent(chosen.model),
        )
    )


def _says(parts: Sequence[Part]) -> bool:
    """Whether there is anything but thoughts, and what they rest on."""
    return any(not isinstance(part, ReasoningPart | SourcePart) for part in parts)
