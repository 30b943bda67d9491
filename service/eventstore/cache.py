"""Folded chats in memory: least recently used out, bounded by an estimate of bytes."""

from __future__ import annotations

from collections import OrderedDict
from uuid import UUID

from service.eventstore.fold import Fold


class ChatCache:
    """At most `budget` bytes of folds; one that is larger alone is not kept."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._folds: OrderedDict[UUID, Fold] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._folds)

    def get(self, chat_id: UUID) -> Fold | None:
        """The fold, which counts as used."""
        fold = self._folds.get(chat_id)
        if fold is not None:
            self._folds.move_to_end(chat_id)
        return fold

    def put(self, chat_id: UUID, fold: Fold) -> None:
        """Keep it instead of what was there, and let go of the least recently used."""
        self.drop(chat_id)
        self._folds[chat_id] = fold
        self.size += fold.size
        while self.size > self._budget:
            _, oldest = self._folds.popitem(last=False)
            self.size -= oldest.size

    def drop(self, chat_id: UUID) -> None:
        """Let go of one chat."""
        fold = self._folds.pop(chat_id, None)
        if fold is not None:
            self.size -= fold.size

    def clear(self) -> None:
        """Let go of everything."""
        self._folds.clear()
        self.size = 0
