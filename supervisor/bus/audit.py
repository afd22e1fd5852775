"""Who did what: one `audit` event for everything that changes something, for what was refused, and for who may come in.

What is asked is recorded before it is done; a message when it is accepted, and a session when it is opened, in the same
transaction (`Pool.send`, `Pool.create`), since only then the session is known. What must not regress: neither text nor keys are
in it, whoever is refused over and over cannot flood the journal, and tokens and keys that were made or revoked while nobody
watched are found at the next look.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.access.bus_keys import BusClientKey, BusKeyring
from shared.access.devices import Devices
from shared.access.tokens import DEFAULT_NAME, Keyring
from shared.bus import service_events
from shared.bus.messages import Request
from shared.bus.operations import OPENS, SENDS, with_effect
from shared.bus.service_requests import RefusedCall
from shared.errors import Forbidden, PilotlightError, StorageFailed, Unavailable
from shared.foreign_file import SMALL, read_foreign
from shared.paths import Paths
from supervisor.bus.access import LOCAL, permit
from supervisor.store.store import Store

ACTS = with_effect("acts") - LOCAL
LOOK_SECONDS = 2.0
REFUSALS = 10
REFUSAL_SECONDS = 60.0
"""So many refusals of one client are told in so many seconds; of the rest the number, with the next one that is told."""

MOST_CLIENTS = 1000
MAX_CHARACTERS = 100
"""Of a name that a client makes up."""

_ACCESS = "access"
"""Where the database keeps who could come in when it was looked at last."""


@dataclass
class _Window:
    """The refusals of one client of late."""

    began: float
    told: int = 0
    untold: int = 0


class Audit:
    """Writes into the journal of one supervisor."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._windows: dict[str, _Window] = {}

    def asked(self, request: Request, arguments: Any) -> None:
        """Somebody asks for something that changes something."""
        session, message = getattr(arguments, "session_id", None), getattr(arguments, "message_id", None)
        if request.op not in ACTS:
            return
        if request.op == "session.recording" and arguments.start is None:
            return
        if message is not None and (record := self._store.message(message)) is not None:
            session = record.session_id
        more = {} if message is None else {"message": message}
        if getattr(arguments, "updated_input", None) is not None:
            more["changes"] = "input"  # what to, says `answered`
        self._append(request.op, request.actor, session, **more)

    def failed(self, request: Request, arguments: Any, error: PilotlightError) -> None:
        """A message was not accepted, or a session not opened."""
        if request.op in SENDS | OPENS:
            session = getattr(arguments, "session_id", None)
            with suppress(StorageFailed):  # which may be why it was not
                self._append(request.op, request.actor, session, refused=error.error_code)

    def opened_before(self, request: Request, session: str) -> None:
        """Somebody asks again for a session that this key has opened."""
        self._append(request.op, request.actor, session, duplicate=True)

    async def note(self, arguments: RefusedCall, request: Request) -> dict[str, Any]:
        """`audit.refused`."""
        why = {"needed": arguments.needed, "scope": arguments.scope}
        self.refused(request.actor, arguments.call, arguments.session_id, why)
        return {}

    def refused(self, actor: str, what: str, session: str | None, why: dict[str, Any]) -> None:
        """Somebody asked for what their scope does not allow; told up to a bound."""
        now = time.monotonic()
        window = self._windows.get(actor)
        if window is None or now - window.began >= REFUSAL_SECONDS:
            if window is None and len(self._windows) >= MOST_CLIENTS:
                self._windows.pop(next(iter(self._windows)))
            window = self._windows[actor] = _Window(now, untold=window.untold if window is not None else 0)
        if window.told >= REFUSALS:
            window.untold += 1
            return
        window.told += 1
        untold, window.untold = window.untold, 0
        more = {"untold": untold} if untold else {}
        with suppress(StorageFailed):  # the refusal itself matters more
            self._append(what, actor, session, refused="insufficient_scope", **why, **more)

    def permit(self, request: Request, client: BusClientKey) -> Request:
        """`grants.permit`, with what it refuses in the journal."""
        try:
            return permit(request, client)
        except Forbidden as error:
            session = request.args.get("sessionId")
            self.refused(client.actor, request.op, session if isinstance(session, str) else None, error.data)
            raise

    def _append(self, op: str, actor: str, session: str | None, **more: Any) -> None:
        known = session if session is not None and self._store.session(session) is not None else None
        named = session and session[:MAX_CHARACTERS]
        self._store.append(service_events.Audit(op=op[:MAX_CHARACTERS], actor=actor, session=named, **more), known)


class AccessWatch:
    """Notices tokens, bus keys and devices that come, change and go, whoever did it: the command line, or an editor."""

    def __init__(self, store: Store, paths: Paths, log: logging.Logger) -> None:
        self._store = store
        self._default = paths.token_file
        keyring = Keyring(paths)
        self._tokens, self._keys, self._devices = keyring.named, BusKeyring(paths).clients, Devices(paths, keyring)
        self._log = log

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self.look()
            except (StorageFailed, Unavailable, OSError) as error:
                self._log.info("access_not_read", extra={"fields": {"why": str(error)}})
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Compare who may come in with who could before. Raise Unavailable when a file is damaged."""
        now, kept = self._present(), self._store.meta(_ACCESS)
        before: dict[str, list[str]] = msgspec.json.decode(kept) if kept else now
        if kept and now == before:
            return
        with self._store.transaction(durable=True):
            for name in sorted(before.keys() | now.keys()):
                self._tell(name, before.get(name), now.get(name))
            self._store.set_meta(_ACCESS, msgspec.json.encode(now).decode())

    def _present(self) -> dict[str, list[str]]:
        """Scope and fingerprint of each."""
        found = {f"tokens {record.name}": [record.scope, record.hash] for record in self._tokens.records()}
        found |= {f"bus-keys {client.name}": [client.scope, client.public_key] for client in self._keys.records()}
        found |= {
            f"devices {record.name} ({record.id})": [record.scope, record.hash] for record in self._devices.records()
        }
        with suppress(FileNotFoundError):
            token = read_foreign(self._default, SMALL, follow=True)
            found[f"tokens {DEFAULT_NAME}"] = ["admin", hashlib.sha256(token).hexdigest()]
        return found

    def _tell(self, name: str, before: list[str] | None, now: list[str] | None) -> None:
        if before == now:
            return
        kind, _, owner = name.partition(" ")
        verb = "add" if before is None else "revoke" if now is None else "rotate"
        scope = (now or before or [""])[0]
        self._store.append(
            service_events.Audit(op=f"{kind}.{verb}", actor="local", session=None, name=owner, scope=scope)
        )
