"""What a holder refuses, in words for whoever asked for it.

Mapped where operations are answered (`Ops.handle`) and nowhere else: whoever types for us (`delivery`, `trust`) wants the
holder's own code. What must not regress: only what was not typed is called retryable.
"""

from __future__ import annotations

from shared.errors import Conflict, PilotlightError, TooLarge, Unavailable
from supervisor.holder.protocol import MAX_WRITE
from supervisor.terminal.holder_records import HolderError, HolderTimeout


def refusal(error: HolderError) -> PilotlightError:
    """The error of ours that says what the holder's means for the caller."""
    written = error.data.get("written", 0)
    if error.code == "too_large":
        return TooLarge(
            f"At most {MAX_WRITE} bytes are typed at a time, and nothing of this was. Send it in parts.",
            data={"limit": MAX_WRITE},
        )
    if written:
        return Conflict(
            f"Only the first {written} bytes were typed: `claude` stopped reading its terminal. Look at the screen before "
            "you send the rest.",
            code="partly_typed",
            data={"written": written},
        )
    if error.code in ("timeout", "busy"):
        return Unavailable(
            "Nothing was typed: `claude` does not read its terminal. Ask again; if it stays so, end the session and reopen "
            "it.",
            code="not_typed",
        )
    if isinstance(error, HolderTimeout):
        return Unavailable(
            "The session's terminal did not answer in time; what was asked of it may still be done. Look at the screen "
            "before you ask again.",
            code="terminal_stalled",
        )
    return Unavailable(
        "The session's terminal was lost meanwhile. Look at the session, and ask again.", code="no_terminal"
    )
