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


def _default(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value == int(value):
        return str(int(value))
    return str(value)
