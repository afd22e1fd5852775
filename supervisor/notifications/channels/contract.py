"""What a channel is: it takes one note for one recipient, and says what became of it.

    Delivered   whoever carries it on has taken it; what happens behind that is told by the recipient, when it can
    Retry       not now: it did not answer, or said when to come again
    Refused     this note will never be taken as it is; the next one may be
    Gone        nobody is there any more: the recipient is forgotten

What must not regress: a channel never raises for what its other side does (`attempt` turns time and network into outcomes), and
no outcome carries a secret: tokens, keys and addresses with a secret in them stay out of `why`.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal, Protocol

from msgspec import Struct

from shared.bus.messages import Event, Wire

SEND_SECONDS = 20.0
"""What one sending may take, whatever happens in it."""

LONGEST_RETRY_SECONDS = 3600.0
SHORTEST_RETRY_SECONDS = 1.0

Urgency = Literal["low", "normal", "high"]


class Choice(Wire, frozen=True):
    """One thing that can be done from a notification. `url`: a link that answers, for channels which cannot sign in."""

    id: str
    label: str
    url: str | None = None


class Note(Wire, frozen=True):
    """One thing to be told to one recipient.

    `key` names the event it came from, so that who gets it twice can tell. `tag` is what it replaces and is replaced by:
    a session has one notification at a time. `withdrawn`: what stood under the tag needs nobody any more, and the words say
    why. `ttl` in seconds: after that it is no news. `event` is for channels that are told events, not words; `reply` is what a
    client gets that left a device token with its message.
    """

    key: str
    kind: str
    tag: str
    title: str
    body: str
    at: int
    session: str | None = None
    urgency: Urgency = "normal"
    waiting: str | None = None
    choices: tuple[Choice, ...] = ()
    link: str | None = None
    badge: int = 0
    withdrawn: bool = False
    ttl: int = 86_400
    event: Event | None = None
    reply: dict[str, Any] | None = None


class Delivered(Struct, frozen=True, tag=True):
    """It was taken; `detail` is what the other side said to that, such as an id."""

    detail: str = ""


class Retry(Struct, frozen=True, tag=True):
    """Not now. `after` seconds, when the other side has named a time."""

    why: str
    after: float | None = None


class Refused(Struct, frozen=True, tag=True):
    """Not this one, ever."""

    why: str


class Gone(Struct, frozen=True, tag=True):
    """Not this recipient, ever again."""

    why: str


Outcome = Delivered | Retry | Refused | Gone


class Unreachable(Exception):
    """The network did not carry it; the text says why, for people."""


class Barred(Exception):
    """The destination is one that pilotlight does not send to; the text says why, and what to configure."""


class Channel(Protocol):
    """A way to one recipient."""

    async def send(self, note: Note) -> Outcome:
        """Hand over one note. May raise Unreachable, Barred and TimeoutError."""
        ...


async def attempt(channel: Channel, note: Note, seconds: float = SEND_SECONDS) -> Outcome:
    """Send within a time; what the network does is an outcome, too."""
    try:
        async with asyncio.timeout(seconds):
            return await channel.send(note)
    except TimeoutError:
        return Retry(f"It did not answer within {seconds:g} s.")
    except Unreachable as error:
        return Retry(str(error))
    except Barred as error:
        return Refused(str(error))


def bounded(after: float) -> float:
    """A pause that somebody else has named, as we keep it."""
    if after != after:  # not a number
        return SHORTEST_RETRY_SECONDS
    return min(LONGEST_RETRY_SECONDS, max(SHORTEST_RETRY_SECONDS, after))
