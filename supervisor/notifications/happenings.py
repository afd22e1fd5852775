"""The journal as people see it: which events are worth telling anybody, and which of them are over.

Pure, but for what `look` and `message` say of a session and a message. A happening `opens` what it tells under a name (what a
session waits for, a warning that has been given), and others close that name: what was answered at the terminal is over on
the phone. Only transitions are here; what merely goes on is none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from shared.bus.messages import Event, SessionView, Waiting
from supervisor.notifications.channels.contract import Choice, Urgency

JOURNAL = [
    *("waiting", "answered", "expired", "message", "warning", "extended", "ended", "crashed", "resumed"),
    *("pressure", "start_delayed", "memory", "stuck", "state", "reopened", "scheduled_lost"),
]
"""The kinds of events that are read."""

ROUTINE = frozenset({"message", "state"})
"""Of these every turn has some, and they mean something to recipients alone."""

_TELLING = frozenset({"accepted", "answered", "failed", "interrupted"})
"""The steps of a message that mean something to people."""

MAX_CHOICES = 3
MAX_TEXT = 400
_ENDS = {"expired": "expired", "crashed": "crashed", "start_failed": "crashed", "lost": "crashed"}
_QUICK = frozenset({"permission", "plan", "trust"})
"""What can be answered with one touch: a question takes more than that."""


@dataclass(frozen=True)
class Told:
    """How a message has ended, as far as it is told."""

    kind: str
    seconds: float
    reply: str | None
    error: str | None


@dataclass(frozen=True)
class Happening:
    """One event. `kind` None: nothing to tell, but something is over. `until` in milliseconds: a time to be told."""

    seq: int
    at: int
    session: str | None
    tag: str
    kind: str | None = None
    name: str = ""
    phrase: str = ""
    text: str = ""
    opens: str | None = None
    closes: tuple[str, ...] = ()
    closed_by: str = ""
    urgency: Urgency = "normal"
    waiting: str | None = None
    choices: tuple[Choice, ...] = ()
    until: int | None = None
    seconds: float | None = None


Look = Callable[[str], SessionView | None]
Message = Callable[[str], Told | None]


def is_news(event: Event) -> bool:
    """Whether an event has to be read now: most steps of a message mean nothing, and are passed over with the next that does."""
    if event.kind == "state":
        return _is_end_of_work(event)
    return event.kind in JOURNAL and (event.kind != "message" or event.data.get("state") in _TELLING)


def _is_end_of_work(event: Event) -> bool:
    return event.data.get("from") == "busy" and event.data.get("to") != "busy"


def read(event: Event, look: Look, message: Message) -> Happening | None:
    """What an event means to people; None: nothing."""
    reader = _READERS.get(event.kind)
    return reader(event, look, message) if reader is not None else None


def name_of(view: SessionView | None, session: str | None) -> str:
    """What people call a session."""
    if view is None:
        return f"session {(session or '')[:8]}"
    return view.title or PurePath(view.project_path).name or view.id[:8]


def _base(event: Event, look: Look) -> dict[str, Any]:
    view = look(event.session) if event.session else None
    named = name_of(view, event.session) if event.session else ""
    return {
        "seq": event.seq,
        "at": event.at,
        "session": event.session,
        "tag": event.session or event.kind,
        "name": named,
    }


def _waiting(event: Event, look: Look, _: Message) -> Happening | None:
    kind, waiting_id = str(event.data.get("for")), str(event.data.get("id"))
    view = look(event.session or "")
    asked = view.waiting if view is not None and view.waiting is not None and view.waiting.id == waiting_id else None
    told = {"login": "login", "rate_limit": "limit"}.get(kind, "waiting")
    phrases = {
        "permission": "asks for permission",
        "question": "has a question",
        "plan": "has a plan for you",
        "elicitation": "has a form for you",
        "trust": "asks whether to trust the folder",
        "login": "needs a login",
        "peer": "holds a message of another session",
        "rate_limit": "has reached a usage limit",
    }
    return Happening(
        **_base(event, look),
        kind=told,
        phrase=phrases.get(kind, "waits for you"),
        text=_asked(asked, str(event.data.get("title") or "")),
        opens=waiting_id,
        urgency="normal" if told == "limit" else "high",
        waiting=waiting_id,
        choices=_choices(asked) if kind in _QUICK else (),
        until=asked.until if asked is not None and told == "limit" else None,
    )


def _asked(asked: Waiting | None, title: str) -> str:
    words = [title] if asked is None else [asked.title, asked.text]
    return cut(" · ".join(dict.fromkeys(part for part in words if part)))


def _choices(asked: Waiting | None) -> tuple[Choice, ...]:
    if asked is None:
        return ()
    plain = [choice for choice in asked.choices if choice.id in ("allow", "deny", "yes", "no")] or asked.choices
    return tuple(Choice(id=choice.id, label=choice.label) for choice in plain[:MAX_CHOICES])


def _closed(event: Event, look: Look, _: Message) -> Happening | None:
    if event.kind == "expired":
        by = str(event.data.get("cause") or "elsewhere")
        words = {"terminal": "answered at the terminal", "time": "over", "claude": "decided by Claude"}.get(by, by)
    else:
        who = event.data.get("by")
        choice = event.data.get("choice")
        words = "answered" + (f" ({choice})" if choice else "") + (f" by {who}" if who else "")
    return Happening(**_base(event, look), closes=(str(event.data.get("id")),), closed_by=words)


def _message(event: Event, look: Look, message: Message) -> Happening | None:
    state = event.data.get("state")
    if state not in _TELLING:
        return None
    closes = (f"warning:{event.session}", f"stuck:{event.session}")
    quiet = Happening(**_base(event, look), closes=closes, closed_by="it goes on")
    if state not in ("answered", "failed"):
        return quiet
    told = message(str(event.data.get("message")))
    if told is None or told.kind != "prompt":
        return quiet
    failed = state == "failed"
    return Happening(
        **_base(event, look),
        kind=str(state),
        phrase="has failed" if failed else "has answered",
        text=cut((told.error if failed else told.reply) or ""),
        closes=closes,
        closed_by="it goes on",
        urgency="normal",
        seconds=told.seconds,
    )


def _warning(event: Event, look: Look, _: Message) -> Happening | None:
    left = float(event.data.get("expiresInSeconds") or 0)
    return Happening(
        **_base(event, look),
        kind="warning",
        phrase=f"expires in {_span(left)}",
        opens=f"warning:{event.session}",
        choices=(Choice(id="extend", label="Keep alive"),),
        until=event.at + int(left * 1000),
    )


def _over(event: Event, look: Look, _: Message) -> Happening | None:
    words = {"extended": "kept alive", "reopened": "opened again"}[event.kind]
    closes = (f"warning:{event.session}", f"ended:{event.session}")
    return Happening(**_base(event, look), closes=closes, closed_by=words)


def _ended(event: Event, look: Look, _: Message) -> Happening | None:
    reason = str(event.data.get("reason"))
    session = event.session
    closes = (f"warning:{session}", f"stuck:{session}", f"crashed:{session}")
    kind = _ENDS.get(reason)
    if kind is None:
        return Happening(**_base(event, look), closes=closes, closed_by=f"it has ended ({reason})")
    phrases = {"expired": "has expired", "start_failed": "could not be started", "lost": "has lost its conversation"}
    text = "The next message opens it again." if reason == "expired" else ""
    return Happening(
        **_base(event, look),
        kind=kind,
        phrase=phrases.get(reason, "kept crashing and has ended"),
        text=text,
        opens=f"ended:{session}",
        closes=closes,
        closed_by=f"it has ended ({reason})",
    )


def _crashed(event: Event, look: Look, _: Message) -> Happening | None:
    if event.data.get("then") == "give_up":  # `ended` says so, too
        return None
    phrase, text = "has crashed and is started again", str(event.data.get("exit") or "")
    return Happening(
        **_base(event, look), kind="crashed", phrase=phrase, text=cut(text), opens=f"crashed:{event.session}"
    )


def _resumed(event: Event, look: Look, _: Message) -> Happening | None:
    closes = (f"crashed:{event.session}",)
    return Happening(
        **_base(event, look), kind="crashed", phrase="had crashed and is back", closes=closes, closed_by="it is back"
    )


def _pressure(event: Event, look: Look, _: Message) -> Happening | None:
    what = str(event.data.get("what"))
    base = {**_base(event, look), "tag": f"pressure:{what}", "name": "Memory"}
    if not event.data.get("short"):
        return Happening(**base, closes=(base["tag"],), closed_by="enough again")
    of = "of all sessions" if what == "memory_total" else "of the machine"
    return Happening(**base, kind="pressure", phrase=f"{of} is short: idle sessions sleep", opens=base["tag"])


def _delayed(event: Event, look: Look, _: Message) -> Happening | None:
    base = {**_base(event, look), "tag": "pressure:cpu", "session": None, "name": "CPU"}
    return Happening(**base, kind="pressure", phrase="is busy: new sessions wait")


def _memory(event: Event, look: Look, _: Message) -> Happening | None:
    megabytes = round(float(event.data.get("bytes") or 0) / 1024**2)
    base = {**_base(event, look), "tag": f"memory:{event.session}"}
    text = f"{megabytes} MB of {event.data.get('limitMb')} MB"
    return Happening(**base, kind="pressure", phrase="uses too much memory", text=text)


def _stuck(event: Event, look: Look, _: Message) -> Happening | None:
    minutes = _span(float(event.data.get("quietSeconds") or 0))
    return Happening(
        **_base(event, look), kind="stuck", phrase=f"shows no progress for {minutes}", opens=f"stuck:{event.session}"
    )


def _state(event: Event, look: Look, _: Message) -> Happening | None:
    if not _is_end_of_work(event):
        return None
    return Happening(**_base(event, look), closes=(f"stuck:{event.session}",), closed_by="it goes on")


def _scheduled_lost(event: Event, look: Look, _: Message) -> Happening | None:
    tasks = event.data.get("tasks")
    prompts = (
        [str(task.get("prompt") or "") for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []
    )
    what = "what" if len(prompts) < 2 else f"{len(prompts)} things that"
    phrase = f"does not do {what} Claude had planned"
    return Happening(**_base(event, look), kind="scheduled", phrase=phrase, text=cut("; ".join(prompts)))


_READERS: dict[str, Callable[[Event, Look, Message], Happening | None]] = {
    "waiting": _waiting,
    "answered": _closed,
    "expired": _closed,
    "message": _message,
    "warning": _warning,
    "extended": _over,
    "reopened": _over,
    "ended": _ended,
    "crashed": _crashed,
    "resumed": _resumed,
    "pressure": _pressure,
    "start_delayed": _delayed,
    "memory": _memory,
    "stuck": _stuck,
    "state": _state,
    "scheduled_lost": _scheduled_lost,
}


def cut(text: str, most: int = MAX_TEXT) -> str:
    """The beginning of a text, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _span(seconds: float) -> str:
    if seconds >= 5400:
        return f"{seconds / 3600:.0f} hours"
    if seconds >= 120:
        return f"{seconds / 60:.0f} minutes"
    return f"{max(1, seconds):.0f} seconds"
