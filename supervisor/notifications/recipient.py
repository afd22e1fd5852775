"""Who is told: one recipient, how it is reached, and what its owner wants to hear. Values only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import field

from shared.bus.messages import Wire
from shared.bus.notifications import FOREVER, ChannelKind, Rules

ASKS = frozenset({"waiting", "login"})
"""What somebody has to answer: it is held back, but never dropped, while it stands."""


CONFIGURED = "c_"
"""How the ids of channels begin that stand in the configuration."""


class Recipient(Wire, frozen=True):
    """One registration. `target` has what its channel needs, secrets too: it never leaves the supervisor. `by` has registered it
    last, and with that is its owner; nobody, for one of the configuration."""

    id: str
    kind: ChannelKind
    name: str
    target: dict[str, Any]
    by: str = ""
    rules: Rules = field(default_factory=Rules)
    created_at: int = 0
    seen_at: int = 0
    success_at: int | None = None
    error_at: int | None = None
    error: str | None = None
    failures: int = 0
    told_failure: bool = False

    @property
    def configured(self) -> bool:
        """Whether it stands in the configuration."""
        return self.id.startswith(CONFIGURED)


def zone_of(rules: Rules) -> ZoneInfo | None:
    """The reader's zone; None: this machine's. Raise ValueError for one that does not exist."""
    if rules.zone is None:
        return None
    try:
        return ZoneInfo(rules.zone)
    except (KeyError, OSError) as error:
        raise ValueError(f"There is no time zone {rules.zone!r}.") from error


def local(at: int, rules: Rules) -> datetime:
    """A time (milliseconds) as this recipient's owner reads it."""
    return datetime.fromtimestamp(at / 1000, zone_of(rules)).astimezone(zone_of(rules))


def quiet_until(rules: Rules, now: int) -> int | None:
    """When the quiet hours in which `now` lies end; None outside of them."""
    if rules.quiet is None or rules.quiet.start == rules.quiet.end:
        return None
    present = local(now, rules)
    start, end = _minutes(rules.quiet.start), _minutes(rules.quiet.end)
    minute = present.hour * 60 + present.minute
    within = start <= minute < end if start < end else minute >= start or minute < end
    if not within:
        return None
    day = present.date() if minute < end else present.date() + timedelta(days=1)
    at = datetime(day.year, day.month, day.day, end // 60, end % 60, tzinfo=present.tzinfo)
    if zone_of(rules) is None:
        at = datetime(day.year, day.month, day.day, end // 60, end % 60).astimezone()
    return max(int(at.timestamp() * 1000), now + 1)


def held_until(rules: Rules, now: int) -> int | None:
    """Until when quiet hours or a mute hold everything back; `FOREVER`, or None when nothing does."""
    if rules.muted_until == FOREVER:
        return FOREVER
    muted = rules.muted_until if rules.muted_until is not None and rules.muted_until > now else None
    quiet = quiet_until(rules, now)
    ends = [end for end in (muted, quiet) if end is not None]
    return max(ends) if ends else None


def wants(rules: Rules, kind: str, session: str | None) -> bool:
    """Whether its owner wants to hear of this."""
    if rules.kinds is not None and kind not in rules.kinds:
        return False
    return session is None or rules.sessions is None or session in rules.sessions


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
