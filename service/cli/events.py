"""parley events: look into the log, prove it whole, take it along."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.text import Text

from service import wire
from service.cli import export as exports
from service.cli import logs, states, timeline
from service.cli.bars import Bar
from service.cli.options import AsJson, DataDir, print_json, print_line, run
from service.cli.tail import LogTail
from service.errors import SetupError
from service.eventstore.public import public_event
from service.eventstore.records import RecordedEvent

NOT_WHOLE = 1
"""Exit code of a check that found something."""

app = typer.Typer(
    help="The event log: follow, look into, check and export it.",
    no_args_is_help=True,
)

ChatId = Annotated[UUID, typer.Argument(help="A chat.", show_default=False)]
AnyChat = Annotated[
    UUID | None, typer.Argument(help="One chat only.", show_default=False)
]


@app.command()
def tail(
    chat_id: AnyChat = None,
    last: Annotated[
        int, typer.Option("--last", "-n", min=0, help="Events to begin with.")
    ] = 10,
    follow: Annotated[bool, typer.Option(help="Go on with what comes.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print events as they are appended, of the whole log or of one chat.

    A person sees position, time, stream, version, type and content; with --json each
    event is a line, the same as in feeds and exports.
    """
    console = timeline.new_console()

    def show(event: RecordedEvent) -> None:
        if as_json:
            print_json(public_event(event))
        else:
            console.print(timeline.log_line(event))

    async def go() -> None:
        async with logs.open_log(data_dir) as (connection, databases):
            follower = LogTail(chat_id)
            await follower.begin(connection, last)
            await follower.catch_up(connection, show)
            if follow:
                await follower.run(databases, show)

    run(go())


