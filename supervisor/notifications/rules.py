"""What one recipient is told, and when: a pure machine over happenings and the time that it is given.

    take      a happening comes: something is to be told after a moment, or held back, or not told and why; what it closes is
              dropped if nobody was told, and withdrawn if somebody was
    release   the time has come: one notification each, or one for many

What must not regress: a session has one notification at a time; in a storm a recipient gets `BURST` of them and one more that
names all the rest, in every `WINDOW_MS`; what waits for an answer may be held back and gathered, but is dropped only when it
does not wait any more, when its owner does not want to hear of it, or when the recipient is muted for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from shared.bus.messages import Wire
from shared.bus.notifications import FOREVER, NoticeView, Rules
from supervisor.notifications.channels.contract import Choice, Note, Urgency
from supervisor.notifications.happenings import Happening, cut
from supervisor.notifications.recipient import ASKS, Recipient, held_until, local, wants

BURST = 3
WINDOW_MS = 30_000
SETTLE_MS = {"waiting": 1_500, "login": 1_500, "crashed": 8_000, "pressure": 3_000}
"""How long something has to last before it is told: what a rule answers, or what passes by itself, is none of anybody's."""

SHORT_MS = 700
AWAY_MS = 60_000
"""How long what waits is kept from the other recipients of somebody who looks at one."""

AGAIN_MS = 600_000
"""What has no end of its own (a busy machine) is told again after so long at the earliest."""

ASK_TTL, TTL = 86_400, 4 * 3600
MANY, DIGEST = "many", "digest"

State = Literal["held", "sending", "told", "withdrawn", "dropped", "failed"]
_GENERIC = {
    "waiting": "A session waits for you.",
    "login": "Claude needs a login.",
    "limit": "A usage limit is reached.",
    "answered": "Claude has answered.",
    "failed": "A message has failed.",
    "warning": "A session will expire.",
    "expired": "A session has expired.",
    "crashed": "A session has crashed.",
    "pressure": "The machine is short of something.",
    "stuck": "A session shows no progress.",
    "scheduled": "Something that was planned is not done.",
}


class Notice(Wire, frozen=True):
    """One happening for one recipient: what is in the log, and why. `via` is the note that carried it."""

    recipient: str
    key: str
    seq: int
    at: int
    kind: str
    tag: str
    name: str
    phrase: str
    state: State
    session: str | None = None
    text: str = ""
    opens: str | None = None
    waiting: str | None = None
    choices: tuple[Choice, ...] = ()
    urgency: Urgency = "normal"
    until: int | None = None
    due: int = 0
    held_for: str = ""
    reason: str = ""
    via: str = ""
    via_tag: str = ""
    told_at: int | None = None
    received_at: int | None = None
    shown_at: int | None = None


@dataclass(frozen=True)
class Presence:
    """Until when (milliseconds) somebody looks at this recipient, and at another one."""

    own: int = 0
    others: int = 0


NOBODY = Presence()


@dataclass(frozen=True)
class Circumstances:
    """What decides beside the recipient's own rules."""

    now: int
    presence: Presence = NOBODY
    badge: int = 0
    quick_seconds: float = 30.0
    link: str | None = None


