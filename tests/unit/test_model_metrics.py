"""What is counted of models: names, buckets, and labels that stay few."""

from __future__ import annotations

import pytest

from service.metrics import MOST_MODELS, Metrics

PAIR = 'model="m",provider="p"'


def shown(metrics: Metrics) -> list[str]:
    return metrics.render().decode().splitlines()


def bounds(metrics: Metrics, name: str) -> list[float]:
    """The upper bounds of a histogram's buckets."""
    (family,) = [f for f in metrics.registry.collect() if f.name == name]
    bounds = [
        float(sample.labels["le"])
        for sample in family.samples
        if sample.name == f"{name}_bucket"
    ]
    assert bounds.pop() == float("inf")
    return bounds


def test_a_call_has_a_length_and_a_size() -> None:
    metrics = Metrics()
    metrics.models.called("p", "m", messages=3, prompt_bytes=5000)
    assert bounds(metrics, "parley_message_count") == [2.0**n for n in range(11)]
    assert bounds(metrics, "parley_prompt_size_bytes") == [
        1024.0 * 4**n for n in range(10)
    ]
    assert f"parley_message_count_sum{{{PAIR}}} 3.0" in shown(metrics)
    assert f"parley_prompt_size_bytes_sum{{{PAIR}}} 5000.0" in shown(metrics)


def test_the_first_part_comes_after_a_time() -> None:
    metrics = Metrics()
    metrics.models.first_part("p", "m", 0.3)
    assert bounds(metrics, "parley_ttft_seconds") == [
        0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]  # fmt: skip
    assert f"parley_ttft_seconds_sum{{{PAIR}}} 0.3" in shown(metrics)


def test_steps_retries_and_compactions_are_counted() -> None:
    metrics = Metrics()
    metrics.models.step("p", "m")
    metrics.models.retry("p", "m", "overloaded")
    metrics.models.compaction("p", "m", "timeout")
    assert {
        f"parley_steps_total{{{PAIR}}} 1.0",
        f'parley_stream_retries_total{{kind="overloaded",{PAIR}}} 1.0',
        f'parley_compaction_total{{{PAIR},result="timeout"}} 1.0',
    } <= set(shown(metrics))


@pytest.mark.parametrize("is_error", [False, True], ids=["well", "error"])
@pytest.mark.parametrize("truncated", [False, True], ids=["whole", "cut"])
def test_results_of_tools_have_a_size(is_error: bool, truncated: bool) -> None:
    metrics = Metrics()
    metrics.models.tool_result(
        "p", "m", tool="clock", bytes=100, is_error=is_error, truncated=truncated
    )
    labels = f'{{{PAIR},tool_name="clock"}}'
    assert bounds(metrics, "parley_tool_result_size_bytes") == [
        64.0 * 4**n for n in range(9)
    ]
    lines = set(shown(metrics))
    assert f"parley_tool_result_size_bytes_sum{labels} 100.0" in lines
    assert (f"parley_tool_errors_total{labels} 1.0" in lines) is is_error
    assert (f"parley_tool_result_truncated_total{labels} 1.0" in lines) is truncated


def test_models_without_end_share_a_label() -> None:
    metrics = Metrics()
    for number in range(MOST_MODELS + 50):
        metrics.models.step("p", f"m{number}")
    metrics.models.step("p", "m0")
    lines = shown(metrics)
    steps = [line for line in lines if line.startswith("parley_steps_total{")]
    assert len(steps) == MOST_MODELS + 1
    assert 'parley_steps_total{model="other",provider="other"} 50.0' in steps
    assert 'parley_steps_total{model="m0",provider="p"} 2.0' in steps
