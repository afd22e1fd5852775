"""Leaving Claude's service alone for a while after it has refused a message: the session waits, and so does its queue.

The message that was refused has failed and is not sent again; the next one is the probe. Each refusal in a row makes the
pause longer, unless the service says until when; the first answer makes it short again. What must not regress: a pause is
measured on the clock that cannot be set, survives restarts of the supervisor, and ends early when a person says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from shared.bus.messages import Choice, Waiting, WaitingFor
from supervisor import clock
from supervisor.claude.usage_limits import LONGEST_SECONDS, resume_at
from supervisor.store.store import SessionRecord

LONGEST_PAUSE_SECONDS = 900.0
"""How long a pause grows that the service has not named."""

SLACK_SECONDS = 5.0
"""Added to a time that the service names: its clock is not ours."""

_HOLD = "hold-"
_LOG_IN = "Log in with /login, in this session's terminal or in a `claude` beside it, or set a token in claude.env and restart "
_LOG_IN += "pilotlight; then answer `retry`."


@dataclass(frozen=True)
class Cause:
    """Why the service refuses. `first_pause` in seconds."""

    kind: WaitingFor
    title: str
    first_pause: float
    advice: str = ""


_LIMIT = Cause("rate_limit", "Claude's usage limit is reached", 60.0)
_OVERLOAD = Cause("rate_limit", "Claude's service is overloaded or out of order", 5.0)
_LOGIN = Cause("login", "Claude's service does not accept the login", 30.0, _LOG_IN)
CAUSES = {"rate_limit": _LIMIT, "overloaded": _OVERLOAD, "server_error": _OVERLOAD, "authentication_failed": _LOGIN}
"""By the code of the error. Whatever else fails is the message's own fault, and the next one is sent at once."""


@dataclass(frozen=True)
class Backoff:
    """One pause: for which error, which in a row, for how many seconds, and in the service's words."""

    code: str
    refusals: int
    seconds: float
    reason: str | None


def after_failure(record: SessionRecord, code: str | None, text: str | None, wall: float) -> Backoff | None:
    """The pause that a failed message calls for; None for errors that say nothing about the next message. `wall` is the
    wall clock, in seconds since the epoch."""
    if code is None or code not in CAUSES:
        return None
    cause = CAUSES[code]
    refusals = record.refusals + 1 if CAUSES.get(record.held_for or "") is cause else 1
    pause = min(LONGEST_PAUSE_SECONDS, cause.first_pause * 2.0 ** min(refusals - 1, 30))
    zone = datetime.fromtimestamp(wall).astimezone().tzinfo
    assert zone is not None
    told = resume_at(text or "", wall, zone)
    if told is not None:
        pause = max(told + SLACK_SECONDS - wall, pause if refusals > 1 else 0.0)
    return Backoff(code, refusals, pause, text)


def begin(record: SessionRecord, hold: Backoff) -> None:
    """Nothing is sent for a while. `held_until` is for people, and for after a reboot."""
    record.held_until, record.held_reason = math.ceil((clock.wall() + hold.seconds) * 1000), hold.reason
    record.held_clock, record.held_boot = clock.now() + hold.seconds, clock.BOOT
    record.held_for, record.refusals = hold.code, hold.refusals


def lift(record: SessionRecord) -> None:
    """A person wants to try now; whether the service agrees is not known yet."""
    record.held_until = None


def forgive(record: SessionRecord) -> None:
    """The service has answered: the next refusal is the first."""
    record.held_until, record.held_for, record.refusals = None, None, 0


def is_held(record: SessionRecord) -> bool:
    """Whether it still is: by the clock that cannot be set, and after a reboot by the wall clock."""
    if record.held_until is None:
        return False
    if record.held_boot == clock.BOOT:
        return clock.now() < record.held_clock
    return 0 < record.held_until / 1000 - clock.wall() <= LONGEST_SECONDS


def is_login_refused(record: SessionRecord) -> bool:
    """Whether the service did not accept the login when it was last asked; the pause behind that may be over."""
    return CAUSES.get(record.held_for or "") is _LOGIN and record.refusals > 0


def waiting(record: SessionRecord, since: int) -> Waiting | None:
    """What a held session waits for; None when it is not held."""
    if not is_held(record):
        return None
    cause = CAUSES.get(record.held_for or "", _LIMIT)
    return Waiting(
        id=f"{_HOLD}{record.held_until}",
        kind=cause.kind,
        title=cause.title,
        text="\n".join(filter(None, (record.held_reason, cause.advice))),
        choices=[Choice(id="retry", label="Try again now")],
        since=since,
        until=record.held_until,
    )


def is_hold(waiting_id: str) -> bool:
    """Whether what is waited for is the end of a pause."""
    return waiting_id.startswith(_HOLD)
