"""The registrations: browsers and phones that came by themselves, and the channels of the configuration, as one list.

What must not regress: what a recipient is reached by never leaves this module but to the courier; who registers the same address
again gets the same recipient, so that an app may do it at every start.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from shared.bus.notifications import FOREVER, ChannelKind, RecipientView, Rules
from shared.config import NotifyConfig
from shared.errors import Busy, Conflict, Forbidden, InvalidRequest, NotFound
from supervisor.notifications.recipient import CONFIGURED, Recipient, zone_of
from supervisor.store.store import Store, now_ms

MAX_DEVICES = 100
MAX_NAME = 80
SEEN_MS = 3_600_000
"""How exactly it is kept when a recipient was seen last."""


class Recipients:
    """All of them, by id."""

    def __init__(self, store: Store, config: Callable[[], NotifyConfig]) -> None:
        self._store = store
        self._by_id: dict[str, Recipient] = {}
        stored = [msgspec.json.decode(body, type=Recipient) for body in store.notifications.recipients()]
        channels = {recipient.id: recipient for recipient in map(_configured, config().channels)}
        for recipient in stored:
            if not recipient.configured:
                self._by_id[recipient.id] = recipient
            elif recipient.id in channels:  # what became of the last sendings is remembered across restarts
                ours = channels[recipient.id]
                channels[recipient.id] = replace(recipient, target=ours.target, rules=ours.rules, kind=ours.kind)
        self._by_id |= channels

    def all(self) -> list[Recipient]:
        """Those of the configuration first, then by age."""
        return sorted(self._by_id.values(), key=lambda d: (not d.configured, d.created_at, d.id))

    def get(self, recipient_id: str) -> Recipient:
        """One. Raise NotFound."""
        found = self._by_id.get(recipient_id)
        if found is None:
            raise NotFound(f"There is no recipient {recipient_id}.", code="recipient_not_found")
        return found

    def find(self, recipient_id: str) -> Recipient | None:
        """One, if it is still there."""
        return self._by_id.get(recipient_id)

    def owned(self, recipient_id: str, actor: str) -> Recipient:
        """One that is this actor's, or nobody's. Raise NotFound, Forbidden."""
        recipient = self.get(recipient_id)
        if recipient.by not in ("", actor):
            raise Forbidden(
                f"{recipient.name} is not yours: whoever has registered it, or the scope `admin`, may do this.",
                code="not_your_recipient",
            )
        return recipient

    def register(
        self, kind: ChannelKind, name: str, target: dict[str, Any], rules: Rules | None, by: str = ""
    ) -> Recipient:
        """A new one, or the one that is registered with this address already: whoever knows it is its owner. Raise
        InvalidRequest, Busy."""
        if not name.strip() or len(name) > MAX_NAME:
            raise InvalidRequest(f"`name` must have 1 to {MAX_NAME} characters.", code="invalid_name")
        check_rules(rules or Rules())
        recipient_id = id_of(kind, target)
        known = self._by_id.get(recipient_id)
        if known is None and sum(not d.configured for d in self._by_id.values()) >= MAX_DEVICES:
            raise Busy(f"There are {MAX_DEVICES} recipients already: remove one.", code="too_many_recipients")
        now = now_ms()
        recipient = known or Recipient(id=recipient_id, kind=kind, name=name, target=target, created_at=now)
        recipient = replace(
            recipient, name=name, target=target, rules=rules or recipient.rules, seen_at=now, by=by or recipient.by
        )
        self.save(recipient)
        return recipient

    def change(self, recipient_id: str, name: str | None, rules: Rules | None) -> Recipient:
        """Another name, or other rules. Raise NotFound, Conflict, InvalidRequest."""
        recipient = self.get(recipient_id)
        if recipient.configured:
            raise Conflict("This channel stands in the configuration: change it there.", code="configured_channel")
        if name is not None and (not name.strip() or len(name) > MAX_NAME):
            raise InvalidRequest(f"`name` must have 1 to {MAX_NAME} characters.", code="invalid_name")
        check_rules(rules or Rules())
        recipient = replace(recipient, name=name or recipient.name, rules=rules or recipient.rules)
        self.save(recipient)
        return recipient

    def remove(self, recipient_id: str) -> Recipient:
        """Forget one. Raise NotFound, Conflict."""
        recipient = self.get(recipient_id)
        if recipient.configured:
            raise Conflict("This channel stands in the configuration: remove it there.", code="configured_channel")
        self._store.notifications.remove_recipient(recipient_id)
        del self._by_id[recipient_id]
        return recipient

    def seen(self, recipient_id: str) -> Recipient:
        """It is in somebody's hands. Raise NotFound."""
        recipient = self.get(recipient_id)
        if now_ms() - recipient.seen_at > SEEN_MS:
            self.save(replace(recipient, seen_at=now_ms()))
        return self._by_id[recipient_id]

    def save(self, recipient: Recipient) -> None:
        """Keep it as it is now."""
        self._store.notifications.save_recipient(recipient.id, msgspec.json.encode(recipient))
        self._by_id[recipient.id] = recipient


