"""The end of a process that nobody asked for: its last words, the fate of what was under way, and what follows.

What must not regress: the end of a process is dealt with once, however many tell of it, and a process that its holder has
let go of is ended before another takes its place.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any, Protocol

from shared import process
from shared.bus import session_events
from shared.errors import Conflict, StartFailed
from shared.process import ProcessId
from supervisor.claude import status_file
from supervisor.claude.last_words import for_good
from supervisor.failpoints import failpoint
from supervisor.lifecycle import ending, holder_link, one_message, orphans, restart_policy, scheduled_work
from supervisor.lifecycle.launch import has_transcript
from supervisor.lifecycle.restart_policy import Exit
from supervisor.session import receipts
from supervisor.session.background import BackgroundTasks
from supervisor.session.session import Session
from supervisor.state.states import State, StateEvent


class Reviver(Protocol):
    """What deaths ask of the lifecycle."""

    @property
    def busy(self) -> bool:
        """Whether a start or a stop is at work."""

    def unanswered(self, socket: Path) -> None:
        """The holder lives and does not answer."""

    async def finish_stop(self) -> None:
        """Go on with a stop that was begun."""

    def revive(self) -> None:
        """Start again, after a pause that grows with the deaths."""


class ExitHandler:
    """Of the processes of one session. `gone` is set whenever one was dealt with."""

    def __init__(self, session: Session, background: BackgroundTasks, reviver: Reviver) -> None:
        self._session = session
        self._background = background
        self._reviver = reviver
        self.gone = asyncio.Event()
        self.overdue: float | None = None
        """After how many seconds a process is ended that does not get to its prompt."""

    def exited(self, generation: int, exit_info: dict[str, Any]) -> None:
        """The holder has said how its child ended."""
        end = Exit(exit_info.get("exit_status"), exit_info.get("signal"), self.overdue)
        self._background.do(lambda: self.after_exit(generation, end))

    def lost(self, generation: int) -> None:
        """The holder has closed its connection."""
        self._background.do(lambda: self._after_lost(generation))

    async def _after_lost(self, generation: int) -> None:
        """The holder cannot be reached: it has ended, and its child with it, or it is only slow to answer."""
        session, record = self._session, self._session.record
        if record.generation != generation:
            return
        await holder_link.disconnect(session)
        holder = ProcessId(*record.holder) if record.holder else None
        child = ProcessId(*record.child) if record.child else None
        end = orphans.exit_on_disk(session, child)
        if holder is not None and process.alive(holder) and record.socket and end is None:
            self._reviver.unanswered(Path(record.socket))
            return
        await orphans.end_them(session)
        await self.after_exit(generation, orphans.exit_on_disk(session, child) or Exit())

    async def after_exit(self, generation: int, end: Exit) -> None:
        """The process is gone. Take in its last words, settle what was under way, and decide what follows."""
        session, record = self._session, self._session.record
        if record.generation != generation:
            return
        if not session.live:  # a late one, which nobody counted
            self.gone.set()
            return
        last_words = orphans.last_words(session)
        session.logs.read()
        self.gone.set()
        await holder_link.disconnect(session)
        session.permissions.drop_all(agents=True)
        if record.child:
            status_file.remove(session.services.claude_home, ProcessId(*record.child))
        if record.socket:
            Path(record.socket).unlink(missing_ok=True)  # a holder that was killed could not
        session.changed.notify()
        if record.generation != generation or not session.live:
            return
        if session.state is State.STOPPING:
            if not self._reviver.busy:
                self._background.do(self._reviver.finish_stop)
            return
        await failpoint("exited")
        receipts.conclude_cut_off(session, time.monotonic())
        if session.printing:
            one_message.ended(session, end, last_words, self._reviver.revive)
        else:
            self._decide(end, last_words)

    def _decide(self, end: Exit, last_words: str) -> None:
        session, record = self._session, self._session.record
        if (words := self._declined(end)) is not None:
            ending.end(session, "declined", "exited", words, Conflict(words, code="dialog_declined"))
            return
        life = restart_policy.Life(
            ready_once=record.ready_once,
            worked_before=record.failures > 0 or has_transcript(session),
            deaths=record.failures,
            for_good=for_good(last_words),
            said_goodbye=record.process.last_end,
        )
        health = session.services.config().health
        verdict = restart_policy.judge(end, life, health.restart_limit)
        if verdict == "exited":
            over = Conflict("The session was ended at its terminal. Reopen it to go on.", code="session_ended")
            ending.end(session, "exited", "exited", None, over)
            return
        if verdict == "start_failed":
            ending.start_failed(
                session, StartFailed(restart_policy.why_no_start(end, last_words), code="claude_exited")
            )
            return
        deaths = record.failures + 1
        crash = session_events.Crashed(
            exit=end.words, last_words=last_words, failures=deaths, generation=record.generation, then=verdict
        )
        told = {"session": session.id, "exit": end.words, "failures": deaths, "then": verdict, "last_words": last_words}
        session.services.log.warning("claude_died", extra={"fields": told})
        with session.change():
            session.store.append(crash, session.id)
            if verdict == "give_up":
                over_words = restart_policy.why_no_more(end, last_words, deaths)
                ending.end(session, "crashed", "crashed", over_words, StartFailed(over_words, code="claude_crashed"))
            else:
                session.apply(StateEvent.SLEPT, "crashed", failures=deaths, child=None, holder=None)
                scheduled_work.process_ends(session, "crashed")
        if verdict == "revive":
            self._reviver.revive()

    def _declined(self, end: Exit) -> str | None:
        """That the process ended because of the answer to a dialog of its start, in words; None when it was not so."""
        session = self._session
        if session.last_answer is None or session.record.ready_once or end.signal is not None:
            return None
        generation, title, label = session.last_answer
        if generation != session.record.generation:
            return None
        return f"`claude` ended when {title!r} was answered with {label!r}. Reopen the session to be asked again."
