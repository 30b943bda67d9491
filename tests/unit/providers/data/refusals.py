"""Answers of vendors and gateways that are errors: all of them.

Codes and types are those that the vendors document; the sentences are ours, but for the
words that vendors always use. Each says what it has to come to.
"""

from __future__ import annotations

from tests.unit.providers.data.of_others import GATEWAYS, HOSTILE
from tests.unit.providers.data.of_vendors import ANTHROPIC, OPENAI, STREAMED
from tests.unit.providers.data.refusal import Refusal

REFUSALS: list[Refusal] = [*OPENAI, *ANTHROPIC, *STREAMED, *GATEWAYS, *HOSTILE]
