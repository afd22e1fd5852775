"""Who may use the bus over TCP: the supervisor's own CURVE key pair, and the public key, name and scope of each client.

Keys are CurveZMQ's: Curve25519, written as 40 characters of Z85 (https://rfc.zeromq.org/spec/32/). A client's secret key is
never stored here. Clients that cannot be read count no more, so that a revoked one does not live on.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from shared.access.private_files import RecordFile, content_of, exclusive, stamp_of, write_json
from shared.access.tokens import Scope, check
from shared.errors import Conflict, InvalidRequest, NotFound, Unavailable
from shared.paths import Paths

_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_FORMAT = 1


@dataclass(frozen=True)
class KeyPair:
    """Both halves of a key, Z85."""

    public: str
    secret: str = field(repr=False)


class BusClientKey(Struct, rename="camel", frozen=True, kw_only=True):
    """One client as it is stored; `created_at` in milliseconds since the epoch."""

    name: str
    scope: Scope
    public_key: str
    created_at: int

    @property
    def actor(self) -> str:
        """Who acts, for the record."""
        return f"key:{self.name}"


class _ServerFile(Struct, rename="camel", forbid_unknown_fields=True):
    public_key: str
    secret_key: str
    version: int = _FORMAT


class _ClientsFile(Struct, rename="camel", forbid_unknown_fields=True):
    version: int = _FORMAT
    clients: list[BusClientKey] = []


class ServerKey:
    """`bus-key.json`: what clients know the supervisor by."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ensure(self, make: Callable[[], KeyPair]) -> KeyPair:
        """The key pair, made when there is none. Raise Unavailable when it cannot be read or written."""
        try:
            with exclusive(self._path):
                if not self._path.exists():
                    made = make()
                    write_json(self._path, _ServerFile(public_key=made.public, secret_key=made.secret))
                stamp_of(self._path)
                kept = msgspec.json.decode(content_of(self._path), type=_ServerFile)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unavailable(
                f"The bus's key in {self._path} cannot be used ({error}): put it right, or remove it for a new one, which "
                "every client must then be told.",
                code="bus_key_unreadable",
            ) from error
        return KeyPair(kept.public_key, kept.secret_key)


class BusClients:
    """`bus-clients.json`. Reading is cheap and safe from every thread; writing is for one process at a time."""

    def __init__(self, path: Path) -> None:
        self._file: RecordFile[BusClientKey] = RecordFile(
            path, _ClientsFile, "clients", "bus key", lambda client: client.public_key
        )

    def identify(self, public_key: str) -> BusClientKey | None:
        """Whose key this is, as the file is now."""
        return self._file.find(public_key)

    def records(self) -> list[BusClientKey]:
        """All of them, by name. Raise Unavailable when the file is damaged."""
        return sorted(self._file.records(), key=lambda client: client.name)

    def add(self, name: str, scope: Scope, public_key: str) -> None:
        """Let the owner of this key in. Raise Conflict when the name or the key is there already."""
        check(name, scope, "key")
        if not _KEY.fullmatch(public_key):
            raise InvalidRequest(
                "A public key is 40 characters of Z85, as zmq_curve_keypair(3) makes it.", code="bad_key"
            )

        def change(clients: list[BusClientKey]) -> list[BusClientKey]:
            for known in clients:
                if name == known.name or public_key == known.public_key:
                    raise Conflict(
                        f"There is a key {known.name!r} already: revoke it first, or choose another.", code="key_exists"
                    )
            made = BusClientKey(name=name, scope=scope, public_key=public_key, created_at=int(time.time() * 1000))
            return [*clients, made]

        self._file.change(change)

    def revoke(self, name: str) -> None:
        """Forget a client: it is cut off. Raise NotFound."""

        def change(clients: list[BusClientKey]) -> list[BusClientKey]:
            left = [client for client in clients if client.name != name]
            if len(left) == len(clients):
                raise NotFound(
                    f"There is no key {name!r}. `pilotlight bus-keys list` shows them.", code="key_not_found"
                )
            return left

        self._file.change(change)


class BusKeyring:
    """Both files of one installation."""

    def __init__(self, paths: Paths) -> None:
        self.server = ServerKey(paths.home / "bus-key.json")
        self.clients = BusClients(paths.home / "bus-clients.json")
