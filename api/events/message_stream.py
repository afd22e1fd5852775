"""One message as an event stream: accepted, then everything that happens to it, then `done` with receipt and reply.

The events are the journal's own, under its ids, so a client that lost the connection sends the same request again, with
the same Idempotency-Key and `Last-Event-ID`: the message is not sent twice and no event comes twice. Invariants: the
place in the journal is taken before the message is sent, so nothing that happens to it is missed; there is exactly one
`done`, and it is the last frame: at the message's fate, or as soon as its text is whole (`until`). A stream without `done` was
cut off (the API restarts): come back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from api.context import Api
from api.events.reader import CONVERSATION, SILENCE, Filter, Position, Reader, frame_text, present
from api.events.responses import Gone
from api.events.text_order import TextOrder
from api.http.outcomes import interrupt_allowance, tell
from api.http.requests import MAX_WAIT_SECONDS
from api.inbox import Inbox
from shared.bus import events, message_events
from shared.bus.message_requests import MessageRef, SendMessage
from shared.bus.messages import SETTLED, Event, MessageView, Sent, SessionView, Until, has_come
from shared.bus.session_requests import SessionRef
from shared.errors import PilotlightError

LOOK_AGAIN_SECONDS = 15.0
"""How often the receipt itself is asked for while nothing is heard: an event may be in a declared gap."""

LAST_WORD_SECONDS = 1.5
"""How long the last piece of text may come after the receipt: hooks of one moment run side by side."""


def begin(here: Api, inbox: Inbox, gone: Gone, message: SendMessage, start: Position | None) -> Iterator[str]:
    """Send the message and return its stream. Raise what sending it raises."""
    place = start or present(here.call)
    limit = time.monotonic() + (message.wait or MAX_WAIT_SECONDS)
    sent = msgspec.convert(
        here.act("message.send", msgspec.structs.replace(message, wait=0.0), interrupt_allowance(message)), Sent
    )
    own = _MessageFilter(sent.message.id, message.until)
    order = TextOrder(own.picks)
    reader = Reader(here.call, inbox, Filter(sent.session.id, CONVERSATION, own.picks), place, order)
    return _MessageStream(here, sent, reader, own, limit, message.until).frames(gone)


class _MessageFilter:
    """Which events of the session are about this message, and whether all of its text has come."""

    def __init__(self, message_id: str, until: Until) -> None:
        self._id, self._until = message_id, until
        self._parts: dict[str, dict[int, str]] = {}
        self._ends: dict[str, int] = {}
        self._latest: str | None = None
        self._prompt: str | None = None

    def picks(self, event: Event) -> bool | None:
        """Receipts, text and tools of this message; states of the session. None when it is not known yet: what Claude does
        may be heard before the prompt that it does it for."""
        said = events.read(event)
        if not isinstance(
            said,
            message_events.Text | message_events.ToolUse | message_events.MessageStep | message_events.ReplyChanged,
        ):
            return True
        whose, prompt = said.message or None, said.prompt_id or None
        own: bool | None = whose == self._id
        if own:
            self._prompt = prompt or self._prompt
        elif whose is None and prompt is not None:
            own = prompt == self._prompt if self._prompt is not None else None
        if isinstance(said, message_events.Text):
            part = said.message_id
            own = own or (True if part in self._parts else own)
            if own and isinstance(part, str) and isinstance(said.index, int):
                self._parts.setdefault(part, {})[said.index] = str(said.delta or "")
                self._latest = part
                if said.final:
                    self._ends[part] = said.index
        return own

    def settled_by(self, event: Event) -> bool:
        """Whether this is the receipt's last step, or the one that is waited for."""
        said = events.read(event)
        if not isinstance(said, message_events.MessageStep):
            return False
        return said.state in SETTLED or (said.state == self._until == "replied")

    def complete(self, reply: str) -> bool:
        """Whether every piece of Claude's latest message is there, up to the final one, and it is the one that the reply ends
        with: an earlier one, before a tool, may be whole while the last has not been heard."""
        parts = self._parts.get(self._latest or "", {})
        if len(parts) - 1 != self._ends.get(self._latest or ""):
            return False
        text = "".join(parts[index] for index in sorted(parts)).strip()
        return text.endswith(reply.strip()) or reply.strip().endswith(text)


class _MessageStream:
    def __init__(self, here: Api, sent: Sent, reader: Reader, own: _MessageFilter, limit: float, until: Until) -> None:
        self._here = here
        self._sent = sent
        self._reader = reader
        self._own = own
        self._limit, self._until = limit, until
        self._final: MessageView | None = None
        self._settled = has_come(sent.message, until)

    def frames(self, gone: Gone) -> Iterator[str]:
        """The stream."""
        status, body = tell(self._sent, self._until)
        yield frame_text("accepted", {"status": status, **body})
        looked = time.monotonic()
        heard: float | None = None
        for frame in self._reader.frames(gone):
            if frame.text:
                yield frame.text
            now = time.monotonic()
            if any(self._own.settled_by(event) for event in frame.events):
                self._settled, heard = True, now
                self._look_settled()
            elif not (frame.events or self._settled) and ("gap" in frame.text or now - looked >= LOOK_AGAIN_SECONDS):
                looked = now
                self._settled = self._look_settled()
            if self._settled:
                self._reader.patience = 0.05
            if self._over(now, heard, silent=frame is SILENCE):
                yield from self._done()
                return
        if self._settled or time.monotonic() >= self._limit:  # the API is stopping; what is known is told
            yield from self._done()

    def _over(self, now: float, heard: float | None, silent: bool) -> bool:
        """Whether nothing more is to come: the receipt is there and the last text too, or there is only silence."""
        if heard is not None:
            reply = self._final.reply if self._final is not None else None
            return self._own.complete(reply or "") or now >= heard + LAST_WORD_SECONDS
        return now >= self._limit or (self._settled and silent)

    def _look_settled(self) -> bool:
        try:
            return has_come(self._receipt(), self._until)
        except PilotlightError:
            return False  # the supervisor is away; its next tick or the next look tells

    def _done(self) -> Iterator[str]:
        try:
            receipt = self._receipt()
            session = SessionRef(session_id=receipt.session_id)
            view = msgspec.convert(self._here.call("session.get", session), SessionView)
        except PilotlightError:
            return  # cut off: the client comes back with the id that it has
        status, body = tell(msgspec.structs.replace(self._sent, message=receipt, session=view), self._until)
        done: dict[str, Any] = {"status": status, **body, "receipt": receipt}
        yield self._reader.id_line + frame_text("done", done)

    def _receipt(self) -> MessageView:
        """What is known of the message; once that is what is waited for, it is not asked for again."""
        if self._final is not None:
            return self._final
        found = self._here.call("message.get", MessageRef(message_id=self._sent.message.id))
        receipt = msgspec.convert(found, MessageView)
        if has_come(receipt, self._until):
            self._final = receipt
        return receipt
