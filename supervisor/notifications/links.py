"""Links that answer: for channels whose buttons cannot sign in. Each works once, for one request, for a limited time.

Only its hash is kept. What must not regress: a link that was used, or whose request was answered in another way, says so and by
whom, and does nothing; it acts on a POST only, so that whoever previews it answers nothing.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

import msgspec
from msgspec.structs import replace

from shared.bus.messages import Wire
from shared.errors import Conflict, NotFound
from supervisor.notifications.channels.contract import Choice, Note
from supervisor.store.store import Store, now_ms

LINK_SECONDS = 3600
EXTEND = "extend"
LATEST = 1000
"""How far back is looked for who answered."""


class Link(Wire, frozen=True):
    """What one link does: answer `waiting` of a session with `choice`, or keep the session alive (`extend`)."""

    session: str
    waiting: str
    choice: str
    recipient: str
    label: str = ""
    used_at: int | None = None


class Links:
    """Makes links and takes them back."""

    def __init__(self, store: Store, clock: Callable[[], int] = now_ms) -> None:
        self._store, self._clock = store, clock

    def with_links(self, note: Note, recipient: str, base: str | None) -> Note:
        """The note with a link at each choice; without, when people have no address of ours."""
        if base is None or note.session is None or not note.choices:
            return note
        made = []
        for choice in note.choices:
            token = secrets.token_urlsafe(24)
            link = Link(
                session=note.session,
                waiting=note.waiting or "",
                choice=choice.id,
                recipient=recipient,
                label=choice.label,
            )
            now = self._clock()
            self._store.notifications.add_link(_hash(token), now + LINK_SECONDS * 1000, msgspec.json.encode(link), now)
            made.append(Choice(id=choice.id, label=choice.label, url=f"{base}/api/notifications/links/{token}"))
        return replace(note, choices=tuple(made))

    def redeem(self, token: str) -> Link:
        """What a link is for; it counts as used from now on. Raise NotFound, Conflict."""
        hashed = _hash(token)
        found = self._store.notifications.link(hashed)
        if found is None:
            raise NotFound("There is no such link.", code="link_not_found")
        expires, link = found[0], msgspec.json.decode(found[1], type=Link)
        if link.used_at is not None:
            raise Conflict("This link was used already.", code="link_used")
        if expires <= self._clock():
            raise Conflict("This link is too old: answer in the dashboard.", code="link_expired")
        self._store.notifications.save_link(hashed, msgspec.json.encode(replace(link, used_at=self._clock())))
        return link

    def restore(self, token: str, link: Link) -> None:
        """What it was for could not be done, and may be tried again."""
        self._store.notifications.save_link(_hash(token), msgspec.json.encode(link))

    def who_answered(self, session: str, waiting: str) -> str | None:
        """How a request was answered, in words; None when the journal does not say."""
        for event in self._store.events_before(None, LATEST, session, ["answered", "expired"]):
            if event.data.get("id") == waiting:
                by = event.data.get("by") or event.data.get("cause") or "somebody"
                choice = event.data.get("choice")
                return f"{by}{f' ({choice})' if choice else ''}"
        return None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
