"""Log records as lines."""

from __future__ import annotations

import logging
from io import StringIO

import pytest

from service import wire
from service.log import LogFormat, correlation_id, log_context, set_up


@pytest.fixture
def restored() -> object:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield None
    root.handlers[:], root.level = before


def written(format_: LogFormat) -> str:
    out = StringIO()
    set_up(level="info", format_=format_, stream=out)
    logger = logging.getLogger("service.test")
    with log_context(correlation_id="r1"), log_context(chat_id="c1"):
        logger.info("a thing happened", extra={"events": 2, "why": "two words"})
        logger.debug("not this")
    return out.getvalue()


@pytest.mark.usefixtures("restored")
def test_text_is_one_line_with_values() -> None:
    line = written("text").strip()
    at, rest = line.split(" ", 1)
    assert at.endswith("Z")
    assert rest == (
        "info    service.test: a thing happened correlation_id=r1 chat_id=c1 "
        "events=2 why='two words'"
    )


@pytest.mark.usefixtures("restored")
def test_json_is_one_object_a_line() -> None:
    record = wire.loads(written("json"))
    del record["at"]
    assert record == {
        "level": "info",
        "logger": "service.test",
        "message": "a thing happened",
        "correlation_id": "r1",
        "chat_id": "c1",
        "events": 2,
        "why": "two words",
    }


@pytest.mark.usefixtures("restored")
def test_a_message_cannot_begin_a_line_of_its_own() -> None:
    out = StringIO()
    set_up(level="info", format_="text", stream=out)
    logging.getLogger("x").info("ok", extra={"name_": "a\nforged line"})
    logging.getLogger("x").info("refused: %s\n", "no socket\n\tforged line")
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].endswith(r"x: refused: no socket\n\tforged line")


@pytest.mark.usefixtures("restored")
def test_nothing_in_a_line_moves_the_cursor_of_a_terminal() -> None:
    out = StringIO()
    set_up(level="info", format_="text", stream=out)
    logging.getLogger("x").info("\x1b[31mred", extra={"why": "\x1b[2J"})
    assert out.getvalue().endswith("x: \\x1b[31mred why='\\x1b[2J'\n")


def test_context_ends_with_its_block() -> None:
    assert correlation_id() is None
    with log_context(correlation_id="r1"):
        assert correlation_id() == "r1"
    assert correlation_id() is None
