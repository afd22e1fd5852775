"""Browsers that were let in: one record a device, and the invitations that make them.

A person types `pilotlight open` and gets a link and a short code, both for one use within five minutes. Whoever redeems one of
them gets a secret in a cookie that no script can read; of it, of links and of codes only hashes are kept, in two files like
`tokens.json` (0600, replaced whole, written under a lock), so that several API processes agree and a restart forgets nothing.
A device counts for 90 days after its last use. What must not regress: an invitation is used once, whoever is first; a code
cannot be guessed (after MOST_MISSES wrong ones every code is gone, links stay); a device that came in with a token goes with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import time
from collections.abc import Callable
from typing import cast

import msgspec
from msgspec import Struct

from shared.access.private_files import RecordFile
from shared.access.tokens import Identity, Keyring, Scope
from shared.errors import NotFound, Unauthorized, Unavailable
from shared.paths import Paths

INVITATION_SECONDS = 300.0
LIFE_DAYS = 90
TOUCH_SECONDS = 3600.0
"""How stale the time of the last use may be: writing a file for every call would be too much."""

MOST_DEVICES = 100
MOST_INVITATIONS = 20
MOST_MISSES = 10
CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_LENGTH = 8
_UNPRINTABLE = re.compile(r"[^\w .,'’()+-]", re.UNICODE)


class DeviceRecord(Struct, rename="camel", frozen=True, kw_only=True):
    """One browser; times in milliseconds since the epoch. `token` is the hash of the token that it came in with, if any."""

    id: str
    name: str
    scope: Scope
    hash: str
    created_at: int
    last_used_at: int
    expires_at: int
    token: str | None = None
    token_name: str | None = None


class InvitationRecord(Struct, rename="camel", frozen=True, kw_only=True):
    """Leave to become a device, by a link or by its code."""

    link: str
    code: str | None
    scope: Scope
    until: int
    name: str | None = None
    misses: int = 0


class Invitation(Struct, rename="camel", frozen=True, kw_only=True):
    """As it is shown, once: the secret of the link, the code as a person types it, and until when."""

    link: str
    code: str
    scope: Scope
    until: int


class _Devices(Struct, rename="camel", forbid_unknown_fields=True):
    version: int = 1
    devices: list[DeviceRecord] = []


class _Invitations(Struct, rename="camel", forbid_unknown_fields=True):
    version: int = 1
    invitations: list[InvitationRecord] = []


class Devices:
    """Both files. Looking is cheap and safe from every thread; changing is for one process at a time."""

    def __init__(self, paths: Paths, keyring: Keyring, clock: Callable[[], float] = time.time) -> None:
        self._keyring = keyring
        self._clock = clock
        self._devices: RecordFile[DeviceRecord] = RecordFile(
            paths.devices_file, _Devices, "devices", "device", lambda record: record.hash
        )
        self._invitations: RecordFile[InvitationRecord] = RecordFile(
            paths.invitations_file, _Invitations, "invitations", "invitation", lambda record: record.link
        )

    # -- coming in -------------------------------------------------------------------------------------------------

    def invite(self, scope: Scope, name: str | None = None) -> Invitation:
        """A link and a code for one device. Raise Unavailable when they cannot be kept."""
        link = secrets.token_urlsafe(24)
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        until = self._now() + int(INVITATION_SECONDS * 1000)
        made = InvitationRecord(link=_hash(link), code=_hash(code), scope=scope, until=until, name=name)
        self._invitations.change(lambda kept: [*self._alive(kept)[-MOST_INVITATIONS + 1 :], made])
        return Invitation(link=link, code=f"{code[:4]}-{code[4:]}", scope=scope, until=until)

    def redeem(self, name: str, *, link: str | None = None, code: str | None = None) -> tuple[DeviceRecord, str]:
        """Become a device; the record and its secret. Raise Unauthorized."""
        hashed = _hash(link) if link is not None else _hash(_plain_code(code or ""))
        found: list[InvitationRecord] = []

        def take(kept: list[InvitationRecord]) -> list[InvitationRecord]:
            alive = self._alive(kept)
            found.extend(item for item in alive if hashed == (item.link if link is not None else item.code))
            if found:
                return [item for item in alive if item not in found]
            return alive if link is not None else [_missed(item) for item in alive]

        self._invitations.change(take)
        if not found:
            raise Unauthorized(
                "That link or code has been used, is wrong, or is older than five minutes. Nothing is wrong: `pilotlight open` "
                "makes another one.",
                code="invalid_invitation",
            )
        return self._add(found[0].name or name, found[0].scope)

    def enter(self, name: str, token: str, scope: Scope | None = None) -> tuple[DeviceRecord, str]:
        """Become a device by a token, with its scope, or with less. Raise Unauthorized."""
        holder = self._keyring.identify(token.strip())
        if holder is None:
            raise Unauthorized("This token is not known. `pilotlight token` prints it.", code="invalid_token")
        return self._add(name, scope or holder.scope, holder)

    def _add(self, name: str, scope: Scope, holder: Identity | None = None) -> tuple[DeviceRecord, str]:
        secret, now = secrets.token_urlsafe(32), self._now()
        record = DeviceRecord(
            id=secrets.token_hex(4),
            name=_UNPRINTABLE.sub("", name).strip()[:64] or "A browser",
            scope=scope,
            hash=_hash(secret),
            created_at=now,
            last_used_at=now,
            expires_at=now + LIFE_DAYS * 86_400_000,
            token=holder.proof if holder else None,
            token_name=holder.name if holder else None,
        )

        def change(kept: list[DeviceRecord]) -> list[DeviceRecord]:
            recent = sorted(kept, key=lambda item: item.last_used_at, reverse=True)[: MOST_DEVICES - 1]
            return [*(item for item in kept if item in recent and item.expires_at > now), record]

        self._devices.change(change)
        return record, secret

    # -- being in --------------------------------------------------------------------------------------------------

    def identify(self, secret: str) -> tuple[Identity, bool] | None:
        """Whose cookie this is, and whether it is time to renew it."""
        record = self._devices.find(_hash(secret))
        if record is None or not self._counts(record):
            return None
        stale = self._now() - record.last_used_at > TOUCH_SECONDS * 1000
        return Identity(record.name, record.scope, record.hash, kind="device"), stale

    def counts(self, identity: Identity) -> bool:
        """Whether this device is still let in, with the scope that it had."""
        record = self._devices.find(identity.proof)
        return record is not None and self._counts(record) and record.scope == identity.scope

    def still_valid(self, identity: Identity) -> bool:
        """Whether whoever came in, with a cookie or a token, may stay."""
        return self.counts(identity) if identity.kind == "device" else self._keyring.counts(identity)

    def touch(self, identity: Identity) -> None:
        """It was used now: its 90 days begin again. A disk that is full must not lock anybody out."""
        now = self._now()
        with contextlib.suppress(Unavailable):
            self._devices.change(
                lambda kept: [
                    msgspec.structs.replace(item, last_used_at=now, expires_at=now + LIFE_DAYS * 86_400_000)
                    if item.hash == identity.proof
                    else item
                    for item in kept
                ]
            )

    def records(self) -> list[DeviceRecord]:
        """All that are let in, the one used last first. Raise Unavailable when the file is damaged."""
        counting = (record for record in self._devices.records() if self._counts(record))
        return sorted(counting, key=lambda record: record.last_used_at, reverse=True)

    def of(self, identity: Identity) -> DeviceRecord | None:
        """The record of whoever came in with a cookie."""
        return self._devices.find(identity.proof) if identity.kind == "device" else None

    def revoke(self, reference: str) -> DeviceRecord:
        """Let this device (its id, or its name if that is one device's) in no more. Raise NotFound."""
        gone: list[DeviceRecord] = []

        def change(kept: list[DeviceRecord]) -> list[DeviceRecord]:
            named = [item for item in kept if item.name == reference]
            gone.extend([item for item in kept if item.id == reference] or (named if len(named) == 1 else []))
            if not gone:
                raise NotFound(
                    f"There is no device {reference!r}. `pilotlight devices list` shows them.", code="device_not_found"
                )
            return [item for item in kept if item not in gone]

        self._devices.change(change)
        return gone[0]

    def _counts(self, record: DeviceRecord) -> bool:
        if record.expires_at <= self._now():
            return False
        if record.token is None or record.token_name is None:
            return True
        holder = Identity(record.token_name, "admin", record.token)
        return self._keyring.knows(holder)

    def _alive(self, kept: list[InvitationRecord]) -> list[InvitationRecord]:
        return [item for item in kept if item.until > self._now()]

    def _now(self) -> int:
        return int(self._clock() * 1000)


def view(record: DeviceRecord) -> dict[str, object]:
    """A device as it is shown: nothing of its secret."""
    tree = cast(dict[str, object], msgspec.to_builtins(record))
    return {name: value for name, value in tree.items() if name not in ("hash", "token")}


def _missed(item: InvitationRecord) -> InvitationRecord:
    misses = item.misses + 1
    return msgspec.structs.replace(item, misses=misses, code=None if misses >= MOST_MISSES else item.code)


def _plain_code(text: str) -> str:
    """What a person typed, as it was made: small letters, spaces and dashes do not matter."""
    return re.sub(r"[^0-9A-Z]", "", text.upper())[:64]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
