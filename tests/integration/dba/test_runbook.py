"""Every statement of sql/README.md's runbook, as it stands there, with psql alone."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

from service.db.guard import Guard
from tests.fixtures.byhand import ChatByHand
from tests.integration.dba.conftest import Site, stack_on
from tests.integration.stream.test_follow import a_whole_turn

README = Path(__file__).parents[3] / "sql" / "README.md"

RUNBOOK = README.read_text().partition("## Runbook")[2]

STATEMENTS = [
    statement.strip()
    for block in re.findall(r"```sql\n(.*?)```", RUNBOOK, re.DOTALL)
    for statement in block.split(";\n")
    if statement.strip()
]

SHELL = "\n".join(re.findall(r"```sh\n(.*?)```", RUNBOOK, re.DOTALL))


async def a_chat(home: Site, guard: Guard) -> UUID:
    async with stack_on(home, guard) as stack:
        chat = await ChatByHand.create(stack, "How long does green tea take?")
        await a_whole_turn(chat)
    await home.project()
    return chat.id


async def test_every_statement_runs_as_the_role_dba(home: Site, guard: Guard) -> None:
    chat = await a_chat(home, guard)
    answers = {}
    # purging comes last: the others look at the chat
    for statement in sorted(STATEMENTS, key=lambda text: "purge_stream(" in text):
        # braces are psql's here, not ours
        text = statement.replace("<chat>", str(chat))
        answers[statement] = await home.ask("{}", text)
    assert len(STATEMENTS) > 20
    quiet = {text for text, answer in answers.items() if not answer}
    assert {text.split(" ORDER")[0].split(" WHERE")[0] for text in quiet} == {
        "SELECT * FROM es.who_is_behind()",
        "SELECT * FROM ops.stuck_chats",
        "SELECT * FROM ops.lease_overview",
        "SELECT * FROM ops.parked_streams",
        "SELECT * FROM es.verify('chat', '<chat>')",
        "SELECT * FROM es.verify_positions(1, 100000)",
        "SELECT pid, mode, query FROM pg_locks JOIN pg_stat_activity USING (pid)",
        "SELECT stream_id, max(recorded_at) AS last_at FROM es.events",
    }


def test_backup_and_restore_are_those_of_the_drill() -> None:
    """tests/integration/dba/test_restore.py runs these programs with these options."""
    source = Path(__file__).with_name("test_restore.py").read_text()
    for program, options in (
        ("pg_dumpall", ["--roles-only", "--no-role-passwords"]),
        ("pg_dump", ["--format=custom", "--no-unlogged-table-data"]),
        ("pg_restore", ["--exit-on-error", "--single-transaction"]),
        ("psql", ["--quiet"]),
    ):
        (line,) = [
            found
            for found in SHELL.splitlines()
            if found.startswith(f"{program} ") and options[0] in found
        ]
        for option in options:
            assert option in line
            assert f'"{option}"' in source


async def test_a_lease_is_broken_as_the_page_says(home: Site, guard: Guard) -> None:
    chat = await a_chat(home, guard)
    insert = "INSERT INTO ops.leases VALUES ('{}', 'w', 1)"
    await home.rows(insert.format(chat))
    found = re.search(r'-c "(SET ROLE parley_service; DELETE .*)"', SHELL)
    assert found is not None
    await home.run("psql", f"--command={found[1].replace('<chat>', str(chat))}")
    assert await home.rows("SELECT * FROM ops.leases") == []
