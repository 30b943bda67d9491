"""Secrets at rest: encrypted with keys that the database never sees.

A key comes from the settings, or from a file of the data folder that is made on first
use. Several keys: the first encrypts, all decrypt, so keys can be changed without a
moment in which nothing can be read (`parley provider rotate-keys`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr

from service.errors import Fault, SetupError

KEY_FILE = "secret.key"

_KEY_MODE = 0o600
"""Its owner's alone."""


class SecretUnreadable(Fault):
    """A stored secret was encrypted with another key, or is damaged."""

    def __init__(self) -> None:
        super().__init__(
            "a stored secret cannot be decrypted; bring PARLEY_SECRET_KEY back, or set "
            "the secret anew"
        )


class SecretBox:
    """Encrypts and decrypts; says nothing about its keys when printed."""

    def __init__(
        self, keys: Sequence[str], *, source: str = "PARLEY_SECRET_KEY"
    ) -> None:
        """Keys as Fernet makes them: 32 bytes in URL-safe base64, the newest first.

        Raises SetupError, naming their source, for anything else.
        """
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise SetupError(
                f"{source}: expected one key or several with commas between, each 32 "
                "bytes in URL-safe base64 (`openssl rand -base64 32 | tr -- +/ -_`)"
            ) from error

    def encrypt(self, text: str) -> bytes:
        """With the first key; twice the same text gives two results."""
        return self._fernet.encrypt(text.encode())

    def decrypt(self, data: bytes) -> str:
        """With whichever key fits; SecretUnreadable when none does."""
        try:
            return self._fernet.decrypt(data).decode()
        except (InvalidToken, UnicodeDecodeError) as error:
            raise SecretUnreadable from error

    def rotate(self, data: bytes) -> bytes:
        """The same secret, encrypted with the first key."""
        try:
            return self._fernet.rotate(data)
        except InvalidToken as error:
            raise SecretUnreadable from error


def open_secrets(secret_key: SecretStr | None, data_dir: Path) -> SecretBox:
    """The box of this deployment: keys of the settings, else of the data folder.

    Replicas need the same keys: with a database of your own give all PARLEY_SECRET_KEY.
    """
    if secret_key is not None:
        keys = [key.strip() for key in secret_key.get_secret_value().split(",")]
        return SecretBox([key for key in keys if key])
    path = data_dir / KEY_FILE
    return SecretBox([_key_in(path)], source=str(path))


def new_key() -> str:
    """A random key."""
    return Fernet.generate_key().decode()


def _key_in(path: Path) -> str:
    """The key in the file; made when there is none, whoever comes first."""
    try:
        if not path.exists():
            _make(path)
        if path.stat().st_mode & 0o077:
            raise SetupError(f"others may read {path}; chmod 600 it")
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise SetupError(f"cannot use {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SetupError(f"{path} holds no key") from error


def _make(path: Path) -> None:
    """A whole file or none: linked to its name, which fails when one has it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = path.with_name(f".{KEY_FILE}.{os.getpid()}.{os.urandom(4).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(aside, flags, _KEY_MODE), "w") as file:
        file.write(f"{new_key()}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(aside)
    except FileExistsError:
        # another process was first: its key is the key
        return
    finally:
        aside.unlink()
