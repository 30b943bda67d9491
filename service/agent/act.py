"""Do one action of a turn and commit it.

A model call, a batch of tools or a summary is an attempt: its start is an event and
opens its episode before anything is asked, live parts show it meanwhile, and one commit
closes it. Killed at any line, the next worker starts another attempt; only what a
commit closed is part of the chat. Tools may so run twice.
"""

from __future__ import annotations

from typing import assert_never

from service.agent.batch import run_tools
from service.agent.chosen import Chosen
from service.agent.compaction import compact
from service.agent.generate import generate
from service.agent.hold import Hold
from service.agent.interruption import end_interruption
from service.agent.means import Means
from service.agent.next_action import (
    Action,
    AskClient,
    AwaitClient,
    Compact,
    EndInterruption,
    EndTurn,
    Generate,
    GiveUp,
    Nothing,
    RunTools,
)
from service.domain.chat.state import ChatState
from service.domain.commands.chat import (
    CancelToolCalls,
    FinishError,
    FinishTurn,
    RequireAction,
)


async def act(
    action: Action,
    state: ChatState,
    *,
    hold: Hold,
    means: Means,
    chosen: Chosen | None = None,
) -> None:
    """Do it and commit it. Raises what `Hold` does, Disturbed too.

    What an action waits for has come, and its models are chosen: see `runner`.
    """
    match action:
        case Generate() if chosen is not None:
            await generate(state, hold, means, chosen=chosen)
        case Compact(source) if chosen is not None:
            await compact(source, state, hold, means, chosen=chosen)
        case Generate() | Compact():
            raise RuntimeError(f"no model was chosen for {action!r}")
        case RunTools(calls):
            await run_tools(calls, state, hold, means, chosen=chosen)
        case AskClient():
            fence = hold.fence(state.epoch)
            deadline = fence["now"] + means.client_time
            await hold.commit(RequireAction(**fence, deadline=deadline))
        case AwaitClient():
            await hold.commit(CancelToolCalls(**hold.fence(state.epoch)))
        case EndTurn(reason):
            await hold.commit(FinishTurn(**hold.fence(state.epoch), reason=reason))
        case GiveUp(error):
            await hold.commit(FinishError(**hold.fence(state.epoch), error=error))
        case EndInterruption():
            await end_interruption(state, hold, means)
        case Nothing():
            pass
        case _:
            assert_never(action)
