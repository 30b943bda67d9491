"""parley serve takes the open files that it is allowed to have."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from service.cli import serve
from service.cli.serve import raise_file_limit


@pytest.fixture
def hard() -> Iterator[int]:
    """The limit that cannot be passed; the soft one is put back afterwards."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _soft() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_a_low_soft_limit_is_raised(hard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "FILES", 900)
    resource.setrlimit(resource.RLIMIT_NOFILE, (800, hard))
    raise_file_limit()
    assert _soft() == 900


def test_the_hard_limit_bounds_it(hard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if hard == resource.RLIM_INFINITY:
        pytest.skip("there is no hard limit here")
    monkeypatch.setattr(serve, "FILES", hard + 1)
    resource.setrlimit(resource.RLIMIT_NOFILE, (800, hard))
    raise_file_limit()
    assert _soft() == hard


def test_a_higher_soft_limit_stays(hard: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "FILES", 700)
    resource.setrlimit(resource.RLIMIT_NOFILE, (800, hard))
    raise_file_limit()
    assert _soft() == 800
