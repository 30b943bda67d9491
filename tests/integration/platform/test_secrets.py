"""Secrets at rest: the box, and the key in the data folder."""

from __future__ import annotations

import os
from multiprocessing import get_context
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.errors import SetupError
from service.platform.secrets import (
    KEY_FILE,
    SecretBox,
    SecretUnreadable,
    new_key,
    open_secrets,
)

SECRET = "sk-näive secret"


def test_what_goes_in_comes_out() -> None:
    box = SecretBox([new_key()])
    once, twice = box.encrypt(SECRET), box.encrypt(SECRET)
    assert once != twice
    assert SECRET.encode() not in once
    assert [box.decrypt(once), box.decrypt(twice)] == [SECRET, SECRET]


def test_first_key_encrypts_and_every_key_decrypts() -> None:
    old, new = new_key(), new_key()
    sealed = SecretBox([old]).encrypt(SECRET)
    both = SecretBox([new, old])
    assert both.decrypt(sealed) == SECRET
    assert SecretBox([new]).decrypt(both.encrypt(SECRET)) == SECRET
    turned = both.rotate(sealed)
    assert SecretBox([new]).decrypt(turned) == SECRET
    with pytest.raises(SecretUnreadable):
        SecretBox([old]).decrypt(turned)


@pytest.mark.parametrize("data", [b"", b"nonsense", b"gAAAAA", b"\xff\xfe"])
def test_what_is_damaged_is_unreadable(data: bytes) -> None:
    box = SecretBox([new_key()])
    with pytest.raises(SecretUnreadable, match="PARLEY_SECRET_KEY"):
        box.decrypt(data)
    with pytest.raises(SecretUnreadable):
        box.rotate(data)


@pytest.mark.parametrize("keys", ["", "short", "hunter2,", " , ", "x" * 44])
def test_malformed_keys_are_refused_and_not_shown(keys: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="PARLEY_SECRET_KEY: expected") as caught:
        open_secrets(SecretStr(keys), tmp_path)
    assert not keys.strip(" ,") or keys.strip(" ,") not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_box_says_nothing_of_its_keys() -> None:
    key = new_key()
    assert key not in repr(SecretBox([key]))


def test_keys_of_the_settings_come_first(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    box = open_secrets(SecretStr(f" {new} ,{old},"), tmp_path)
    assert box.decrypt(SecretBox([old]).encrypt(SECRET)) == SECRET
    assert SecretBox([new]).decrypt(box.encrypt(SECRET)) == SECRET
    assert list(tmp_path.iterdir()) == []


def test_key_of_the_folder_is_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    sealed = open_secrets(None, folder).encrypt(SECRET)
    assert [file.name for file in folder.iterdir()] == [KEY_FILE]
    assert (folder / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert open_secrets(None, folder).decrypt(sealed) == SECRET


def test_key_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        open_secrets(None, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    open_secrets(None, tmp_path)
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(SetupError, match="chmod 600"):
        open_secrets(None, tmp_path)


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\xff"])
def test_damaged_key_file_is_named_and_not_replaced(
    tmp_path: Path, content: bytes
) -> None:
    """A new key would make all that is stored unreadable."""
    path = tmp_path / KEY_FILE
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(SetupError, match=KEY_FILE):
        open_secrets(None, tmp_path)
    assert path.read_bytes() == content


def test_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match="cannot use"):
        open_secrets(None, tmp_path / "file")


def _seal(folder: str) -> bytes:
    return open_secrets(None, Path(folder)).encrypt(SECRET)


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    with get_context("spawn").Pool(3) as processes:
        sealed = processes.map(_seal, [str(tmp_path)] * 32, chunksize=1)
    box = open_secrets(None, tmp_path)
    assert [box.decrypt(each) for each in sealed] == [SECRET] * 32
    assert [file.name for file in tmp_path.iterdir()] == [KEY_FILE]
