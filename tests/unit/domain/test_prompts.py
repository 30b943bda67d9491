"""Our own prompts: versions stay, and each says what it is for."""

from __future__ import annotations

from service.domain import prompts
from service.domain.prompt_text import sanitised
from tests.fixtures.golden import Golden


def test_a_prompt_of_a_release_stays_as_it_is(golden: Golden) -> None:
    for number, text in prompts.DEFAULT_PROMPTS.items():
        golden(f"prompts/default.{number}.txt", text)


def test_new_chats_are_told_a_prompt_that_exists() -> None:
    assert max(prompts.DEFAULT_PROMPTS) == prompts.CURRENT_PROMPT
    assert prompts.NO_PROMPT not in prompts.DEFAULT_PROMPTS


def test_our_own_texts_are_clean() -> None:
    ours = [
        *(text.strip() for text in prompts.DEFAULT_PROMPTS.values()),
        prompts.SUMMARY_INSTRUCTION,
        prompts.SUMMARY_PREFIX,
        prompts.SUBAGENT_NOTE,
        prompts.PLAN_OVERLAY,
        prompts.PLAN_OVERLAY_CHILD,
        prompts.EXPLORE_OVERLAY,
        prompts.ATTACHED,
        prompts.DETACHED,
        prompts.DETACHED_CHILD,
    ]
    assert [sanitised(text) for text in ours] == ours
    assert len(set(ours)) == len(ours)


def test_exploring_wins_over_planning_and_planning_over_nothing() -> None:
    said = {
        (exploring, planning, child): prompts.overlay(
            exploring=exploring, planning=planning, child=child
        )
        for exploring in (True, False)
        for planning in (True, False)
        for child in (True, False)
    }
    assert {text for key, text in said.items() if key[0]} == {prompts.EXPLORE_OVERLAY}
    assert said[False, True, False] == prompts.PLAN_OVERLAY
    assert said[False, True, True] == prompts.PLAN_OVERLAY_CHILD
    assert said[False, False, False] == said[False, False, True] == ""


def test_workspaces_are_told_of_in_three_ways() -> None:
    assert prompts.awareness(attached=True, child=False) == prompts.ATTACHED
    assert prompts.awareness(attached=True, child=True) == prompts.ATTACHED
    assert prompts.awareness(attached=False, child=False) == prompts.DETACHED
    assert prompts.awareness(attached=False, child=True) == prompts.DETACHED_CHILD
