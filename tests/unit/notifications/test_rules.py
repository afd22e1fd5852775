"""What a recipient is told, by a given clock: transitions, storms, quiet hours, mute, presence, words, and what is withdrawn."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from shared.bus.messages import Choice as Offered
from shared.bus.messages import Event, SessionView, Waiting
from shared.bus.notifications import FOREVER, Quiet, Rules
from supervisor.notifications.channels.contract import Note
from supervisor.notifications.happenings import Told, read
from supervisor.notifications.recipient import ASKS, Recipient, held_until, quiet_until
from supervisor.notifications.rules import AWAY_MS, BURST, WINDOW_MS, Circumstances, Desk, Notice, Presence

NOON = int(datetime(2026, 11, 28, 12, tzinfo=UTC).timestamp() * 1000)
MINUTE, HOUR = 60_000, 3_600_000


class Person:
    """One recipient, and what it was told: by a clock that stands still until it is moved."""

    def __init__(self, **rules: Any) -> None:
        self.now = NOON
        self.presence = Presence()
        recipient = Recipient(id="d1", kind="webpush", name="phone", target={}, rules=Rules(zone="UTC", **rules))
        self.desk = Desk(recipient, "node/e1")
        self.log: dict[str, Notice] = {}
        self.shown: dict[str, Note] = {}
        self.buzzes: list[Note] = []
        self.views: dict[str, SessionView] = {}
        self.messages: dict[str, Told] = {}
        self.seq = 0

    def here(self) -> Circumstances:
        return Circumstances(self.now, self.presence)

    def happens(self, kind: str, session: str | None = "s1", **data: Any) -> int:
        self.seq += 1
        event = Event(v=1, epoch="e1", seq=self.seq, at=self.now, kind=kind, session=session, data=data)
        if kind == "waiting" and session is not None:
            self.views[session] = self.view(session, data)
        happening = read(event, lambda name: self.views.get(name) or self.view(name), self.messages.get)
        if happening is not None:
            self._apply(*self.desk.take(happening, self.here()))
        return self.seq

    def view(self, session: str, asked: dict[str, Any] | None = None) -> SessionView:
        waiting = None
        if asked is not None:
            waiting = Waiting(
                id=asked["id"],
                kind=asked["for"],
                title=asked.get("title", "Claude asks to use Bash"),
                text="rm -rf build",
                choices=[Offered(id="allow", label="Allow"), Offered(id="deny", label="Deny")],
                until=asked.get("until"),
            )
        return SessionView(
            id=session, state="waiting", project_path=f"/home/ada/{session}", created_at=0, last_activity=0,
            message_count=0, queue_length=0, waiting=waiting,
        )  # fmt: skip

    def asks(self, session: str = "s1", identity: str | None = None, kind: str = "permission", **more: Any) -> str:
        identity = identity or f"w{self.seq + 1}"
        title = "Claude asks to use Bash"
        self.happens("waiting", session, **{"for": kind, "id": identity, "title": title, **more})
        return identity

    def answered(self, identity: str, session: str = "s1", **data: Any) -> None:
        self.happens("answered", session, id=identity, **data)

    def passes(self, milliseconds: int, step: int = 100) -> None:
        end = self.now + milliseconds
        while self.now < end:
            due = self.desk.next_due()
            self.now = min(end, max(self.now + 1, due if due is not None else end, self.now + (0 if due else step)))
            self._apply(*self.desk.release(self.here()))

    def _apply(self, changed: list[Notice], notes: list[Note]) -> None:
        for notice in changed:
            self.log[notice.key] = notice
        for note in notes:
            if note.withdrawn:
                self.shown.pop(note.tag, None)
            else:
                self.shown[note.tag] = note
            if note.urgency != "low":
                self.buzzes.append(note)
            for notice in self.desk.conclude(note.key, "told", "", self.now):
                self.log[notice.key] = notice

    def fates(self) -> list[tuple[str, str]]:
        return [(notice.state, notice.reason) for notice in self.log.values()]


@pytest.fixture
def person() -> Person:
    return Person()


def test_what_waits_is_told_once_with_its_choices(person: Person) -> None:
    identity = person.asks()
    person.passes(HOUR)

    (note,) = person.buzzes
    assert note.title == "s1 asks for permission"
    assert note.body == ""
    assert (note.waiting, [choice.id for choice in note.choices]) == (identity, ["allow", "deny"])
    assert (note.tag, note.key, note.urgency) == ("s1", "node/e1:1", "high")


def test_what_a_rule_answers_at_once_is_nobodys(person: Person) -> None:
    person.answered(person.asks(), by="policy")
    person.passes(HOUR)

    assert person.buzzes == []
    assert person.fates() == [("dropped", "answered by policy, before it was told")]


def test_what_was_answered_elsewhere_is_withdrawn(person: Person) -> None:
    identity = person.asks()
    person.passes(MINUTE)
    person.happens("expired", id=identity, **{"for": "permission", "cause": "terminal"})

    assert person.shown == {}
    assert person.fates() == [("withdrawn", "answered at the terminal")]
    assert len(person.buzzes) == 1


def test_a_session_has_one_notification(person: Person) -> None:
    first = person.asks()
    person.passes(2 * MINUTE)
    person.answered(first)
    person.asks()
    person.passes(2 * MINUTE)

    assert list(person.shown) == ["s1"]
    assert len(person.buzzes) == 2


def test_a_storm_is_a_handful_and_leaves_nothing_out_that_waits(person: Person) -> None:
    """300 events in ten seconds over ten sessions."""
    source = random.Random(1)
    asking: dict[str, str] = {}
    for count in range(300):
        session = f"s{count % 10}"
        if session in asking and source.random() < 0.5:
            person.answered(asking.pop(session), session)
        elif session not in asking:
            asking[session] = person.asks(session)
        else:
            person.happens("crashed", session, then="revive", exit="9")
        person.passes(33)
    person.passes(WINDOW_MS)

    assert len(person.buzzes) <= BURST + 2
    told = "\n".join(f"{note.title}\n{note.body}" for note in person.shown.values())
    assert asking
    for session in asking:
        assert f"{session} asks for permission" in told, session
    waiting = [notice for notice in person.log.values() if notice.kind in ASKS]
    open_ones = [notice for notice in waiting if notice.opens in asking.values()]
    assert {notice.state for notice in open_ones} == {"told"}
    assert {notice.state for notice in waiting if notice not in open_ones} <= {"dropped", "withdrawn"}


def test_a_storm_that_goes_on_is_one_more_in_a_window(person: Person) -> None:
    for count in range(600):
        person.asks(f"s{count}")
        person.passes(500)

    minutes = (person.now - NOON) / MINUTE
    assert len(person.buzzes) <= minutes * (BURST + 1) * MINUTE / WINDOW_MS + BURST + 1
    person.passes(WINDOW_MS)
    many = person.shown["many"]
    alone = {note.session for tag, note in person.shown.items() if tag != "many"}
    assert many.title == f"{600 - len(alone)} sessions wait for you"


def test_quiet_hours_end_with_one_digest(person: Person) -> None:
    person = Person(quiet=Quiet(start="22:00", end="07:00"))
    person.now = NOON + 11 * HOUR
    first = person.asks("shop")
    person.asks("blog")
    person.messages["m1"] = Told("prompt", 400.0, "Done.", None)
    person.happens("message", "docs", message="m1", state="answered")
    person.passes(HOUR)
    person.answered(first, "shop")
    assert person.buzzes == []
    person.passes(8 * HOUR)

    (digest,) = person.buzzes
    assert (digest.tag, digest.title) == ("digest", "1 session waits for you and 1 thing has happened")
    assert digest.body == "blog asks for permission\ndocs has answered"
    assert person.now == NOON + 20 * HOUR
    assert digest.at == NOON + 19 * HOUR


def test_a_mute_for_an_hour_holds_back_and_one_for_ever_drops() -> None:
    person = Person(muted_until=NOON + HOUR)
    person.asks()
    person.passes(HOUR - 1)
    assert person.buzzes == []
    person.passes(2)
    assert len(person.buzzes) == 1

    silent = Person(muted_until=FOREVER)
    silent.asks()
    silent.passes(HOUR)
    assert silent.buzzes == []
    assert silent.fates() == [("dropped", "the recipient is muted")]


def test_whoever_looks_is_not_told_and_what_waits_is_told_when_they_went_away(person: Person) -> None:
    person.presence = Presence(own=NOON + 75_000)
    person.asks("shop")
    person.messages["m1"] = Told("prompt", 400.0, "Done.", None)
    person.happens("message", "docs", message="m1", state="answered")
    person.passes(74_000)
    assert person.buzzes == []
    assert ("dropped", "somebody was looking on this recipient") in person.fates()
    person.passes(2_000)

    assert [note.session for note in person.buzzes] == ["shop"]


def test_other_recipients_hear_of_what_is_not_answered_where_somebody_looks(person: Person) -> None:
    person.presence = Presence(others=NOON + HOUR)
    person.asks("shop")
    person.passes(AWAY_MS - 1)
    assert person.buzzes == []
    person.passes(2)
    assert len(person.buzzes) == 1


def test_a_recipient_hears_of_its_kinds_and_sessions_only() -> None:
    person = Person(kinds=["waiting"], sessions=["shop"])
    person.asks("shop")
    person.asks("blog")
    person.happens("warning", "shop", expiresInSeconds=14_400)
    person.passes(HOUR)

    assert [note.session for note in person.buzzes] == ["shop"]
    assert person.fates()[1:] == [("dropped", "this recipient is not told of it")] * 2


@pytest.mark.parametrize(
    ("content", "title", "body", "choices"),
    [
        ("none", "pilotlight", "A session waits for you.", 0),
        ("title", "s1 asks for permission", "", 2),
        ("text", "s1 asks for permission", "Claude asks to use Bash · rm -rf build", 2),
    ],
)
def test_no_more_leaves_the_machine_than_is_allowed(content: Any, title: str, body: str, choices: int) -> None:
    person = Person(content=content)
    person.asks()
    person.passes(MINUTE)

    (note,) = person.buzzes
    assert (note.title, note.body, len(note.choices)) == (title, body, choices)


def test_a_usage_limit_is_told_with_its_end_in_the_readers_zone_and_when_it_is_lifted() -> None:
    person = Person()
    person.desk.recipient = replace(person.desk.recipient, rules=Rules(zone="Asia/Tokyo"))
    until = NOON + 2 * HOUR
    identity = person.asks(kind="rate_limit", until=until)
    person.passes(MINUTE)
    assert person.buzzes[0].title == "s1 has reached a usage limit until 23:00"
    person.happens("expired", id=identity, **{"for": "rate_limit", "cause": "time"})

    assert person.shown["s1"].title == "s1: the usage limit is lifted"


def test_a_short_answer_is_not_worth_it_and_a_long_one_is(person: Person) -> None:
    person.messages |= {"m1": Told("prompt", 4.0, "Yes.", None), "m2": Told("prompt", 40.0, "Done.", None)}
    person.messages["m3"] = Told("command", 40.0, None, None)
    for message in person.messages:
        person.happens("message", message=message, state="answered")
    person.happens("message", message="m2", state="submitted")
    person.passes(MINUTE)

    assert [note.title for note in person.buzzes] == ["s1 has answered"]
    assert person.fates()[0] == ("dropped", "it took 4 s only")


def test_a_warning_offers_to_keep_alive_and_is_over_when_it_is(person: Person) -> None:
    person.happens("warning", expiresInSeconds=14_400, reason="inactivity")
    person.passes(MINUTE)
    assert person.buzzes[0].title == "s1 expires in 4 hours, at 16:00"
    assert [choice.id for choice in person.buzzes[0].choices] == ["extend"]
    person.happens("extended", by="token:phone")
    assert person.shown == {}
    person.happens("ended", reason="expired", cause="inactivity")
    person.passes(MINUTE)

    assert person.shown["s1"].title == "s1 has expired"
    person.happens("reopened", by="api")
    assert person.shown == {}


def test_a_crash_that_is_mended_at_once_is_told_in_one(person: Person) -> None:
    person.happens("crashed", then="revive", exit="signal 9")
    person.passes(1000)
    person.happens("resumed", pid=1)
    person.passes(MINUTE)

    assert [note.title for note in person.buzzes] == ["s1 had crashed and is back"]


def test_what_ends_on_purpose_is_no_news_and_what_does_not_is(person: Person) -> None:
    for reason in ("killed", "exited", "crashed", "start_failed", "lost"):
        person.happens("ended", reason, reason=reason)
        person.passes(MINUTE)

    assert [note.session for note in person.buzzes] == ["crashed", "start_failed", "lost"]


def test_the_machine_is_told_of_by_transitions(person: Person) -> None:
    person.happens("pressure", None, what="memory_total", short=True)
    person.passes(MINUTE)
    person.happens("pressure", None, what="memory_total", short=False)
    for _ in range(5):
        person.happens("start_delayed", "s1", cpuPercent=99, limit=80)
        person.passes(MINUTE)

    titles = ["Memory of all sessions is short: idle sessions sleep", "CPU is busy: new sessions wait"]
    assert [note.title for note in person.buzzes] == titles
    assert list(person.shown) == ["pressure:cpu"]


def test_what_waits_is_not_pushed_aside_by_less(person: Person) -> None:
    person.asks()
    person.happens("memory", bytes=10**9, limitMb=500, action="recycle")
    person.happens("stuck", quietSeconds=900)
    person.passes(MINUTE)

    assert person.shown["s1"].kind == "waiting"


def test_what_was_planned_and_is_not_done_is_told(person: Person) -> None:
    person.happens("scheduled_lost", tasks=[{"prompt": "look at the build"}], cause="crashed")
    person.passes(MINUTE)

    (note,) = person.buzzes
    assert (note.kind, "does not do what Claude had planned" in note.title) == ("scheduled", True)


def test_a_newer_thing_takes_the_place_of_what_was_told(person: Person) -> None:
    person.happens("stuck", quietSeconds=900)
    person.passes(MINUTE)
    person.asks()
    person.passes(MINUTE)

    assert person.shown["s1"].kind == "waiting"
    assert person.fates()[0] == ("withdrawn", "a newer one took its place")


def _zones() -> Iterator[tuple[str, int, int | None]]:
    at = int(datetime(2026, 11, 28, 23, 30, tzinfo=UTC).timestamp() * 1000)
    yield "UTC", at, int(datetime(2026, 11, 29, 7, tzinfo=UTC).timestamp() * 1000)
    yield "America/Los_Angeles", at, None
    yield "Europe/Vienna", at, int(datetime(2026, 11, 29, 6, tzinfo=UTC).timestamp() * 1000)
    winter = int(datetime(2026, 10, 24, 22, tzinfo=UTC).timestamp() * 1000)  # summer time ends in that night
    yield "Europe/Vienna", winter, int(datetime(2026, 10, 25, 6, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(("zone", "at", "end"), list(_zones()))
def test_quiet_hours_are_those_of_the_recipients_zone(zone: str, at: int, end: int | None) -> None:
    rules = Rules(quiet=Quiet(start="22:00", end="07:00"), zone=zone)

    assert quiet_until(rules, at) == end
    assert held_until(replace(rules, muted_until=FOREVER), at) == FOREVER


def test_quiet_hours_within_a_day() -> None:
    rules = Rules(quiet=Quiet(start="11:00", end="13:30"), zone="UTC")

    assert quiet_until(rules, NOON) == NOON + 90 * MINUTE
    assert quiet_until(rules, NOON + 90 * MINUTE) is None
    assert quiet_until(replace(rules, quiet=Quiet(start="12:00", end="12:00")), NOON) is None
