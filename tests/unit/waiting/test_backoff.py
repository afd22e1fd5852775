"""How long a service that has refused is left alone, and when that is over."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from supervisor import clock
from supervisor.claude.usage_limits import LONGEST_SECONDS
from supervisor.store.store import SessionRecord
from supervisor.waiting import backoff

WALL = datetime(2025, 10, 1, 12, 30, tzinfo=UTC).timestamp()


def record() -> SessionRecord:
    return SessionRecord("s", "/tmp", 0, 0, "idle", "c")


def refused(session: SessionRecord, code: str, text: str | None = "no") -> float:
    hold = backoff.after_failure(session, code, text, WALL)
    assert hold is not None
    backoff.begin(session, hold)
    return hold.seconds


@pytest.mark.parametrize(
    ("code", "pauses"),
    [
        ("rate_limit", [60, 120, 240, 480, 900, 900]),
        ("overloaded", [5, 10, 20, 40, 80]),
        ("server_error", [5, 10]),
        ("authentication_failed", [30, 60]),
    ],
)
def test_each_refusal_in_a_row_makes_the_pause_longer_and_an_answer_short_again(code: str, pauses: list[int]) -> None:
    session = record()
    assert [refused(session, code) for _ in pauses] == pauses
    assert backoff.is_held(session)
    backoff.forgive(session)
    assert not backoff.is_held(session)
    assert refused(session, code) == pauses[0]


def test_another_cause_begins_anew_and_the_same_by_another_code_does_not() -> None:
    session = record()
    assert [refused(session, code) for code in ("overloaded", "server_error", "rate_limit")] == [5, 10, 60]


def test_what_says_nothing_about_the_next_message_holds_nothing() -> None:
    for code in (None, "invalid_request", "model_not_found", "unknown"):
        assert backoff.after_failure(record(), code, "no", WALL) is None


def test_a_time_that_the_service_names_counts_and_one_that_proves_wrong_is_not_believed_twice() -> None:
    session = record()
    text = "resets 3pm (Europe/Berlin)"
    assert refused(session, "rate_limit", text) == 1800 + backoff.SLACK_SECONDS
    session = record()
    brief = "try again in 1 second"
    assert [refused(session, "rate_limit", brief) for _ in range(3)] == [1 + backoff.SLACK_SECONDS, 120, 240]


@pytest.mark.parametrize(
    ("code", "kind"), [("rate_limit", "rate_limit"), ("overloaded", "rate_limit"), ("authentication_failed", "login")]
)
def test_a_held_session_says_for_what_and_until_when_and_can_be_tried_early(code: str, kind: str) -> None:
    session = record()
    refused(session, code, "in its own words")
    asked = backoff.waiting(session, 7)
    assert asked is not None
    assert (asked.kind, asked.until, [choice.id for choice in asked.choices]) == (kind, session.held_until, ["retry"])
    assert "in its own words" in asked.text
    backoff.lift(session)
    assert backoff.waiting(session, 7) is None
    assert refused(session, code) > backoff.CAUSES[code].first_pause, "trying early proves nothing"


def test_after_a_reboot_the_wall_clock_decides() -> None:
    session = record()
    refused(session, "rate_limit")
    session.held_boot, session.held_clock = "another boot", 0.0
    assert backoff.is_held(session)
    session.held_until = int(clock.wall() * 1000) - 1
    assert not backoff.is_held(session)
    session.held_until = int((clock.wall() + 2 * LONGEST_SECONDS) * 1000)
    assert not backoff.is_held(session), "no limit is that long: the clock was wrong"
