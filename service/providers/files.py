"""Files of a user's message, in the form in which a vendor takes them.

What a vendor does not take is never left out in silence: the model is told what was
there. Text goes as text; one image above a vendor's limit fails the request for good,
for nothing that is sent later could repair it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from service.domain.parts import FilePart
from service.providers.provider import FileContent, ProviderError
from service.providers.texts import clean, fenced

IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
"""What every vendor shows to its models; of other images they refuse the request."""

PDF = "application/pdf"

AUDIO: Mapping[str, str] = {
    "audio/wav": "audio/wav",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/mpeg": "audio/mpeg",
    "audio/mp3": "audio/mpeg",
}
"""By the one name that goes out."""

TEXTS = frozenset({"text/plain", "text/markdown", "text/csv", "application/json"})
"""Inlined where a vendor does not take them as files."""

PASTE_NAME = re.compile(r"pasted-text-\d{4}(-\d{2}){5}\.txt")
PASTE_TYPES = TEXTS | {
    "application/xml",
    "application/javascript",
    "application/x-yaml",
}
PASTE_BYTES = 131_072
"""Of a pasted text that a model reads: half of a small context."""


@dataclass(frozen=True, slots=True)
class Accepts:
    """What a vendor takes in a user's message."""

    vendor: str
    """As people call it."""
    images: bool = True
    pdf: bool = True
    audio: bool = False
    text_files: bool = False
    """`text/*` as a document of its own."""
    image_bytes: int | None = None
    """Of one image; None: no limit is known."""


ANTHROPIC = Accepts("Anthropic", text_files=True, image_bytes=5 * 1024 * 1024)
RESPONSES = Accepts("OpenAI")
CHAT = Accepts("OpenAI", audio=True)
COMPATIBLE = Accepts("The OpenAI-compatible server", audio=True)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes out as it is."""

    media_type: str
    data: bytes
    name: str


Item = str | Attachment


def item_of(
    part: FilePart, *, files: Mapping[UUID, FileContent], accepts: Accepts
) -> Item | None:
    """The file, text in its place, or None for a file of nothing.

    Raises ProviderError when it is an image above the vendor's limit.
    """
    content = files.get(part.file_id)
    if content is None:
        named = _named(part.name, part.media_type)
        return f"[{named} was attached here and is no longer available.]"
    if not content.data:
        return None
    name = clean(content.name or part.name or "")
    media_type = content.media_type.partition(";")[0].strip().lower()
    if PASTE_NAME.fullmatch(name) and _is_text(media_type, PASTE_TYPES):
        return _paste(name, content.data)
    if taken := _taken(media_type, accepts):
        _check_size(content, taken, accepts)
        return Attachment(taken, content.data, name or _default_name(taken))
    named = _named(name, media_type)
    if _is_text(media_type, TEXTS):
        return f"{named}:\n{fenced(_decoded(content.data))}"
    return f"[{named} was attached here; this model cannot read files of its type.]"


def _taken(media_type: str, accepts: Accepts) -> str | None:
    """The type under which the vendor takes the file, if it does."""
    if media_type in IMAGES:
        return media_type if accepts.images else None
    if media_type == PDF:
        return media_type if accepts.pdf else None
    if media_type in AUDIO:
        return AUDIO[media_type] if accepts.audio else None
    if accepts.text_files and media_type.startswith("text/"):
        return "text/plain"
    return None


def _check_size(content: FileContent, media_type: str, accepts: Accepts) -> None:
    limit = accepts.image_bytes
    if limit is None or media_type not in IMAGES or len(content.data) <= limit:
        return
    raise ProviderError(
        "config",
        f"an attached image is too large for {accepts.vendor}, which takes "
        f"{limit / 1024 / 1024:g} MiB at most",
    )


def _paste(name: str, data: bytes) -> str:
    """Text that a client made a file of because it was long."""
    text = _decoded(data[:PASTE_BYTES])
    if len(data) > PASTE_BYTES:
        # a character that was cut through says nothing
        text = text.rstrip("\ufffd") + "\n[The rest of this text was left out.]"
    return f"The user pasted this text ({name}):\n{text}"


def _decoded(data: bytes) -> str:
    return clean(data.decode("utf-8", "replace"))


def _is_text(media_type: str, types: frozenset[str]) -> bool:
    return media_type in types or (
        types is PASTE_TYPES and media_type.startswith("text/")
    )


def _named(name: str | None, media_type: str) -> str:
    said = clean(name or "").strip()
    return f"Attachment {said} ({media_type})" if said else f"Attachment ({media_type})"


def _default_name(media_type: str) -> str:
    return f"file.{media_type.rpartition('/')[2]}"
