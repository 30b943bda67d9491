"""Projections that people add: the README's, as it is written there, and wrong ones."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from projections.messages import MESSAGES
from projections.projection import Projection
from projections.rebuild import rebuild
from projections.registry import PROJECTIONS, find, installed, load
from service.db.pool import connect
from service.errors import SetupError
from tests import builders as b
from tests.integration.projections.test_cli import parley, parley_json
from tests.integration.projections.world import World, projecting

ROOT = Path(__file__).parents[3]
OTHER = UUID(int=2)


def example() -> str:
    """The README's projection, word for word."""
    readme = (ROOT / "README.md").read_text()
    (source,) = re.findall(r"```python\n(# words\.py\n.*?)```", readme, re.S)
    return str(source)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that words.py is in, where Python looks for it."""
    (tmp_path / "words.py").write_text(example())
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("words", None)


@pytest.fixture
def words_installed(words: Path) -> Path:
    """As a distribution that is installed beside Parley."""
    info = words / "words-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: words\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[parley.projections]\nw = words:WORDS\n")
    return words


async def counted(world: World) -> dict[UUID, int]:
    """What readers see."""
    async with await connect(
        world.database, role="service", name="reader"
    ) as connection:
        cursor = await connection.execute("SELECT chat_id, words FROM read.words")
        return {chat_id: int(count) for chat_id, count in await cursor.fetchall()}


async def begin(world: World) -> None:
    await world.append(b.CHAT, b.created(), b.user("one two three"))
    await world.append(OTHER, b.created(), b.user("four"))
    await world.append(b.CHAT, b.user("five six"))


async def test_readme_s_example_as_it_is_written(world: World, words: Path) -> None:
    await begin(world)
    out, _ = await parley(world, "build", "words:WORDS", "--yes", cwd=words)
    assert out == "words v1 is built, and in use\n"
    assert await counted(world) == {b.CHAT: 5, OTHER: 1}
    _, why = await parley(world, "build", "words:WORDS", "--yes", cwd=words, code=1)
    assert "`rebuild` builds another" in why
    await parley(world, "rebuild", "words:WORDS", "--yes", cwd=words)
    out, _ = await parley(world, "diff", "words:WORDS", cwd=words)
    assert out.endswith("no difference\n")
    await parley(world, "swap", "words:WORDS", "--yes", cwd=words)
    assert await counted(world) == {b.CHAT: 5, OTHER: 1}


async def test_installed_projection_is_kept_up(
    world: World, words_installed: Path
) -> None:
    assert [p.name for p in installed()] == [*(p.name for p in PROJECTIONS), "words"]
    own = find("words")
    await begin(world)
    await rebuild(world.database, own)
    async with projecting(world, installed()) as projector:
        await world.append(OTHER, b.user("seven eight nine"))
        projector.wakeup.ring()
        await projector.catches_up()
        assert await counted(world) == {b.CHAT: 5, OTHER: 4}
        await world.rows("SELECT es.purge_stream('chat', %s, 'me', 'asked')", OTHER)
        projector.wakeup.ring()
        await projector.catches_up()
    assert await counted(world) == {b.CHAT: 5}


async def test_its_sql_may_be_a_file(world: World, words: Path, tmp_path: Path) -> None:
    own = load("words:WORDS")
    assert isinstance(own.sql, str)
    (tmp_path / "words.sql").write_text(own.sql)
    await begin(world)
    await rebuild(world.database, replace(own, sql=tmp_path / "words.sql"))
    assert await counted(world) == {b.CHAT: 5, OTHER: 1}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE es.mine (x int);",
        "DELETE FROM es.events;",
        "SELECT * FROM platform.tokens;",
        "CREATE ROLE mine;",
    ],
)
async def test_its_sql_may_do_no_more_than_the_projector(
    world: World, words: Path, statement: str
) -> None:
    own = load("words:WORDS")
    assert isinstance(own.sql, str)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await rebuild(world.database, replace(own, sql=statement + own.sql))
    lag = await parley_json(world, "lag")
    assert "words" not in {row["projection"] for row in lag}


def test_wrong_ones_say_what_is_wrong(words_installed: Path) -> None:
    with pytest.raises(SetupError, match="no Projection but a str"):
        load("words:TABLES")
    with pytest.raises(SetupError, match="cannot load"):
        load("words:NOTHING")
    with pytest.raises(SetupError, match="is no name for SQL"):
        replace(MESSAGES, name='x"; DROP')
    with pytest.raises(SetupError, match="is no name for SQL"):
        replace(MESSAGES, tables={"a__v1": "id"})
    (words_installed / "words.py").write_text(
        example() + '\nNAMESAKE = Projection("chats", 1, frozenset(), {}, project)\n'
    )
    sys.modules.pop("words", None)
    with pytest.raises(SetupError, match="has no `sql`"):
        load("words:NAMESAKE")


def test_one_that_takes_a_name_is_refused(words_installed: Path) -> None:
    source = example().replace('name="words"', 'name="chats"')
    (words_installed / "words.py").write_text(source)
    with pytest.raises(SetupError, match="there is a projection 'chats' already"):
        installed()


async def test_sql_without_a_view_is_refused(world: World) -> None:
    own = Projection("mine", 1, frozenset(), {}, lambda _: [], sql="SELECT 1;")
    with pytest.raises(SetupError, match=r"lacks a line '-- \[view\]'"):
        await rebuild(world.database, own)
