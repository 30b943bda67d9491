"""The words of chats."""

from __future__ import annotations

from projections.search import LONGEST, SEARCH
from tests import builders as b
from tests.unit.projections.log import Log, entries, rows


def test_title_and_visible_messages_have_words() -> None:
    hidden = b.user("be brief", role="system", visibility="model")
    batch = entries(b.CHAT, b.created(title="tea"), hidden, b.user("one", "two"))
    (words, _) = rows(SEARCH, batch)
    assert [(row["id"], row["version"], row["words"]) for row in words] == [
        (0, 1, "tea"),
        (3, 3, "one\ntwo"),
    ]


def test_newest_title_counts() -> None:
    batch = entries(b.CHAT, *b.a_chat(), b.title_changed("tea"), b.title_changed("x"))
    (words, _) = rows(SEARCH, batch)
    assert [row["words"] for row in words if row["id"] == 0] == ["x"]


def test_tools_and_thoughts_are_not_searched() -> None:
    (words, _) = rows(SEARCH, entries(b.CHAT, b.assistant(b.call()), b.tool()))
    assert words == []


def test_only_so_much_of_a_message_counts() -> None:
    (words, _) = rows(SEARCH, entries(b.CHAT, b.user("x" * (LONGEST + 1))))
    assert len(words[0]["words"]) == LONGEST


def test_edit_takes_words_back() -> None:
    log = Log()
    log.append(b.CHAT, *b.an_idle_chat())
    (_, gone) = rows(SEARCH, log.append(b.CHAT, b.truncated(2), b.user("again")))
    assert gone == [{"chat_id": b.CHAT, "from_id": 2, "version": 8}]


def test_a_summary_is_found_by_nobody() -> None:
    """It repeats what was said, for the model; people see it as a tool's result."""
    (words, _) = rows(SEARCH, entries(b.CHAT, *b.a_compacted_chat()))
    assert [row["id"] for row in words] == [0, 2, 5]
