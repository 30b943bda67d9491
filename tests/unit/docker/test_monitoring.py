"""Alert rules and dashboard speak of metrics that there are."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from prometheus_client.core import CollectorRegistry

from service.metrics import PARTS, Metrics

DOCKER = Path(__file__).parents[3] / "docker"
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
}
OF_PROMETHEUS = {"up"}
OF_MODELS = {
    "parley_message_count", "parley_prompt_size_bytes", "parley_ttft_seconds",
    "parley_tool_result_size_bytes", "parley_tool_result_truncated",
    "parley_tool_errors", "parley_steps", "parley_stream_retries",
    "parley_compaction",
}  # fmt: skip
NAME = re.compile(r"\b(?:parley_[a-z_]+|up)\b")


def samples() -> set[str]:
    """Every name that a scrape can have."""
    names = {
        f"{sign.name(part)}{suffix}"
        for part, signs in PARTS.items()
        for sign in signs
        for suffix in SUFFIXES[sign.kind]
    }
    registry: CollectorRegistry = Metrics().registry
    for family in registry.collect():
        names |= {family.name + suffix for suffix in SUFFIXES.get(family.type, ())}
    return names


def rules() -> list[dict[str, Any]]:
    text = (DOCKER / "alerts.rules.yaml").read_text()
    (group,) = yaml.safe_load(text)["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(
        (DOCKER / "grafana-dashboard.json").read_text()
    )
    return found


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [
        target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]
    ]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_metrics_that_exist(expression: str) -> None:
    named = set(NAME.findall(expression))
    assert named
    assert named <= samples() | OF_PROMETHEUS
    for opening, closing in ("()", "[]", "{}"):
        assert expression.count(opening) == expression.count(closing)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_is_wrong_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"[0-9]+[smh]", rule["for"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith(".")


def test_alerts_and_panels_are_there_once() -> None:
    names = [rule["alert"] for rule in rules()]
    panels = dashboard()["panels"]
    for all_of in (names, *([p[key] for p in panels] for key in ("id", "title"))):
        assert len(set(all_of)) == len(all_of)
    for one, other in combinations([p["gridPos"] for p in panels], 2):
        assert (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )


def test_the_dashboard_shows_every_sign_of_a_part() -> None:
    shown = set(NAME.findall(" ".join(expressions())))
    hidden = {
        sign.name(part)
        for part, signs in PARTS.items()
        for sign in signs
        if not any(f"{sign.name(part)}{s}" in shown for s in SUFFIXES[sign.kind])
    }
    # what is left is half of a rate that others tell
    assert hidden == {
        "parley_appender_batches", "parley_projector_batches",
        "parley_projector_reconnects",
    }  # fmt: skip


def test_the_dashboard_shows_all_that_is_counted_of_models() -> None:
    shown = set(NAME.findall(" ".join(expressions())))
    families = [f for f in Metrics().registry.collect() if f.name in OF_MODELS]
    assert {family.name for family in families} == OF_MODELS
    for family in families:
        assert any(f"{family.name}{s}" in shown for s in SUFFIXES[family.type])
