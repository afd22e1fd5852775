"""Why the queue of a session does not move, in one sentence for people. Pure.

What must not regress: whoever has sent a message and sees it `queued` is told what it waits for, whatever that is; and of a queue
that moves nothing is said.
"""

from __future__ import annotations

from shared.bus.messages import Waiting
from supervisor.state.states import State

_SCREENS = {
    "draft": "Somebody has begun to write in the prompt box: it is sent when the box is empty.",
    "blank": "The terminal is too small, or nothing is drawn on it yet: it is sent when the prompt box is seen.",
    "editor": "Somebody has an editor open in the session: it is sent when that is closed.",
    "other": "The screen is not recognised: look at the session's terminal.",
}


def why(
    state: State, waits: int, *, asked: Waiting | None, reading: str, current: bool, obstacle: str | None, failures: int
) -> str | None:
    """The reason, if something `waits` in the queue that nobody works on. `reading` is the kind of what the screen shows,
    `obstacle` why the last try to send or start came to nothing, `failures` how often `claude` has died in a row."""
    if not waits or current or state in (State.ENDED, State.BUSY):
        return None
    if asked is not None:
        return f"The session waits for an answer: {asked.title}"
    if obstacle is not None:
        return obstacle
    if failures and state in (State.HIBERNATED, State.STARTING):
        times = "once" if failures == 1 else f"{failures} times in a row"
        return f"`claude` has died {times} and is started again."
    if state is State.STOPPING:
        return "The process is being ended; the next one takes the message."
    if state is State.UNKNOWN:
        return _SCREENS["other"]
    if state is State.IDLE:
        return _SCREENS.get(reading)
    return None
