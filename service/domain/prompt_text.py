"""Text that others wrote, made fit to be told to a model.

Instructions can hide in characters that nobody sees, and a text that closes the tag it
stands in could pass for somebody else's. What is clean stays as it is.
"""

from __future__ import annotations

import re

PROMPT_BYTES = 131_072
"""Of one text: some 30,000 tokens, more than anybody reads, less than a context."""

USER_INSTRUCTIONS = "user-instructions"
WORKSPACE_CONTEXT = "workspace-context"
AVAILABLE_SKILLS = "available-skills"
TAGS = (WORKSPACE_CONTEXT, AVAILABLE_SKILLS, USER_INSTRUCTIONS)
"""What texts of others stand in, in the order in which they are told."""

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u180e\u200b\u200d-\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\u2800\ufe00-\ufe0f\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e01ef]"
)
"""Not U+200C: Persian is written with it. Variants of emoji lose their colours only."""

_LINES = re.compile(r"\n{3,}")

# possessive: what stands between `<` and the name is looked at once
_TAG = re.compile(rf"<(?=[\s/]*+(?:{'|'.join(TAGS)}))", re.IGNORECASE)


def sanitised(text: str) -> str:
    """The text without invisible characters, trailing blanks and wide gaps."""
    seen = _INVISIBLE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    lines = "\n".join(line.rstrip() for line in seen.split("\n"))
    return _LINES.sub("\n\n", lines).strip()


def bounded(text: str) -> str:
    """The same, and at most PROMPT_BYTES of it; whole characters."""
    clean = sanitised(text)
    data = clean.encode(errors="replace")
    if len(data) <= PROMPT_BYTES:
        return clean
    return data[:PROMPT_BYTES].decode(errors="ignore").rstrip()


def wrapped(tag: str, text: str) -> str:
    """The text in its tag, which nothing in it closes or opens; blank text is none."""
    clean = _TAG.sub("&lt;", bounded(text))
    return f"<{tag}>\n{clean}\n</{tag}>" if clean else ""
