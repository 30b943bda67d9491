"""The API and the worker's eyes of the other tests."""

from __future__ import annotations

from tests.integration.agent.conftest import watch as watch
from tests.integration.api.conftest import api as api
