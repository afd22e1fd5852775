"""Apple's push service: HTTP/2, with a token that is signed with the team's key (ES256) and renewed within its hour.

What must not regress: a device that is gone (410, or a token that Apple does not know) is told as gone, and nothing else is; the
token is made anew between 20 and 60 minutes, as Apple asks; the same note has the same `apns-id` in every attempt.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from time import time
from typing import Any, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from supervisor.notifications.channels.contract import Delivered, Gone, Note, Outcome, Refused, Retry
from supervisor.notifications.channels.encryption import signed_token
from supervisor.notifications.channels.http import Answer, Http, judge

Environment = Literal["production", "sandbox"]
HOSTS: dict[Environment, str] = {
    "production": "https://api.push.apple.com",
    "sandbox": "https://api.sandbox.push.apple.com",
}
TOKEN_SECONDS = 45 * 60
MAX_PAYLOAD = 4096
ALERT_BYTES = 600
UNKNOWN_DEVICE = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})
STALE_PROOF = frozenset({"ExpiredProviderToken"})
_SPACE = uuid.UUID("8f2c5c8e-6a64-4d0e-9a3c-3d1f4f1c7a55")


@dataclass
class Provider:
    """The team's key, and the token that was made of it last."""

    key: ec.EllipticCurvePrivateKey
    key_id: str
    team_id: str
    now: Callable[[], float] = time
    _token: str = ""
    _made_at: float = 0.0

    def bearer(self) -> str:
        """A token that Apple takes now."""
        now = self.now()
        if not self._token or not 0 <= now - self._made_at < TOKEN_SECONDS:
            claims = {"iss": self.team_id, "iat": int(now)}
            self._token, self._made_at = signed_token({"kid": self.key_id}, claims, self.key), now
        return self._token

    def renew(self) -> None:
        """Apple does not take it any more."""
        self._token = ""


class Apns:
    """A channel to one device token of the app `topic`."""

    def __init__(self, http: Http, provider: Provider, host: str, topic: str, device: str) -> None:
        self._http, self._provider, self._host, self._topic, self._device = http, provider, host, topic, device

    async def send(self, note: Note) -> Outcome:
        """Hand it to Apple."""
        body = payload(note) if note.reply is None else reply_payload(note, note.reply)
        answer = await self._post(msgspec.json.encode(body), note)
        if answer.status == 403 and _reason(answer) in STALE_PROOF:
            self._provider.renew()
            answer = await self._post(msgspec.json.encode(body), note)
        return _outcome(answer)

    async def _post(self, body: bytes, note: Note) -> Answer:
        headers = {
            "authorization": f"bearer {self._provider.bearer()}",
            "apns-id": str(uuid.uuid5(_SPACE, note.key)),
            "apns-topic": self._topic,
            "apns-push-type": "alert",
            "apns-priority": "5" if note.urgency == "low" else "10",
            "apns-expiration": str(note.at // 1000 + note.ttl),
            "apns-collapse-id": note.tag[:64],
        }
        return await self._http.request("POST", f"{self._host}/3/device/{self._device}", headers, body)


def payload(note: Note) -> dict[str, Any]:
    """A note as Apple shows it; what the app needs to act on it stands beside `aps`."""
    aps: dict[str, Any] = {
        "alert": {"title": note.title, "body": note.body},
        "badge": note.badge,
        "thread-id": note.session or note.tag,
        "category": note.kind,
        "interruption-level": "passive" if note.urgency == "low" or note.withdrawn else "active",
    }
    if note.urgency != "low" and not note.withdrawn:
        aps["sound"] = "default"
    told: dict[str, Any] = {"key": note.key, "kind": note.kind, "sessionId": note.session, "waitingId": note.waiting}
    told |= {"choices": [{"id": c.id, "label": c.label} for c in note.choices], "withdrawn": note.withdrawn}
    body = {"aps": aps, "pilotlight": told}
    while len(msgspec.json.encode(body)) > MAX_PAYLOAD and aps["alert"]["body"]:
        aps["alert"]["body"] = aps["alert"]["body"][: len(aps["alert"]["body"]) // 2].rstrip("…") + "…"
        if len(aps["alert"]["body"]) <= 1:
            aps["alert"]["body"] = ""
    return body


def reply_payload(note: Note, reply: dict[str, Any]) -> dict[str, Any]:
    """The reply to a message, whole when Apple takes so much, else its beginning and where to fetch it."""
    alert = {"title": note.title, "body": cut_bytes(note.body, ALERT_BYTES)}
    aps = {"alert": alert, "sound": "default", "mutable-content": 1, "thread-id": note.session or note.tag}
    body = {"aps": aps, **reply, "message": note.body, "content": note.body, "truncated": False}
    if len(msgspec.json.encode(body)) > MAX_PAYLOAD:
        body |= {"message": "", "content": "", "truncated": True}
        room = (MAX_PAYLOAD - len(msgspec.json.encode(body))) // 2
        while len(msgspec.json.encode(body | {"content": cut_bytes(note.body, room)})) > MAX_PAYLOAD:
            room //= 2
        body["content"] = cut_bytes(note.body, room)
    return body


def cut_bytes(text: str, most: int) -> str:
    """The beginning of a text, in UTF-8 bytes."""
    whole = text.encode()
    return text if len(whole) <= most else whole[: max(0, most - 3)].decode("utf-8", "ignore") + "…"


def _reason(answer: Answer) -> str:
    try:
        found = msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return str(found.get("reason", ""))[:100] if isinstance(found, dict) else ""


def _outcome(answer: Answer) -> Outcome:
    reason = _reason(answer)
    if answer.status == 200:
        return Delivered(answer.headers.get("apns-id", "200"))
    if answer.status == 410 or (answer.status == 400 and reason in UNKNOWN_DEVICE):
        return Gone(f"Apple does not know this device any more ({reason or answer.status}).")
    judged = judge(answer, gone=())
    if isinstance(judged, Retry):
        return Retry(f"Apple answered {answer.status} {reason}.", judged.after)
    return Refused(f"Apple answered {answer.status} {reason}.")
