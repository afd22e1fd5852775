"""What a holder refuses is nobody's bug: each of its codes becomes an error that says what to do."""

from __future__ import annotations

import pytest

from shared.errors import InternalError, PilotlightError
from supervisor.terminal.holder_records import HolderError, HolderTimeout
from supervisor.terminal.refusals import refusal

CODES = [
    "too_large",
    "timeout",
    "busy",
    "tty_closed",
    "exited",
    "lost",
    "not_connected",
    "protocol",
    "locked",
    "unknown_op",
]


@pytest.mark.parametrize("code", CODES)
def test_no_refusal_of_a_holder_is_a_bug_of_ours(code: str) -> None:
    error = refusal(HolderError(code, "its own words", {"written": 0}))
    assert not isinstance(error, InternalError)
    assert (error.status, error.retryable) == ((413, False) if code == "too_large" else (503, True))
    assert "its own words" not in error.message


@pytest.mark.parametrize("code", ["timeout", "tty_closed", "exited"])
def test_what_was_typed_in_part_is_not_to_be_sent_again(code: str) -> None:
    error: PilotlightError = refusal(HolderError(code, "", {"written": 7}))
    assert (error.error_code, error.status, error.retryable, error.data) == ("partly_typed", 409, False, {"written": 7})


def test_a_holder_that_is_silent_may_still_do_it() -> None:
    error = refusal(HolderTimeout("no answer to write"))
    assert (error.error_code, error.status) == ("terminal_stalled", 503)
    assert "Look at the screen" in error.message
