"""Secrets of channels: a value of the configuration, or `file:` and a file that only its owner can read.

What must not regress: a file that others can read is refused, with the command that mends it; no error repeats the content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from shared.access.private_files import draft_of
from shared.foreign_file import open_foreign
from supervisor.notifications.channels.contract import Barred

MAX_BYTES = 64 * 1024
_FILE = "file:"


def reveal(value: str) -> str:
    """The secret itself. Raise Barred when its file cannot be used."""
    if not value.startswith(_FILE):
        return value
    return read_private(Path(value[len(_FILE) :])).decode("utf-8", "replace").strip()


def read_private(path: Path) -> bytes:
    """The content of a file that is its owner's alone. Raise Barred."""
    path = path.expanduser()
    try:
        with open_foreign(path, follow=True) as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise Barred(f"{path} can be read by others: chmod 600 {path}")
            return file.read(MAX_BYTES)
    except OSError as error:
        raise Barred(f"{path} cannot be read: {error.strerror}.") from None


def signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """A P-256 key in a private PEM file, such as Apple's .p8. Raise Barred."""
    try:
        key = load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError):
        raise Barred(f"{path} holds no private key (PEM).") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Barred(f"{path} holds no P-256 key.")
    return key


def own_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The key of this installation, made when there is none yet. Raise Barred."""
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        try:
            with draft_of(path, pem) as draft:
                os.link(draft, path)
        except FileExistsError:
            pass
        except OSError as error:
            raise Barred(f"{path} cannot be written: {error.strerror}.") from None
    return signing_key(path)
