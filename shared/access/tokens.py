"""Bearer tokens: the default one in a file of its own, and named ones with a scope, of which only hashes are kept.

A token is 256 random bits, so one SHA-256 of it is as good as any slow hash: there is nothing to guess. `tokens.json`
(0600, replaced whole, written under a lock) holds name, scope, hash and times; a token itself is shown once, when it is
made. Both files are read again when they change. They differ when they cannot be read: the default token stays what it
was (a disk that is full must not lock its owner out), named tokens count no more (a revoked one must not live on).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec
from msgspec import Struct

from shared.access.private_files import RecordFile, Stamp, draft_of, stamp_of
from shared.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from shared.foreign_file import SMALL, read_foreign
from shared.paths import Paths

Scope = Literal["read", "chat", "answer", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""From least to most; each may do all that the one before it may."""

POWERFUL = frozenset({"permissionMode", "mcpConfig", "addDirs", "appendSystemPrompt", "resume"})
"""Arguments that decide what Claude may do without asking, or open what others have said: for administrators, whatever the
call needs otherwise."""

PLAN = "plan"
"""The one permission mode that only takes from what Claude may do, where nobody has chosen another one before."""

DEFAULT_NAME = "default"
PREFIX = "pl_"
"""What a named token starts with, so that scanners for leaked secrets can be told."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FORMAT = 1


def allows(have: Scope, needed: Scope) -> bool:
    """Whether a token of one scope may do what needs the other."""
    return SCOPES.index(have) >= SCOPES.index(needed)


def require(have: Scope, needed: Scope, what: str, cure: str) -> None:
    """Refuse what needs more than this scope. `what` begins the sentence, `cure` is the command that helps. Raise Forbidden."""
    if not allows(have, needed):
        raise Forbidden(
            f"{what} `{have}`. `{cure}{' NAME' if cure.endswith(' add') else ''} --scope {needed}` makes one.",
            code="insufficient_scope",
            data={"needed": needed, "scope": have},
        )


def powerful(given: Mapping[str, Any], *, changing: bool = False) -> bool:
    """Whether these arguments are for administrators. Null and an empty list ask for nothing where a session is made, but
    take off what an administrator has put on where one is changed."""
    return any(name in POWERFUL and (changing or value not in (None, [])) for name, value in given.items())


def check(name: str, scope: Scope, noun: str) -> None:
    """Refuse a name or a scope that cannot be. Raise InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"A {noun}'s name is 1 to 64 letters, digits, dots, dashes and underscores, such as `phone`.",
            code="invalid_name",
        )
    if scope not in SCOPES:
        raise InvalidRequest(f"A scope is one of {', '.join(SCOPES)}.", code="invalid_scope")


class TokenRecord(Struct, rename="camel", frozen=True, kw_only=True):
    """One named token as it is stored; times in milliseconds since the epoch."""

    name: str
    scope: Scope
    hash: str
    created_at: int
    rotated_at: int | None = None


@dataclass(frozen=True)
class Identity:
    """Whose token (or whose browser) it was, and what it may do; `proof` tells this token from a later one of the same name.
    `person`: for whom it asks, proven; then `granted` is what the token itself may do, which is not less than `scope`."""

    name: str
    scope: Scope
    proof: str = field(default="", compare=False, repr=False)
    kind: Literal["token", "device"] = "token"
    person: str = ""
    granted: Scope | None = None

    @property
    def actor(self) -> str:
        """Who acts, for the record."""
        return f"{self.kind}:{self.name}{f' for {self.person}' if self.person else ''}"


class _File(Struct, rename="camel", forbid_unknown_fields=True):
    version: int = _FORMAT
    tokens: list[TokenRecord] = []


