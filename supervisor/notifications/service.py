"""Notifications as the daemon has them: the journal is read, desks decide, the outbox sends, and what became of it is kept.

The cursor in the journal, what was decided and what is to be sent are written in one transaction, so nothing is told twice or
forgotten, whenever the supervisor ends. At the very first start the cursor stands at the journal's end. `offer` is all that
the path of a session sees: it sets a flag. What must not regress: nothing here waits for a channel but a sender's own task.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from shared.bus import service_events
from shared.bus.messages import Event, SessionView
from shared.bus.notifications import NoticeView, RecipientView, TestResult
from shared.config import NotifyConfig
from shared.errors import StorageFailed
from supervisor.notifications.channels.contract import Delivered, Gone, Note, Outcome, Refused, Retry
from supervisor.notifications.courier import Courier
from supervisor.notifications.happenings import JOURNAL, ROUTINE, Happening, Told, is_news, read
from supervisor.notifications.links import Links
from supervisor.notifications.outbox import Outbox
from supervisor.notifications.recipient import Recipient
from supervisor.notifications.recipients import Recipients, view_of
from supervisor.notifications.replies import reply_note
from supervisor.notifications.rules import Circumstances, Desk, Notice, Presence, notice_view
from supervisor.notifications.workshop import Workshop
from supervisor.store.store import Store, now_ms

PAGE = 200
IDLE_SECONDS = 30.0
AGAIN_SECONDS = 1.0
PRESENT_MS = 75_000
"""How long a recipient that says that somebody looks is believed."""

STALE_MS = 3_600_000
"""What is older than this when the supervisor returns is no news any more, unless it still waits."""

TELL_FAILURE_AT = 3
"""A channel that has to be tried again is told as failing at this attempt; one that refuses, at once."""

FAILED = "notification_failed"
_CURSOR = "notifications"
_REPLACES = frozenset({"webpush", "ntfy", "apns", "webhook"})
"""Channels where something can be withdrawn."""


class Notifications:
    """All of it. `look` says what a session is now, `node` names this installation in keys."""

    def __init__(
        self,
        store: Store,
        config: Callable[[], NotifyConfig],
        look: Callable[[str], SessionView | None],
        key_file: Path,
        node: str,
        log: logging.Logger,
        clock: Callable[[], int] = now_ms,
        courier: Courier | None = None,
    ) -> None:
        self._store, self._config, self._look, self._log, self._clock = store, config, look, log, clock
        self._node = f"{node}/{store.epoch}"
        self.courier = courier or Courier(Workshop(key_file), log)
        self.recipients = Recipients(store, config)
        self.links = Links(store, clock)
        self.outbox = Outbox(store, self._send, self._concluded, clock)
        self._desks: dict[str, Desk] = {}
        self._present: dict[str, int] = {}
        self._asking: dict[str, str] = {}
        self._news = asyncio.Event()
        self._cursor = 0

    # -- the daemon's side -----------------------------------------------------------------------------------------

    def offer(self, events: list[Event]) -> None:
        """Something was committed."""
        if any(is_news(event) for event in events):
            self._news.set()

    def seed(self, waiting: dict[str, str]) -> None:
        """Before anything is read: where the journal was left, and which sessions (id: what for) wait already."""
        stored = self._store.meta(_CURSOR)
        if stored is None:
            self._store.set_meta(_CURSOR, str(self._store.head()))
        self._asking = dict(waiting)
        self._load()

    async def run(self) -> None:
        """Tell until cancelled."""
        sending = asyncio.create_task(self.outbox.run(), name="outbox")
        try:
            while True:
                try:
                    pause = await self._pass()
                except StorageFailed as refusal:
                    self._log.warning("notifications_not_stored", extra={"fields": {"why": refusal.message}})
                    pause = AGAIN_SECONDS
                    await asyncio.sleep(AGAIN_SECONDS)
                    self._reload()
                try:
                    async with asyncio.timeout(pause):
                        await self._news.wait()
                except TimeoutError:
                    pass
        finally:
            sending.cancel()
            await asyncio.wait({sending})
            self.courier.close()

    def failing(self) -> list[Recipient]:
        """The channels whose last sending has failed."""
        return [recipient for recipient in self.recipients.all() if recipient.error is not None]

    # -- people's side ---------------------------------------------------------------------------------------------

    def changed(self, recipient: Recipient) -> None:
        """A recipient is new, or its rules are others."""
        desk = self._desks.get(recipient.id)
        if desk is None:
            self._desks[recipient.id] = Desk(recipient, self._node)
        else:
            desk.recipient = recipient
            self._keep(desk, desk.reconsider())
        self._news.set()

    def removed(self, recipient: Recipient) -> None:
        """A recipient is no more."""
        self._desks.pop(recipient.id, None)
        self._present.pop(recipient.id, None)
        self.outbox.drop(recipient.id)

    def present(self, recipient: Recipient, here: bool) -> None:
        """Somebody looks at this recipient, or does not any more."""
        now = self._clock()
        self._present = {name: until for name, until in self._present.items() if until > now}
        if here:
            self._present[recipient.id] = now + PRESENT_MS
        elif self._present.pop(recipient.id, None) is not None:
            for desk in self._desks.values():
                self._keep(desk, desk.reconsider())
            self._news.set()

    async def test(self, recipient: Recipient) -> TestResult:
        """Send a test past all rules, and say what became of it, hop by hop."""
        now, key = self._clock(), f"{self._node}:test-{secrets.token_hex(4)}"
        notice = Notice(
            recipient=recipient.id, key=key, seq=0, at=now, kind="test", tag="test", name="pilotlight",
            phrase="can reach this recipient", state="sending", via=key, via_tag="test",
        )  # fmt: skip
        note = Note(
            key=key, kind="test", tag="test", title="A test", body="pilotlight can reach this recipient.", at=now
        )
        self._save(notice)
        began = time.monotonic()
        outcome = await self._send(recipient.id, note)
        took = round((time.monotonic() - began) * 1000)
        accepted = isinstance(outcome, Delivered)
        detail = outcome.detail if isinstance(outcome, Delivered) else outcome.why
        latest = self._notice(recipient.id, key) or notice  # the recipient may have been quicker
        state = "told" if accepted else "failed"
        notice = replace(latest, state=state, reason="" if accepted else detail, told_at=now if accepted else None)
        with self._store.transaction():
            self._save(notice)
            self._note_health(recipient.id, note, outcome, 1 if not isinstance(outcome, Retry) else TELL_FAILURE_AT)
        hops = [{"hop": "sent", "at": now, "ok": True}, {"hop": "accepted", "at": now + took, "ok": accepted}]
        return TestResult(notice=self.view(notice), accepted=accepted, detail=detail, milliseconds=took, hops=hops)

    def received(self, recipient: Recipient, key: str, step: str) -> NoticeView | None:
        """The recipient says that it has received or shown something."""
        notice = self._notice(recipient.id, key.partition("+")[0])
        if notice is None:
            return None
        now = self._clock()
        if step == "shown":
            notice = replace(notice, shown_at=now, received_at=notice.received_at or now)
        else:
            notice = replace(notice, received_at=now)
        desk = self._desks.get(recipient.id)
        if desk is not None and notice.key in desk.live:
            desk.live[notice.key] = notice
        self._save(notice)
        return self.view(notice)

    def log(self, limit: int, recipient: str | None) -> list[NoticeView]:
        """What was told, and what was not and why; newest first."""
        found = self._store.notifications.notices(limit, recipient)
        return [self.view(msgspec.json.decode(body, type=Notice)) for body in found]

    def views(self) -> list[RecipientView]:
        """All recipients."""
        return [self.recipient_view(recipient) for recipient in self.recipients.all()]

    def recipient_view(self, recipient: Recipient) -> RecipientView:
        """One."""
        now = self._clock()
        here = self._present.get(recipient.id, 0) > now
        return view_of(self.recipients.get(recipient.id), here, self.outbox.waiting(recipient.id), now)

    def view(self, notice: Notice) -> NoticeView:
        """A notice as people see it in the log."""
        return notice_view(notice, self.recipients.find(notice.recipient), self._clock())

    def wish_reply(self, message: str, recipient: Recipient) -> None:
        """This recipient wants the reply to this message pushed."""
        if recipient.id not in self._desks:
            self._desks[recipient.id] = Desk(recipient, self._node)
        self._store.notifications.wish_reply(message, recipient.id)
        self._reply(message)

    # -- the pass --------------------------------------------------------------------------------------------------

    async def _pass(self) -> float:
        """Read what is new, send what is due; seconds until there is something to do by itself."""
        while True:
            self._news.clear()
            events = self._store.events(self._cursor, PAGE, None, JOURNAL)
            if events:
                self._take(events)
            self._release()
            if len(events) < PAGE:
                break
            await asyncio.sleep(0)
        due = [at for at in (desk.next_due() for desk in self._desks.values()) if at is not None]
        pause = (min(due) - self._clock()) / 1000 if due else IDLE_SECONDS
        return max(0.01, min(IDLE_SECONDS, pause))

    def _take(self, events: list[Event]) -> None:
        now = self._clock()
        with self._store.transaction():
            for event in events:
                try:
                    self._consider(event, now)
                except StorageFailed:
                    raise
                except (
                    Exception
                ) as error:  # the boundary of a session's path: one event is not told, and the rest goes on
                    fields = {"seq": event.seq, "kind": event.kind, "error": repr(error)[:200]}
                    self._log.error("event_not_told", extra={"fields": fields})
            self._cursor = events[-1].seq
            self._store.set_meta(_CURSOR, str(self._cursor))

    def _consider(self, event: Event, now: int) -> None:
        if self._desks or event.kind not in ROUTINE:
            happening = read(event, self._look, self._message)
            if happening is not None:
                self._happen(happening, now)
        if event.kind == "message" and event.data.get("state") in ("answered", "failed", "interrupted"):
            self._reply(str(event.data.get("message")))

    def _happen(self, happening: Happening, now: int) -> None:
        session = happening.session or ""
        if happening.waiting is not None:
            self._asking[session] = happening.waiting
        elif self._asking.get(session) in happening.closes or happening.kind in ("expired", "crashed"):
            self._asking.pop(session, None)
        if happening.kind is not None and now - happening.at > STALE_MS and happening.waiting is None:
            happening = dataclasses.replace(happening, kind=None)
        for desk in self._desks.values():
            if self._tells_events(desk.recipient):
                changed, notes = desk.take(happening, self._here(desk.recipient))
                self._keep(desk, changed)
                self._put(desk, notes)

    def _release(self) -> None:
        now = self._clock()
        for desk in self._desks.values():
            due = desk.next_due()
            if due is not None and due <= now:
                with self._store.transaction():
                    changed, notes = desk.release(self._here(desk.recipient))
                    self._keep(desk, changed)
                    self._put(desk, notes)
        if self._desks:  # else none has come
            self._store.notifications.prune_notices()

    def _put(self, desk: Desk, notes: list[Note]) -> None:
        for note in notes:
            if note.withdrawn and desk.recipient.kind not in _REPLACES:
                continue
            for lost in self.outbox.put(desk.recipient.id, note):
                self._keep(desk, desk.conclude(lost.key, "dropped", "a newer one took its place", self._clock()))

    def _here(self, recipient: Recipient) -> Circumstances:
        config, now = self._config(), self._clock()
        others = [until for name, until in self._present.items() if name != recipient.id]
        presence = Presence(self._present.get(recipient.id, 0), max(others, default=0))
        link = config.url.rstrip("/") if config.url else None
        return Circumstances(now, presence, len(self._asking), config.answered_seconds, link)

    def _message(self, message_id: str) -> Told | None:
        record = self._store.message(message_id)
        if record is None:
            return None
        begun = record.steps.get("submitted", record.created_at)
        ended = record.steps.get(record.state, begun)
        error = str((record.error or {}).get("message") or "")
        return Told(record.kind, (ended - begun) / 1000, record.reply, error)

    def _reply(self, message: str) -> None:
        recipient = self._store.notifications.reply_wish(message)
        if recipient is None:
            return
        record = self._store.message(message)
        if record is None or record.state not in ("answered", "failed", "interrupted", "cancelled"):
            return
        with self._store.transaction():
            self._store.notifications.forget_wish(message)
            session = self._store.session(record.session_id)
            note = reply_note(record, session.project_path if session else "", self._node, self._clock())
            self.outbox.put(recipient, note)

    @staticmethod
    def _tells_events(recipient: Recipient) -> bool:
        return recipient.rules.kinds != []

    # -- what became of it -----------------------------------------------------------------------------------------

    async def _send(self, recipient_id: str, note: Note) -> Outcome:
        recipient, config = self.recipients.find(recipient_id), self._config()
        if recipient is None:
            return Gone("The recipient was removed.")
        if recipient.kind == "ntfy" and not note.withdrawn:
            note = self.links.with_links(note, recipient_id, config.url.rstrip("/") if config.url else None)
        return await self.courier.send(recipient, note, config)

    def _concluded(self, recipient_id: str, note: Note, outcome: Outcome, attempts: int) -> None:
        now, desk = self._clock(), self._desks.get(recipient_id)
        if desk is not None and not isinstance(outcome, Retry):
            told = isinstance(outcome, Delivered)
            reason = "" if isinstance(outcome, Delivered) else outcome.why
            self._keep(desk, desk.conclude(note.key, "told" if told else "failed", reason, now))
        if self.recipients.find(recipient_id) is not None:
            self._note_health(recipient_id, note, outcome, attempts)

    def _note_health(self, recipient_id: str, note: Note, outcome: Outcome, attempts: int) -> None:
        recipient, now = self.recipients.get(recipient_id), self._clock()
        if isinstance(outcome, Delivered):
            self.recipients.save(replace(recipient, success_at=now, error=None, failures=0, told_failure=False))
            return
        tell = not recipient.told_failure and (isinstance(outcome, Refused | Gone) or attempts >= TELL_FAILURE_AT)
        fields = {"recipient": recipient.name, "channel": recipient.kind, "why": outcome.why}
        if tell:
            seq = note.event.seq if note.event else None
            self._store.append(service_events.NotificationFailed(seq=seq, of=note.kind, **fields))
        self._log.warning(FAILED, extra={"fields": {**fields, "key": note.key, "attempt": attempts}})
        if isinstance(outcome, Gone) and not recipient.configured:
            self.recipients.remove(recipient_id)
            self.removed(recipient)
            return
        told = recipient.told_failure or tell
        failures = recipient.failures + 1
        self.recipients.save(replace(recipient, error=outcome.why, error_at=now, failures=failures, told_failure=told))

    # -- what is kept ----------------------------------------------------------------------------------------------

    def _keep(self, desk: Desk, changed: list[Notice]) -> None:
        for notice in changed:
            self._store.notifications.save_notice(
                notice.recipient, notice.key, notice.key in desk.live, msgspec.json.encode(notice)
            )

    def _save(self, notice: Notice) -> None:
        desk = self._desks.get(notice.recipient)
        live = desk is not None and notice.key in desk.live
        self._store.notifications.save_notice(notice.recipient, notice.key, live, msgspec.json.encode(notice))

    def _notice(self, recipient: str, key: str) -> Notice | None:
        body = self._store.notifications.notice(recipient, key)
        return msgspec.json.decode(body, type=Notice) if body is not None else None

    def _load(self) -> None:
        self._cursor = int(self._store.meta(_CURSOR) or self._store.head())
        for recipient in self.recipients.all():
            live = [msgspec.json.decode(b, type=Notice) for b in self._store.notifications.live_notices(recipient.id)]
            self._desks[recipient.id] = Desk(recipient, self._node, live)
        self.outbox.load()

    def _reload(self) -> None:
        """The database has refused a step: what it holds is what is true."""
        try:
            self._load()
        except StorageFailed:
            self._news.set()