@app.command()
def show(
    chat_id: ChatId,
    after: Annotated[int, typer.Option(min=0, help="Only after this version.")] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print the timeline of a chat: what happened, when, and what came of it.

    Events of one append are under one bar: they are one step, whole or not at all.
    """
    events = run(_whole_stream(chat_id, data_dir))
    shown = events[after:]
    if as_json:
        for event in shown:
            print_json(public_event(event))
        return
    console = timeline.new_console()
    state = states.state_at(chat_id, events, len(events))
    if "title" in state:  # a chat that was not purged
        console.print(Text(f"{state['title']!r}, {state['status']}", "bold"))
    before = events[after - 1].recorded_at if 0 < after <= len(events) else None
    for event in shown:
        console.print(timeline.chat_line(event, before))
        before = event.recorded_at


@app.command()
def diff(
    chat_id: ChatId,
    first: Annotated[int, typer.Argument(min=0, help="A version; 0: nothing.")],
    second: Annotated[
        int | None,
        typer.Argument(min=0, help="Another; else the newest.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Print what differs between two versions of a chat.

    A version in the middle of an append stands for the end of that append.
    """
    events = run(_whole_stream(chat_id, data_dir))
    newest = len(events)
    given = (first, newest if second is None else second)
    if (high := max(given)) > newest:
        raise SetupError(f"the chat is at version {newest}; there is no {high}")
    one, two = (states.border_after(events, version) for version in given)
    found = [
        *states.differences(
            states.state_at(chat_id, events, one), states.state_at(chat_id, events, two)
        )
    ]
    if as_json:
        plain = [difference.plain() for difference in found]
        print_json({"first": one, "second": two, "differences": plain})
        return
    console = timeline.new_console()
    console.print(Text(f"version {one} to version {two}", "bold"))
    for line in timeline.difference_lines(found):
        console.print(line)


@app.command()
def verify(
    chat_id: AnyChat = None,
    first: Annotated[int, typer.Option(min=1, help="First position to check.")] = 1,
    last: Annotated[
        int | None,
        typer.Option(min=1, help="Last one; the end by default.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check digests, versions, positions and append borders; exit code 1: not whole.

    Checks the whole log, a range of positions, or one chat from its first event.
    """

    async def go() -> tuple[int, list[logs.Problem]]:
        async with logs.open_log(data_dir) as (connection, _):
            if chat_id is not None:
                head = await logs.stream_head(connection, chat_id)
                return head.version, await logs.verify_stream(connection, head.stream)
            end = await logs.head_position(connection)
            end = end if last is None else min(last, end)
            problems: list[logs.Problem] = []
            with Bar("verifying", max(end - first + 1, 0)) as bar:
                async for reached, wrong in logs.verify_log(connection, first, end):
                    problems += wrong
                    bar.reach(reached - first + 1)
            return max(end - first + 1, 0), problems

    checked, problems = run(go())
    _tell_problems(checked, problems, as_json=as_json)
    if problems:
        raise typer.Exit(NOT_WHOLE)


def _tell_problems(
    checked: int, problems: list[logs.Problem], *, as_json: bool
) -> None:
    if as_json:
        shown = [
            {
                "position": problem.position,
                "category": problem.stream.category,
                "stream_id": str(problem.stream.stream_id),
                "version": problem.version,
                "problem": problem.problem,
            }
            for problem in problems
        ]
        print_json({"events": checked, "whole": not problems, "problems": shown})
        return
    console = timeline.new_console()
    for problem in problems:
        place = f"{problem.position:>8} {problem.stream} {problem.version:>4} "
        console.print(Text(place).append(problem.problem, "bold red"))
    if problems:
        told = f"{checked} events checked, {len(problems)} problems: not whole"
        console.print(Text(told, "bold red"))
    else:
        console.print(Text(f"{checked} events checked: whole", "bold green"))


@app.command()
def digest(
    at: Annotated[
        int | None,
        typer.Option(min=0, help="A position; the end by default.", show_default=False),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option(help="A digest kept from this position.", show_default=False),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Print a position and the digest over the heads of all streams there.

    Keep the line elsewhere. Later, --at and --expect say whether the log still has
    that history (exit code 1: it has not); `verify` says whether it fits its digests.
    """

    async def go() -> tuple[int, int, str]:
        async with logs.open_log(data_dir) as (connection, _):
            end = await logs.head_position(connection)
            if at is not None and at > end:
                raise SetupError(f"the log ends at position {end}; there is no {at}")
            position = end if at is None else at
            return position, *(await logs.heads_digest(connection, position))

    position, streams, found = run(go())
    same = expect is None or found == expect.strip().lower()
    if as_json:
        told: dict[str, Any] = {
            "position": position,
            "digest": found,
            "streams": streams,
        }
        print_json(told if expect is None else told | {"same": same})
    else:
        print_line(f"{position} {found}")
    if not same:
        sys.stderr.write(f"parley: another digest was expected: {expect}\n")
        raise typer.Exit(NOT_WHOLE)


@app.command()
def export(
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to; else standard output.", show_default=False),
    ] = None,
    after: Annotated[
        int, typer.Option(min=0, help="Only after this position.")
    ] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where the file ends.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Write the log as lines of JSON, up to its end as it is now.

    The last line of a file is the place to go on from: a second run with --resume adds
    what has come since, also after a run that was killed. --json tells the end as JSON.
    """

    async def go(target: exports.Target) -> tuple[int, int]:
        async with logs.open_log(data_dir) as (connection, _):
            position = after
            if target.last_line is not None and file is not None:
                position = await exports.place_in(connection, file, target.last_line)
            target.cut()
            end = await logs.head_position(connection)
            count, start = 0, position
            with Bar("exporting", max(end - start, 0)) as bar:
                async for page in logs.log_after(connection, start):
                    target.out.write(b"".join(map(exports.line_of, page)))
                    count, position = count + len(page), page[-1].position
                    bar.reach(position - start)
                    if position >= end:
                        break
            target.out.flush()
            return count, position

    with ExitStack() as closing:
        target = exports.open_target(file, closing, resume=resume)
        count, position = run(go(target))
    told = f"{count} events exported, up to position {position}"
    if as_json:
        told = wire.dumps({"events": count, "position": position}).decode()
    # standard output may be the export itself
    sys.stderr.write(f"{told}\n")


async def _whole_stream(chat_id: UUID, data_dir: Path | None) -> list[RecordedEvent]:
    async with logs.open_log(data_dir) as (connection, _):
        head = await logs.stream_head(connection, chat_id)
        pages = logs.stream_after(connection, head.stream, 0)
        return [event async for page in pages for event in page]