def id_of(kind: ChannelKind, target: dict[str, Any]) -> str:
    """The id of whoever is reached there: the same address is the same recipient."""
    names = {"webpush": ("endpoint",), "apns": ("token",), "ntfy": ("server", "topic"), "webhook": ("url",)}
    address = "\n".join(str(target.get(name)) for name in names.get(kind, ("address",)))
    return f"r_{hashlib.sha256(chr(10).join((kind, address)).encode()).hexdigest()[:20]}"


def check_rules(rules: Rules) -> None:
    """Raise InvalidRequest for rules that cannot be kept."""
    try:
        zone_of(rules)
    except ValueError as error:
        raise InvalidRequest(str(error), code="invalid_zone") from None
    if rules.muted_until is not None and rules.muted_until < 0 and rules.muted_until != FOREVER:
        raise InvalidRequest("`mutedUntil` is a time, null, or -1 for ever.", code="invalid_mute")


def view_of(recipient: Recipient, present: bool, waiting: int, now: int) -> RecipientView:
    """As clients see it."""
    muted = recipient.rules.muted_until
    silent = muted is not None and (muted == FOREVER or muted > now)
    failing = recipient.error is not None
    fresh = recipient.success_at is None and not failing
    return RecipientView(
        id=recipient.id,
        kind=recipient.kind,
        name=recipient.name,
        place=_place(recipient),
        rules=recipient.rules,
        status="muted" if silent else "failing" if failing else "new" if fresh else "ok",
        configured=recipient.configured,
        created_at=recipient.created_at,
        seen_at=recipient.seen_at,
        success_at=recipient.success_at,
        error_at=recipient.error_at,
        error=recipient.error,
        present=present,
        waiting=waiting,
        by=recipient.by or None,
    )


def _place(recipient: Recipient) -> str:
    """Where it is: hosts may be told; paths, topics and tokens are what an address has of a secret."""
    target = recipient.target
    address = {"webpush": "endpoint", "ntfy": "server", "webhook": "url", "apprise": "address"}.get(recipient.kind)
    if address is None:
        return "Apple" if recipient.kind == "apns" else recipient.kind
    value = str(target.get(address) or "")
    if value.startswith("file:"):
        return "as a file says"
    if recipient.kind == "apprise":
        return value.partition(":")[0]
    return urlsplit(value).hostname or "?"


def _configured(channel: Any) -> Recipient:
    names = ("server", "topic", "token", "url", "secret", "form", "address")
    target = {name: getattr(channel, name) for name in names if getattr(channel, name) is not None}
    return Recipient(
        id=f"{CONFIGURED}{channel.name}", kind=channel.kind, name=channel.name, target=target, rules=channel.rules
    )
