"""Web Push to a browser, or to the installed app: encrypted for the subscription, signed as us (VAPID).

What the service worker gets is the note as JSON. What must not regress: an endpoint is one of a push service's hosts, or of
`notify.push_hosts`; a token lives for twelve hours at most (the RFC allows a day) and names a contact that is real; the
subscription is gone at 404 and 410, and at nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from supervisor.notifications.channels.contract import Barred, Note, Outcome, Refused
from supervisor.notifications.channels.destinations import Destinations, check_push_endpoint
from supervisor.notifications.channels.encryption import (
    MAX_PLAINTEXT,
    Recipient,
    encode,
    encrypt,
    public_bytes,
    signed_token,
)
from supervisor.notifications.channels.http import Http, judge

TOKEN_SECONDS = 12 * 3600
_URGENCY = {"low": "low", "normal": "normal", "high": "high"}


class Subscription(msgspec.Struct, frozen=True):
    """What `PushSubscription.toJSON()` gives: the endpoint, and keys `p256dh` and `auth`."""

    endpoint: str
    keys: dict[str, str]

    def recipient(self) -> Recipient:
        """Its keys. Raise ValueError."""
        try:
            return Recipient.of(self.keys["p256dh"], self.keys["auth"])
        except KeyError as error:
            raise ValueError(f"the key {error} is missing") from None


@dataclass(frozen=True)
class Vapid:
    """Who sends: the key of this installation, and whom a push service may write to."""

    key: ec.EllipticCurvePrivateKey
    subject: str

    @property
    def public(self) -> str:
        """The public key, as a browser wants it (`applicationServerKey`)."""
        return encode(public_bytes(self.key.public_key()))

    def header(self, origin: str, now: float) -> str:
        """The `Authorization` for one push service."""
        claims = {"aud": origin, "exp": int(now) + TOKEN_SECONDS, "sub": self.subject}
        return f"vapid t={signed_token({'typ': 'JWT'}, claims, self.key)}, k={self.public}"


def check_subject(subject: str) -> None:
    """Raise Barred unless a push service could reach somebody there."""
    name, _, rest = subject.partition(":")
    host = rest.rpartition("@")[2] if name == "mailto" else rest.removeprefix("//").partition("/")[0]
    if name not in ("mailto", "https") or "." not in host or host.endswith((".local", ".localhost", ".invalid")):
        raise Barred(f"notify.contact must be a real mailto: or https: address, not {subject!r}.")


class WebPush:
    """A channel to one subscription."""

    def __init__(
        self,
        http: Http,
        subscription: Subscription,
        vapid: Vapid,
        hosts: tuple[str, ...] = (),
        now: Callable[[], float] = time,
    ) -> None:
        self._http, self._subscription, self._vapid, self._hosts, self._now = http, subscription, vapid, hosts, now

    async def send(self, note: Note) -> Outcome:
        """Encrypt and hand it to the push service."""
        parts = check_push_endpoint(self._subscription.endpoint, self._hosts, self._http.destinations)
        try:
            recipient = self._subscription.recipient()
        except ValueError as error:
            return Refused(f"The subscription's keys cannot be used: {error}.")
        headers = {
            "authorization": self._vapid.header(f"{parts.scheme}://{parts.netloc}", self._now()),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(note.ttl),
            "urgency": _URGENCY[note.urgency],
            "topic": topic(note.tag),
        }
        body = encrypt(fitted(note), recipient)
        return judge(await self._http.request("POST", self._subscription.endpoint, headers, body))


def check_subscription(subscription: Subscription, hosts: tuple[str, ...], destinations: Destinations) -> None:
    """Raise Barred when nothing could ever be sent to this one."""
    check_push_endpoint(subscription.endpoint, hosts, destinations)
    try:
        subscription.recipient()
    except ValueError as error:
        raise Barred(f"The subscription's keys cannot be used: {error}.") from None


def topic(tag: str) -> str:
    """What replaces what is still on its way: at most 32 characters of base64url."""
    return encode(hashlib.sha256(tag.encode()).digest()[:24])


def fitted(note: Note) -> bytes:
    """The note as JSON, with as much of its text as a push may carry."""
    tree: dict[str, Any] = {k: v for k, v in msgspec.to_builtins(note).items() if k != "event"}
    while len(body := msgspec.json.encode(tree)) > MAX_PLAINTEXT:
        excess = len(body) - MAX_PLAINTEXT
        longest = max(("body", "title"), key=lambda name: len(tree[name]))
        if len(tree[longest]) < 2:
            tree["choices"] = []
            continue
        kept = len(tree[longest]) - max(1, excess // 4)
        tree[longest] = tree[longest][: max(0, kept - 1)] + "…"
    return body
