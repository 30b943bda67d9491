"""Files of users' messages: as they are, as text, or as a note; never in silence."""

from __future__ import annotations

from uuid import UUID

import pytest

from service.domain.parts import FilePart, TextPart
from service.providers.files import (
    ANTHROPIC,
    CHAT,
    COMPATIBLE,
    PASTE_BYTES,
    RESPONSES,
    Accepts,
    Attachment,
    Item,
    item_of,
)
from service.providers.prompt import prompt_of
from service.providers.provider import FileContent, ProviderError
from service.providers.turns import UserTurn
from tests.property.providers.histories import message

ID = UUID(int=1)
MIB = 1024 * 1024


def given(
    media_type: str,
    data: bytes = b"data",
    name: str | None = "a.bin",
    accepts: Accepts = ANTHROPIC,
) -> Item | None:
    part = FilePart(file_id=ID, media_type=media_type, name=name)
    files = {ID: FileContent(media_type, data, name)}
    return item_of(part, files=files, accepts=accepts)


EVERYBODY = [ANTHROPIC, RESPONSES, CHAT, COMPATIBLE]
NAMES = ["anthropic", "responses", "chat", "compatible"]


@pytest.mark.parametrize("accepts", EVERYBODY, ids=NAMES)
@pytest.mark.parametrize(
    "media_type",
    ["image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf"],
)
def test_images_and_documents_go_as_they_are(media_type: str, accepts: Accepts) -> None:
    made = given(media_type, accepts=accepts)
    assert made == Attachment(media_type, b"data", "a.bin")


@pytest.mark.parametrize(
    ("media_type", "sent"),
    [
        ("audio/wav", "audio/wav"),
        ("audio/x-wav", "audio/wav"),
        ("audio/mpeg", "audio/mpeg"),
        ("audio/mp3", "audio/mpeg"),
    ],
)
def test_chats_hear(media_type: str, sent: str) -> None:
    for accepts in (CHAT, COMPATIBLE):
        assert given(media_type, accepts=accepts) == Attachment(sent, b"data", "a.bin")
    assert isinstance(given(media_type, accepts=RESPONSES), str)


@pytest.mark.parametrize("accepts", EVERYBODY, ids=NAMES)
@pytest.mark.parametrize("media_type", ["image/tiff", "video/mp4", "application/zip"])
def test_what_nobody_takes_is_told(media_type: str, accepts: Accepts) -> None:
    assert given(media_type, name="a.x", accepts=accepts) == (
        f"[Attachment a.x ({media_type}) was attached here; this model cannot read "
        "files of its type.]"
    )


@pytest.mark.parametrize(
    "media_type", ["text/plain", "text/markdown", "text/csv", "application/json"]
)
def test_text_is_read_where_it_is_no_file(media_type: str) -> None:
    made = given(media_type, b"a```b", "a.md", RESPONSES)
    assert made == f"Attachment a.md ({media_type}):\n````\na```b\n````"


def test_text_is_a_document_where_a_vendor_takes_it() -> None:
    assert given("text/markdown; charset=utf-8", b"# a", "a.md") == Attachment(
        "text/plain", b"# a", "a.md"
    )
    assert isinstance(given("application/json", b"{}"), str)


def test_text_that_is_none_is_read_as_far_as_it_is() -> None:
    made = given("text/plain", b"a\xff\x00b", None, CHAT)
    assert made == "Attachment (text/plain):\n```\na\ufffd\ufffdb\n```"


def test_a_file_that_is_gone_is_named() -> None:
    part = FilePart(file_id=ID, media_type="image/png", name="cat.png")
    assert item_of(part, files={}, accepts=CHAT) == (
        "[Attachment cat.png (image/png) was attached here and is no longer available.]"
    )
    nameless = FilePart(file_id=ID, media_type="image/png")
    assert item_of(nameless, files={}, accepts=CHAT) == (
        "[Attachment (image/png) was attached here and is no longer available.]"
    )


def test_a_file_of_nothing_is_none() -> None:
    assert given("image/png", b"") is None
    assert given("text/plain", b"") is None


def test_a_file_without_a_name_gets_one() -> None:
    made = given("application/pdf", name=None)
    assert isinstance(made, Attachment)
    assert made.name == "file.pdf"


def test_an_image_above_the_limit_ends_it() -> None:
    assert isinstance(given("image/png", bytes(5 * MIB)), Attachment)
    with pytest.raises(ProviderError) as refused:
        given("image/png", bytes(5 * MIB + 1))
    assert (refused.value.kind, refused.value.retryable) == ("config", False)
    assert "Anthropic" in refused.value.message
    assert "5 MiB" in refused.value.message
    assert isinstance(given("image/png", bytes(6 * MIB), accepts=CHAT), Attachment)
    assert isinstance(given("application/pdf", bytes(6 * MIB)), Attachment)


PASTE = "pasted-text-2026-03-01-12-00-00.txt"


@pytest.mark.parametrize("accepts", EVERYBODY, ids=NAMES)
@pytest.mark.parametrize(
    "media_type", ["text/plain", "text/x-python", "application/xml"]
)
def test_what_was_pasted_is_read_by_everybody(
    media_type: str, accepts: Accepts
) -> None:
    assert given(media_type, b"long", PASTE, accepts) == (
        f"The user pasted this text ({PASTE}):\nlong"
    )


def test_of_what_was_pasted_only_so_much_is_read() -> None:
    data = "é".encode() * PASTE_BYTES
    made = given("text/plain", b"a" + data, PASTE)
    assert isinstance(made, str)
    _, body, note = made.split("\n")
    assert body == "a" + "é" * ((PASTE_BYTES - 1) // 2)
    assert note == "[The rest of this text was left out.]"


def test_a_name_that_is_nearly_one_of_a_paste_is_a_file() -> None:
    made = given("text/plain", b"x", "pasted-text-2026-03-01-12-00.txt", CHAT)
    assert isinstance(made, str)
    assert made.startswith("Attachment ")


def test_files_stand_where_they_were_attached() -> None:
    parts = (
        TextPart(text="this"),
        TextPart(text="one"),
        FilePart(file_id=ID, media_type="image/png", name="a.png"),
        TextPart(text=" "),
        TextPart(text="and?"),
    )
    files = {ID: FileContent("image/png", b"data", "a.png")}
    prompt = prompt_of(
        [message("user", *parts)], identity="me", files=files, accepts=CHAT
    )
    image = Attachment("image/png", b"data", "a.png")
    assert list(prompt.turns) == [UserTurn(said=[("this\n\none", image, "and?")])]


def test_files_of_answers_are_not_told() -> None:
    file = FilePart(file_id=ID, media_type="image/png")
    history = [message("user", TextPart(text="?")), message("assistant", file)]
    prompt = prompt_of(history, identity="me", files={}, accepts=CHAT)
    assert list(prompt.turns) == [UserTurn(said=[("?",)])]