class Desk:
    """One recipient's. `live` are its notices that are held, on their way, or shown and not over."""

    def __init__(self, recipient: Recipient, node: str, live: list[Notice] | None = None) -> None:
        self.recipient = recipient
        self.live: dict[str, Notice] = {notice.key: notice for notice in live or []}
        self._node = node
        self._sent: list[int] = []
        self._gathered_at = -WINDOW_MS
        self._told: dict[str, int] = {}

    def take(self, happening: Happening, here: Circumstances) -> tuple[list[Notice], list[Note]]:
        """The notices that are new or have changed, and what is to be sent because of it at once."""
        notice = self._judge(happening, here) if happening.kind is not None else None
        follows = notice is not None and notice.state == "held" and not notice.held_for
        changed, notes = self._close(happening, here, follows)
        if notice is None:
            return changed, notes
        if notice.state == "held":
            for other in [n for n in self.live.values() if n.tag == notice.tag and n.state == "held"]:
                if other.kind in ASKS and notice.kind not in ASKS:
                    notice = replace(notice, state="dropped", reason="what waits under the same name matters more")
                    break
                changed.append(self._keep(replace(other, state="dropped", reason="a newer one took its place")))
        changed.append(self._keep(notice))
        return changed, notes

    def release(self, here: Circumstances) -> tuple[list[Notice], list[Note]]:
        """What is to be sent now, and the notices that have changed."""
        changed: list[Notice] = []
        ready: list[Notice] = []
        for notice in sorted(self.live.values(), key=lambda n: (n.kind not in ASKS, n.at)):
            if notice.state == "held" and notice.due <= here.now:
                gated = self._gate(notice, here, first=False)
                if gated is not None:
                    changed.append(self._keep(gated))
                else:
                    ready.append(notice)
        if not ready:
            return changed, []
        slept = [notice for notice in ready if notice.held_for == "quiet"]
        notes: list[Note] = []
        if len(slept) > 1:
            ready = [notice for notice in ready if notice.held_for != "quiet"]
            notes.append(self._gather(slept, here, DIGEST, changed))
        self._sent = [at for at in self._sent if at > here.now - WINDOW_MS]
        stormy = [notice for notice in ready if notice.held_for == "storm"]
        calm = [notice for notice in ready if notice.held_for != "storm"]
        room = max(0, BURST - len(self._sent))
        alone, rest = calm[:room], stormy + calm[room:]
        for notice in alone:
            self._sent.append(here.now)
            notes.append(self._single(notice, here, changed))
        if rest and here.now - self._gathered_at >= WINDOW_MS:
            self._gathered_at = here.now
            notes.append(self._gather(rest, here, MANY, changed))
        else:
            later = self._gathered_at + WINDOW_MS
            changed += [self._keep(replace(notice, due=later, held_for="storm")) for notice in rest]
        return changed, notes

    def next_due(self) -> int | None:
        """When `release` has something to do again."""
        return min((notice.due for notice in self.live.values() if notice.state == "held"), default=None)

    def reconsider(self) -> list[Notice]:
        """The rules have changed, or somebody came or went: what is held is judged anew at once."""
        held = [n for n in self.live.values() if n.state == "held" and n.held_for in ("quiet", "present")]
        return [self._keep(replace(notice, due=min(notice.due, notice.at))) for notice in held]

    def conclude(self, via: str, state: State, reason: str, now: int) -> list[Notice]:
        """A note was told, or never will be."""
        found = [n for n in self.live.values() if n.via == via and n.state == "sending"]
        told_at = now if state == "told" else None
        return [self._keep(replace(n, state=state, reason=reason, told_at=told_at)) for n in found]

    # -- judging ---------------------------------------------------------------------------------------------------

    def _judge(self, happening: Happening, here: Circumstances) -> Notice:
        kind = happening.kind or ""
        notice = Notice(
            recipient=self.recipient.id,
            key=f"{self._node}:{happening.seq}",
            seq=happening.seq,
            at=happening.at,
            kind=kind,
            tag=happening.tag,
            name=happening.name,
            phrase=happening.phrase,
            session=happening.session,
            text=happening.text,
            opens=happening.opens,
            waiting=happening.waiting,
            choices=happening.choices,
            urgency=happening.urgency,
            until=happening.until,
            state="held",
            due=here.now + SETTLE_MS.get(kind, SHORT_MS),
        )
        if not wants(self.recipient.rules, kind, happening.session):
            return replace(notice, state="dropped", reason="this recipient is not told of it")
        if kind == "answered" and happening.seconds is not None and happening.seconds < here.quick_seconds:
            return replace(notice, state="dropped", reason=f"it took {max(0.0, happening.seconds):.0f} s only")
        told = self._told.get(f"{kind} {notice.tag}", -AGAIN_MS)
        if kind == "pressure" and happening.opens is None and here.now - told < AGAIN_MS:
            return replace(notice, state="dropped", reason="it was told already")
        return self._gate(notice, here, first=True) or notice

    def _gate(self, notice: Notice, here: Circumstances, first: bool) -> Notice | None:
        """The notice as it is held back or dropped; None when nothing is in its way."""
        until = held_until(self.recipient.rules, here.now)
        if until == FOREVER:
            return replace(notice, state="dropped", reason="the recipient is muted")
        if until is not None:
            return replace(notice, due=until, held_for="quiet")
        own, others = here.presence.own, here.presence.others
        if own <= here.now and (others <= here.now or not first):
            return None
        if notice.kind not in ASKS:
            where = "on this recipient" if own > here.now else "on another one"
            return replace(notice, state="dropped", reason=f"somebody was looking {where}")
        end = own if own > here.now else min(others, here.now + AWAY_MS)
        return replace(notice, due=max(end, notice.due), held_for="present")

    def _close(self, happening: Happening, here: Circumstances, follows: bool) -> tuple[list[Notice], list[Note]]:
        """End what the happening closes. `follows`: something new will stand in its place in a moment."""
        changed: list[Notice] = []
        notes: list[Note] = []
        over = [n for n in self.live.values() if n.opens is not None and n.opens in happening.closes]
        for notice in over:
            if notice.state == "held":
                dropped = replace(notice, state="dropped", reason=f"{happening.closed_by}, before it was told")
                changed.append(self._keep(dropped))
                continue
            changed.append(self._keep(replace(notice, state="withdrawn", reason=happening.closed_by)))
            others = any(n.via == notice.via for n in self.live.values())
            if not others and not (follows and notice.via_tag == happening.tag):
                notes.append(self._over(notice, happening, here))
        return changed, notes

    def _keep(self, notice: Notice) -> Notice:
        """Remember it while something may still happen to it."""
        shown = notice.state == "told" and notice.opens is not None
        if notice.state in ("held", "sending") or shown:
            self.live[notice.key] = notice
        else:
            self.live.pop(notice.key, None)
        return notice

    # -- words -----------------------------------------------------------------------------------------------------

    def _single(self, notice: Notice, here: Circumstances, changed: list[Notice]) -> Note:
        rules = self.recipient.rules
        self._told[f"{notice.kind} {notice.tag}"] = here.now
        changed.append(self._keep(replace(notice, state="sending", via=notice.key, via_tag=notice.tag)))
        for other in [n for n in self.live.values() if n.via_tag == notice.tag and n.key != notice.key]:
            changed.append(self._keep(replace(other, state="withdrawn", reason="a newer one took its place")))
        title, body = words(notice, rules, here.now)
        return Note(
            key=notice.key,
            kind=notice.kind,
            tag=notice.tag,
            title=title,
            body=body,
            at=here.now,
            session=notice.session,
            urgency=notice.urgency,
            waiting=notice.waiting,
            choices=notice.choices if rules.content != "none" else (),
            link=_link(here, notice.session),
            badge=here.badge,
            ttl=ASK_TTL if notice.kind in ASKS else TTL,
        )

    def _gather(self, notices: list[Notice], here: Circumstances, tag: str, changed: list[Notice]) -> Note:
        """One note for many, and for what the one before it has named and is not over."""
        shown = [n for n in self.live.values() if n.via_tag == tag and n.state in ("told", "sending")]
        notices = sorted([*shown, *notices], key=lambda n: (n.kind not in ASKS, n.at))
        if len(notices) == 1:
            return self._single(notices[0], here, changed)
        key = f"{max(notices, key=lambda n: n.seq).key}+{tag}"
        changed += [self._keep(replace(n, state="sending", via=key, via_tag=tag)) for n in notices]
        title, body = summary(notices, self.recipient.rules)
        return Note(
            key=key,
            kind=tag,
            tag=tag,
            title=title,
            body=body,
            at=here.now,
            urgency="high" if any(n.kind in ASKS for n in notices) else "normal",
            link=_link(here, None),
            badge=here.badge,
            ttl=ASK_TTL,
        )

    def _over(self, notice: Notice, happening: Happening, here: Circumstances) -> Note:
        shown = self.recipient.rules.content != "none"
        lifted = notice.kind == "limit"
        title = f"{notice.name}: the usage limit is lifted" if lifted else f"{notice.name}: {happening.closed_by}"
        return Note(
            key=f"{self._node}:{happening.seq}-over",
            kind=notice.kind,
            tag=notice.via_tag or notice.tag,
            title=title if shown else "pilotlight",
            body="" if shown else "It is over.",
            at=here.now,
            session=notice.session,
            urgency="low",
            waiting=notice.waiting,
            link=_link(here, notice.session),
            badge=here.badge,
            withdrawn=not lifted,
            ttl=TTL,
        )


