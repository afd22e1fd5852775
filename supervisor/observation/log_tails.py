"""Where the two logs of a session have been read to: the hook log, which is ours, and the transcript, which is Claude's.

What must not regress: a look reads a bounded stretch of either, however long they are, so that the other sessions have their
turn, and says when that was not all; a hook log that cannot be read is put aside, with the reason in the journal, and the
hook program begins a new one; a transcript that cannot be read is left where it is and said to be so.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path

from shared import foreign_file
from shared.errors import PilotlightError
from supervisor.claude.home import holds_conversation, transcript_path
from supervisor.claude.hook_log import MAX_HOOK_LINE_BYTES
from supervisor.claude.tail import Line, Tail
from supervisor.session.session import Session
from supervisor.session.unreadable import Unreadable

READ_SECONDS = 0.05
"""How long one look may read what a session has said: the others wait meanwhile."""

AT_ONCE_BYTES = 8 * 1024 * 1024
"""How much of a log one look reads at most, lines that are too long included."""


class LogTails:
    """The logs of one session. `end` is the time (monotonic) at which a reading stops, or infinity."""

    def __init__(self, session: Session, unreadable: Unreadable) -> None:
        self._session, self._unreadable = session, unreadable
        self._hooks = self._hook_log(session.store.position(session.id, "hooks"))
        self._transcript: Tail | None = None
        self.find_transcript()

    def _hook_log(self, position: int) -> Tail:
        return Tail(self._session.dir / "hooks.log", position, MAX_HOOK_LINE_BYTES)

    @property
    def files(self) -> list[Path | None]:
        """The two logs; None while it is not known where the transcript is."""
        return [self._hooks.path, self._transcript.path if self._transcript is not None else None]

    def begin_again(self) -> None:
        """The hooks' log was removed, and will be written from its start."""
        if not self._hooks.path.exists():
            self._hooks.again(0)
            self._session.store.forget_positions(self._session.id)

    def read_hooks(self, take: Callable[[Line], None], end: float) -> bool:
        """Hand out what is new in the hook log; whether that was all. What `take` refuses is handed out again."""
        hooks = self._hooks
        if hooks.changed():
            taken = hooks.offset
            try:
                for line in hooks.lines(AT_ONCE_BYTES if end < inf else inf):
                    take(line)
                    taken = line.end
                    if time.monotonic() > end:
                        hooks.again(taken)
                        return False
            except PilotlightError:
                hooks.again(taken)
                raise
        if hooks.trouble is not None:
            self._session.quarantine(hooks.path, hooks.trouble)
            self._session.store.set_position(self._session.id, "hooks", 0)
            self._hooks = self._hook_log(0)
        return not hooks.behind

    def read_transcript(self, take: Callable[[Line], None], end: float) -> tuple[bool, bool]:
        """Hand out what is new in the transcript; whether there was something, and whether that was all."""
        if self._transcript is None:
            self.find_transcript()
        transcript = self._transcript
        if transcript is None:
            return False, True
        news, complete = transcript.changed(), True
        for line in transcript.lines(AT_ONCE_BYTES if end < inf else inf) if news else ():
            take(line)
            if time.monotonic() > end:
                transcript.again(transcript.offset)
                complete = False
                break
        if news:
            self._unreadable.forget(transcript.path)
        if transcript.trouble is not None:
            self._unreadable.note(transcript.path, transcript.trouble)
            transcript.trouble = None
        return news, complete and not transcript.behind

    def forget_transcript(self) -> None:
        """Another one is written from now on."""
        self._transcript = None

    def move_transcript(self, to: Path) -> None:
        """Claude has taken it to another folder; what was read in the old one is not read again."""
        read = self._transcript
        self._transcript = Tail(to, read.offset) if read is not None and read.path.name == to.name else None

    def find_transcript(self) -> None:
        """Read on in the transcript that is known, or can be found."""
        session = self._session
        if session.record.transcript is None and not session.session_started:
            self._search_transcript()
        if session.record.transcript:
            path = Path(session.record.transcript)
            self._transcript = Tail(path, session.store.position(session.id, f"transcript:{path.name}"))

    def _search_transcript(self) -> None:
        """Without hooks nobody says where the transcript is: it is where the CLI usually keeps it."""
        record, home = self._session.record, self._session.services.claude_home
        usual = transcript_path(home, record.project_path, record.conversation_id)
        with suppress(foreign_file.Unreadable):
            if record.ready_once and holds_conversation(usual):
                record.transcript = str(usual)

    def settled(self) -> None:
        """Remember that nothing before the present end of the transcript is open."""
        session = self._session
        if self._transcript is not None:
            session.store.set_position(session.id, f"transcript:{self._transcript.path.name}", self._transcript.offset)
