"""Until when the service refuses: what its words say, and what they do not say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest

from supervisor.claude.usage_limits import resume_at

NOW = datetime(2025, 10, 1, 12, 30, tzinfo=UTC).timestamp()
WEST = timezone(timedelta(hours=-7))


def until(text: str, zone: tzinfo = UTC, now: float = NOW) -> str | None:
    found = resume_at(text, now, zone)
    return None if found is None else f"{datetime.fromtimestamp(found, UTC):%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("Claude AI usage limit reached|1759330000", "10-01 14:46:40"),
        ("Claude AI usage limit reached|1759330000123", "10-01 14:46:40"),
        ("You've hit your session limit \u00b7 resets 3pm (Europe/Berlin)", "10-01 13:00:00"),
        ("You've hit your limit \u00b7 resets 3:10pm (America/New_York)", "10-01 19:10:00"),
        ("limit reached \u2219 resets at 10:30am", "10-02 10:30:00"),
        ("resets 12am", "10-02 00:00:00"),
        ("resets 12pm (Asia/Kolkata)", "10-02 06:30:00"),
        ("resets 3\u202fPM", "10-01 15:00:00"),
        ("resets at 15:00.", "10-01 15:00:00"),
        ("You've hit your weekly limit \u00b7 resets Oct 6, 1pm (Europe/Berlin)", "10-06 11:00:00"),
        ("resets Oct 6 at 1:05 pm", "10-06 13:05:00"),
        ("Please try again in 5 minutes.", "10-01 12:35:00"),
        ("Try again in about 1 hour and 30 minutes", "10-01 14:00:00"),
        ("Rate limited, please try again in 20s", "10-01 12:30:20"),
        ("retry after 1.5 s", "10-01 12:30:01"),
        ("resets in 2h 15m", "10-01 14:45:00"),
        ("try again in a minute", "10-01 12:31:00"),
        ("resets at 2025-10-01T18:00:00Z", "10-01 18:00:00"),
        ("resets 3pm (Nowhere/Atall)", "10-01 15:00:00"),
    ],
)
def test_a_time_that_the_service_names_is_understood(text: str, when: str) -> None:
    assert until(text) == when


def test_a_time_of_day_without_a_zone_is_the_machines() -> None:
    assert until("resets 10am", WEST) == "10-01 17:00:00"


def test_a_limit_over_new_year_is_next_years() -> None:
    now = datetime(2025, 12, 30, tzinfo=UTC).timestamp()
    assert until("resets Jan 2, 1pm", now=now) == "01-02 13:00:00"
    assert until("resets Jan 2, 2026, 1pm", now=now) == "01-02 13:00:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "API Error: Overloaded. Try again in a moment.",
        "This request would exceed your account's rate limit. Please try again later.",
        "API Error: 529 Overloaded",
        "resets 12:29pm",  # a minute ago: not tomorrow
        "resets 25:70",
        "resets 13pm",
        "resets Feb 30, 1pm",
        "resets Sep 30, 1pm",  # yesterday
        "resets 3",
        "limit reached|1759320000",  # has passed
        "limit reached|9999999999",
        "resets next month",
        "the server resets in 400 days",
    ],
)
def test_what_names_no_time_to_come_is_not_guessed(text: str) -> None:
    assert until(text) is None
