"""Copies of frozen dataclasses with slots, at a third of dataclasses.replace's cost.

A fold makes a copy an event, and dataclasses.replace calls a constructor that assigns
every field by name; here the descriptors of the slots do it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["amend", "replace"]

if TYPE_CHECKING:
    # type checkers know the fields of what these two are given, and their types
    from dataclasses import replace
    from dataclasses import replace as amend
else:
    from functools import cache
    from operator import attrgetter

    @cache
    def _slots(cls):
        """What reads all fields, what writes each, and the same by name."""
        writers = {name: getattr(cls, name).__set__ for name in cls.__slots__}
        return attrgetter(*writers), tuple(writers.values()), writers

    def replace(before, /, **changes):
        """A copy with these changes, as dataclasses.replace; no constructor runs."""
        read, writers, by_name = _slots(type(before))
        copy = object.__new__(type(before))
        for write, value in zip(writers, read(before), strict=True):
            write(copy, value)
        for name, value in changes.items():
            by_name[name](copy, value)
        return copy

    def amend(fresh, /, **changes):
        """The same object with these changes; for a copy that nobody has seen yet."""
        by_name = _slots(type(fresh))[2]
        for name, value in changes.items():
            by_name[name](fresh, value)
        return fresh