def words(notice: Notice, rules: Rules, now: int) -> tuple[str, str]:
    """Title and text of one notice, with as much in them as may leave this machine."""
    if rules.content == "none":
        return "pilotlight", _GENERIC.get(notice.kind, "Something has happened.")
    title = f"{notice.name} {notice.phrase}"
    if notice.until is not None:
        there, present = local(notice.until, rules), local(now, rules)
        title += f" until {there:%H:%M}" if notice.kind == "limit" else f", at {there:%H:%M}"
        if there.date() != present.date():
            title += f" on {there:%d %b}"
    return cut(title, 200), notice.text if rules.content == "text" else ""


def summary(notices: list[Notice], rules: Rules) -> tuple[str, str]:
    """Title and text of many: every session that waits is named."""
    asks = [n for n in notices if n.kind in ASKS]
    rest = [n for n in notices if n.kind not in ASKS]
    parts = [f"{len(asks)} {'sessions wait' if len(asks) != 1 else 'session waits'} for you"] if asks else []
    if rest:
        parts.append(f"{len(rest)} {'things have' if len(rest) != 1 else 'thing has'} happened")
    title = " and ".join(parts)
    if rules.content == "none":
        return "pilotlight", title
    lines = [f"{n.name} {n.phrase}" for n in (*asks, *rest)]
    return title, "\n".join(lines)


def notice_view(notice: Notice, recipient: Recipient | None, now: int) -> NoticeView:
    """A notice as people see it in the log, in the words that the recipient was told."""
    title = f"{notice.name} {notice.phrase}"
    if recipient is not None:
        title = words(notice, replace(recipient.rules, content="title"), now)[0]
    return NoticeView(
        recipient=notice.recipient,
        recipient_name=recipient.name if recipient is not None else "(removed)",
        key=notice.key,
        kind=notice.kind,
        title=title,
        state=notice.state,
        at=notice.at,
        session=notice.session,
        reason=notice.reason or (f"held back: {notice.held_for}" if notice.state == "held" else ""),
        told_at=notice.told_at,
        received_at=notice.received_at,
        shown_at=notice.shown_at,
        due=notice.due if notice.state == "held" else None,
        via=notice.via,
    )


def _link(here: Circumstances, session: str | None) -> str | None:
    if here.link is None:
        return None
    return f"{here.link}/#/session/{session}" if session else here.link
