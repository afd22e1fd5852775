"""Follow one message to its end, or to the point where somebody has to answer a question first.

It asks again and again in short waits instead of holding one long request, so a supervisor that restarts in between
only costs a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cli.context import App
from shared.bus.message_requests import MessageRef
from shared.bus.messages import SETTLED, MessageView, SessionView, Until, has_come
from shared.bus.session_requests import SessionRef
from shared.errors import Unavailable

TURN_SECONDS = 1.0
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class Ended:
    """Where following stopped: the message settled, the session waits, or the time was over."""

    message: MessageView
    session: SessionView
    has_come: bool
    """Whether the message has come as far as it was followed."""

    @property
    def settled(self) -> bool:
        """Whether the message's state will never change again."""
        return self.message.state in SETTLED


def follow(
    app: App, message: MessageView, seconds: float, tick: Callable[[], None], until: Until = "answered"
) -> Ended:
    """Wait until `message` settles or has come as far as `until`, its session waits for a person, or the time
    (`seconds`) is over."""
    deadline = time.monotonic() + seconds
    answered = time.monotonic()
    while True:
        now = time.monotonic()
        turn = max(0.0, min(TURN_SECONDS, deadline - now))
        try:
            message = app.ask(MessageView, "message.get", MessageRef(message_id=message.id, wait=turn, until=until))
            session = app.ask(SessionView, "session.get", SessionRef(session_id=message.session_id))
        except Unavailable:
            # A supervisor that is being restarted is back within a second; one that stays away is an error.
            if now - answered > _PATIENCE_SECONDS:
                raise
            time.sleep(0.2)
            continue
        answered = time.monotonic()
        # `message.get` comes back early for a question to a person, not for one that pilotlight answers itself (trust).
        asked = session.waiting is not None and answered - now < turn
        come = has_come(message, until)
        if come or asked or answered >= deadline:
            return Ended(message, session, come)
        tick()
