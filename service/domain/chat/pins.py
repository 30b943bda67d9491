"""Sort keys of pins: there is always room for one more between any two.

A key is a fraction in digits that stand in the order of their bytes. None ends with the
lowest digit, so there is always one before it.
"""

from __future__ import annotations

DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MIDDLE = DIGITS[len(DIGITS) // 2]


def key_between(before: str | None, after: str | None) -> str:
    """A key above `before` and below `after`; None: at the beginning, at the end.

    Both are keys that were made here. Two requests at once may have made the same one,
    and there is no room between equal keys: what is not above `before` does not count
    as `after`. A caller that wants the place behind a tie gives the next higher key.

    A pin at the end makes the key longer about every thirtieth time; one between two
    others about every sixth.
    """
    low = before or ""
    if after is None or after <= low:
        return _above(low)
    return _between(low, after)


def _above(key: str) -> str:
    for place, digit in enumerate(key):
        if digit != DIGITS[-1]:
            return key[:place] + DIGITS[DIGITS.index(digit) + 1]
    return key + MIDDLE


def _between(low: str, high: str) -> str:
    """What they begin with together, then the middle of what is left."""
    same = 0
    while low[same : same + 1].ljust(1, DIGITS[0]) == high[same]:
        same += 1
    if same:
        return high[:same] + _between(low[same:], high[same:])
    first, last = DIGITS.index((low or DIGITS)[0]), DIGITS.index(high[0])
    if last - first > 1:
        return DIGITS[(first + last) // 2]
    if len(high) > 1:
        return high[0]
    return DIGITS[first] + _above(low[1:])
