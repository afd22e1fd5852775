"""Until when Claude's service refuses, told from what its error says. Pure: the wall clock and its zone are passed in.

Wordings are those of 2.1.197 and 2.1.330 ("resets 3pm (Europe/Berlin)", "resets at 10:30am", "resets Oct 6, 1pm"), of older
releases ("limit reached|1700000000") and of the service itself ("try again in 5 minutes"). What must not regress: a text
that names no time is never taken for one, and neither is a time that has passed.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LONGEST_SECONDS = 32 * 86400.0
"""Limits are for hours, a week or a month; what is further off was misread."""

JUST_PASSED_SECONDS = 300.0
"""A time of day that was this long ago is not tomorrow's: the error was late."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH = re.compile(r"\|\s*(\d{10})(?:\d{3})?\b")
_PART = r"(?:\d+(?:\.\d+)?|an?)\s*(?:seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\b"
_SPAN = re.compile(
    rf"\b(?:again|retry(?:ing)?|resets?)\s+(?:in|after)\s+(?:about\s+)?({_PART}(?:,?\s*(?:and\s+)?{_PART})*)", re.I
)
_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?|\ban?\b)\s*([smhd])", re.I)
_STAMP = re.compile(
    r"\b(?:resets?|again|until)\s+(?:at\s+)?(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))"
)
_TIME = re.compile(
    r"\b(?:resets?|again|until)\s+(?:at\s+|on\s+)?"
    rf"(?:(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?\s+(?P<day>\d{{1,2}})(?:,\s*(?P<year>\d{{4}}))?,?\s+(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))?\s*(?P<half>[ap])?(?(half)\.?m\b\.?|\b)(?:\s*\((?P<zone>[\w/+-]+)\))?",
    re.I,
)


def resume_at(text: str, now: float, zone: tzinfo) -> float | None:
    """When the service may be asked again, in seconds since the epoch; None when `text` does not say, or says a time that is
    not to come. `zone` is that of the machine, for times of day that name none."""
    found = _said(text, now, zone)
    return found if found is not None and now < found <= now + LONGEST_SECONDS else None


def _said(text: str, now: float, zone: tzinfo) -> float | None:
    if epoch := _EPOCH.search(text):
        return float(epoch[1])
    if span := _SPAN.search(text):
        parts = _SPAN_PART.findall(span[1])
        return now + sum((1.0 if count[0] in "aA" else float(count)) * _UNITS[unit.lower()] for count, unit in parts)
    if stamp := _STAMP.search(text):
        return datetime.fromisoformat(stamp[1]).timestamp()
    for time in _TIME.finditer(text):
        if time["half"] or time["minute"]:
            return _time_of_day(time, now, zone)
    return None


def _time_of_day(said: re.Match[str], now: float, zone: tzinfo) -> float | None:
    if said["zone"]:
        try:
            zone = ZoneInfo(said["zone"])
        except (ZoneInfoNotFoundError, ValueError):
            pass
    here, hour = datetime.fromtimestamp(now, zone), int(said["hour"])
    if said["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if said["half"] in "pP" else 0)
    try:
        then = here.replace(hour=hour, minute=int(said["minute"] or 0), second=0, microsecond=0)
        if said["month"] is None:
            late = then.timestamp() < now - JUST_PASSED_SECONDS
            return (then + timedelta(days=1) if late else then).timestamp()
        month, day = _MONTHS.index(said["month"].lower()) + 1, int(said["day"])
        then = then.replace(year=int(said["year"] or here.year), month=month, day=day)
        past = not said["year"] and then.timestamp() < now - LONGEST_SECONDS
        return (then.replace(year=then.year + 1) if past else then).timestamp()
    except ValueError:
        return None
