"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from service.settings import Settings, variable_of

ROOT = Path(__file__).parents[2]


def test_readme_documents_each_setting_with_its_default() -> None:
    readme = (ROOT / "README.md").read_text()
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| ([^|]*) \|", readme, re.M))
    expected = {
        variable_of(name): _default(field.default)
        for name, field in Settings.model_fields.items()
    }
    assert {name: text.strip("` ") for name, text in documented.items()} == expected


def test_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "scripts/run" in readme
    assert "scripts/test" in readme


def test_decisions_are_numbered_in_order() -> None:
    numbers = re.findall(r"^## (\d+)\. ", (ROOT / "DECISIONS.md").read_text(), re.M)
    assert [int(number) for number in numbers] == list(range(1, len(numbers) + 1))


def test_changelog_has_one_unreleased_section_and_no_entry_twice() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## (.*)$", changelog, re.M).count("Unreleased") == 1
    entries = re.findall(r"^- (.*)$", changelog, re.M)
    assert len(set(entries)) == len(entries)


def _default(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)