class TokenFile:
    """The default token, made when there is none, read again when the file changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._value = b""

    def ensure(self) -> None:
        """Make the token (0600, complete or not at all); the first of two racing processes wins."""
        if self._read():
            return
        # There, but empty: a disk that was full once.
        self._write(secrets.token_urlsafe(32), replace=self._path.exists())
        if not self._read():
            raise Unavailable(f"{self._path} cannot be read: remove it and start again.", code="token_unreadable")

    def rotate(self) -> str:
        """Replace the token and return the new one; the old one counts no more."""
        secret = secrets.token_urlsafe(32)
        self._write(secret, replace=True)
        return secret

    def matches(self, candidate: str) -> bool:
        """Whether this is the token, in constant time."""
        self._read()
        return bool(self._value) and hmac.compare_digest(self._value, candidate.encode("utf-8", "replace"))

    def proof(self) -> str:
        """The hash of the token as it is now."""
        self._read()
        return hashlib.sha256(self._value).hexdigest()

    def _write(self, secret: str, *, replace: bool) -> None:
        try:
            with draft_of(self._path, f"{secret}\n".encode()) as draft:
                if replace:
                    os.replace(draft, self._path)
                else:
                    with contextlib.suppress(FileExistsError):
                        os.link(draft, self._path)
        except OSError as error:
            raise Unavailable(
                f"The token cannot be written to {self._path}: {error.strerror}.", code="token_unwritable"
            ) from error

    def _read(self) -> bool:
        """Take over the file as it is now; what was read last stays valid while it is away."""
        try:
            stamp = stamp_of(self._path)
            if self._stamp != stamp:
                self._value = read_foreign(self._path, SMALL, follow=True).strip()
                self._stamp = stamp
        except OSError:
            pass
        return bool(self._value)


class NamedTokens:
    """`tokens.json`. Reading is cheap and safe from every thread; writing is for one process at a time."""

    def __init__(self, path: Path) -> None:
        self._file: RecordFile[TokenRecord] = RecordFile(path, _File, "tokens", "token", lambda record: record.hash)

    def identify(self, candidate: str) -> Identity | None:
        """Whose token this is. It is looked up by its hash, so timing tells nothing about the tokens that exist."""
        record = self._file.find(_hash(candidate))
        return Identity(record.name, record.scope, record.hash) if record else None

    def counts(self, identity: Identity) -> bool:
        """Whether this very token still counts, with the scope that it had."""
        record = self._file.find(identity.proof)
        return record is not None and (record.name, record.scope) == (identity.name, identity.granted or identity.scope)

    def knows(self, proof: str) -> bool:
        """Whether there is a token with this hash."""
        return self._file.find(proof) is not None

    def records(self) -> list[TokenRecord]:
        """All of them, by name. Raise Unavailable when the file is damaged."""
        return sorted(self._file.records(), key=lambda record: record.name)

    def add(self, name: str, scope: Scope) -> str:
        """Make a token and return it: nobody will ever see it again. Raise Conflict when the name is taken."""
        check(name, scope, "token")
        if name == DEFAULT_NAME:
            raise Conflict(f"`{DEFAULT_NAME}` is the token that `pilotlight token` prints.", code="token_exists")
        secret = _new_secret()

        def change(tokens: list[TokenRecord]) -> list[TokenRecord]:
            if any(record.name == name for record in tokens):
                raise Conflict(
                    f"There is a token {name!r} already: rotate it, or choose another name.", code="token_exists"
                )
            return [*tokens, TokenRecord(name=name, scope=scope, hash=_hash(secret), created_at=_now())]

        self._file.change(change)
        return secret

    def rotate(self, name: str) -> str:
        """Replace a token and return the new one; the old one counts no more. Raise NotFound."""
        secret = _new_secret()

        def change(tokens: list[TokenRecord]) -> list[TokenRecord]:
            _require(tokens, name)
            fresh = {"hash": _hash(secret), "rotated_at": _now()}
            return [msgspec.structs.replace(old, **fresh) if old.name == name else old for old in tokens]

        self._file.change(change)
        return secret

    def revoke(self, name: str) -> None:
        """Forget a token: it counts no more. Raise NotFound."""

        def change(tokens: list[TokenRecord]) -> list[TokenRecord]:
            _require(tokens, name)
            return [record for record in tokens if record.name != name]

        self._file.change(change)


class Keyring:
    """Everybody who may come in."""

    def __init__(self, paths: Paths) -> None:
        self.default = TokenFile(paths.token_file)
        self.named = NamedTokens(paths.tokens_file)

    def ensure(self) -> None:
        """Make the default token if there is none."""
        self.default.ensure()

    def identify(self, candidate: str) -> Identity | None:
        """Whose token this is, or None."""
        if self.default.matches(candidate):
            return Identity(DEFAULT_NAME, "admin", _hash(candidate))
        return self.named.identify(candidate)

    def counts(self, identity: Identity) -> bool:
        """Whether the token that somebody came in with still counts: it may have been revoked or rotated since."""
        if identity.name == DEFAULT_NAME:
            return hmac.compare_digest(self.default.proof(), identity.proof)
        return self.named.counts(identity)

    def knows(self, identity: Identity) -> bool:
        """Whether this very token exists, whatever its scope."""
        if identity.name == DEFAULT_NAME:
            return self.counts(identity)
        return self.named.knows(identity.proof)


def _require(tokens: list[TokenRecord], name: str) -> None:
    if all(record.name != name for record in tokens):
        raise NotFound(f"There is no token {name!r}. `pilotlight tokens list` shows them.", code="token_not_found")


def _new_secret() -> str:
    return PREFIX + secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _now() -> int:
    return int(time.time() * 1000)
