"""What a live session is doing, judged from its screen, Claude's status file and the turn that the logs have left open.

The state itself is `states.judge`'s word on the evidence that is gathered here. What must not regress: evidence that
contradicts itself is given a moment and is then `unknown`; a request that its hook has told stays until it is seen to be
decided, here or at the terminal.
"""

from __future__ import annotations

import time

import msgspec

from shared.bus import session_events
from shared.bus.messages import Waiting
from shared.foreign_file import Unreadable
from supervisor.claude import screen
from supervisor.claude.status_file import read_status, status_path, status_stamp
from supervisor.observation import hook_silence
from supervisor.session import permission_mode, receipts
from supervisor.session.session import Session
from supervisor.state import states
from supervisor.state.states import Evidence, State, StateEvent
from supervisor.store.store import now_ms
from supervisor.waiting import appearances, backoff
from supervisor.waiting.appearances import Appearance, appearance
from supervisor.waiting.shown_requests import shown_request, take_screen
from supervisor.waiting.waiting import Permission, handed_waiting, login_waiting, permission_waiting, screen_waiting

STATUS_SECONDS = 0.2
READY_SECONDS = 0.06
"""A prompt box that has stood this long, or that SessionStart has announced, is no flash before a start-up dialog."""

HOOK_SILENCE_SECONDS = 5.0
"""A session that is ready for this long without SessionStart has no hooks, and says so."""

STEADY_SECONDS = 60.0
"""A process that has lived this long, or has answered, makes earlier deaths forgotten."""

DIALOG_GONE_SECONDS, DIALOG_NEVER_SEEN_SECONDS = 0.3, 4.0
"""How long the prompt box must be back before a request counts as answered at the terminal: after its dialog was seen,
and when it never was."""

HOOK_LAG_SECONDS = 3.0
"""How long a turn's dialog may stand on the screen before the hook that explains it is no longer awaited."""

STRANGE_SECONDS = 0.5
"""How long a screen that is neither box nor menu must have stood before it is taken for a dialog:
2.1.265 draws itself anew in two steps behind a dialog, and its status file lags."""

DECIDED_SECONDS = 3.0
"""How long an answered dialog may stay on the screen before it counts as asked again."""

MODE_SILENCE_SECONDS = 5.0
"""How long after a person's key the row below the prompt box is asked for the permission mode."""

JUDGE_SECONDS = 0.08
"""How long a screen that never comes to rest goes without a judgement."""


class Observer:
    """Watches one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._status_at = 0.0
        self._status_stamp: tuple[int, int, int] | None = None
        self._puzzled_since: float | None = None
        self._left_to_hook = False
        self._menu_since: float | None = None
        self._menu_id: str | None = None
        self._strange_since: float | None = None
        self._prompt_seen_at: float | None = None
        self._ready_at: float | None = None
        self._judged_at = 0.0

    def look(self, now: float) -> None:
        """Read the status file if it is time, and apply what all the evidence says."""
        self._look_at_status(now)
        self._judge(now)

    def look_again(self) -> None:
        """The status file has become old news."""
        self._status_at = 0.0

    def look_at_status(self) -> None:
        """Read the status file now: what it says decides whether a key is pressed."""
        self.look_again()
        self._look_at_status(time.monotonic())

    def dialog_over(self) -> None:
        """The dialog on the screen was answered here: if it is there once more, it is asked again."""
        self._session.shown = None
        appearances.forget(self._session.record)

    def forget_process(self) -> None:
        """What the process before has shown is true of it only."""
        self._session.status = self._session.shown = None

    def _look_at_status(self, now: float) -> None:
        session = self._session
        if now - self._status_at < STATUS_SECONDS or session.record.child is None:
            return
        self._status_at = now
        path = status_path(session.services.claude_home, session.record.child[0])
        stamp = status_stamp(path)
        if stamp is not None and stamp == self._status_stamp and session.status is not None:
            return
        self._status_stamp = stamp
        status = None
        try:
            status = read_status(path)
            session.logs.unreadable.forget(path)
        except Unreadable as error:
            session.logs.unreadable.note(path, error.reason)
        if status != session.status:
            session.status = status
            receipts.progress(session, now)

    def _judge(self, now: float) -> None:
        session = self._session
        terminal = session.terminal
        assert terminal is not None
        if session.state is State.STOPPING or (not terminal.settled and now - self._judged_at < JUDGE_SECONDS):
            return
        self._judged_at = now
        screen_reading = terminal.screen_reading()
        self._note_ready(screen_reading, now)
        if screen_reading.kind in ("prompt", "draft"):
            session.shown = None
        self._watch_requests(screen_reading, now)
        asks = self._asked(screen_reading, now)
        held = self._held(screen_reading)
        puzzled = 0.0 if self._puzzled_since is None else now - self._puzzled_since
        verdict = states.judge(
            Evidence(
                ready_once=session.record.ready_once,
                turn_open=session.record.turn_prompt is not None or self._left_to_hook,
                status=self._fresh_status(),
                screen_reading=screen_reading.kind,
                asks=asks,
                held=held,
                puzzled_for=puzzled,
                responsive=session.responsive,
            )
        )
        if verdict is None:
            self._puzzled_since = self._puzzled_since or now
            return
        if verdict.event is not StateEvent.LOST_SIGHT:
            self._puzzled_since = None
        if verdict.event is StateEvent.READY and now - session.keyed_at < MODE_SILENCE_SECONDS:
            self._look_at_mode(screen_reading)
        session.apply(verdict.event, "evidence", verdict.waiting)

    def _look_at_mode(self, screen_reading: screen.ScreenReading) -> None:
        """A person's key may have changed the permission mode, which no hook tells before the next prompt."""
        session = self._session
        if screen_reading.mode is not None and screen_reading.mode != session.record.process.mode_now:
            with session.change():
                permission_mode.follow(session.record, session.store, screen_reading.mode)
                session.store.save_session(session.record)

    def _fresh_status(self) -> str | None:
        """The status file's word, unless it is older than the end of the turn that it speaks of."""
        session = self._session
        if session.status is None or (
            session.status.status == "busy" and session.status.updated_at <= session.logs.stopped_at
        ):
            return None
        return session.status.status

    def _note_ready(self, screen_reading: screen.ScreenReading, now: float) -> None:
        session = self._session
        if screen_reading.kind not in ("prompt", "draft"):
            self._prompt_seen_at = None
            return
        self._prompt_seen_at = self._prompt_seen_at or now
        if session.record.ready_once:
            silent = not session.session_started and now - self._prompt_seen_at >= HOOK_SILENCE_SECONDS
            if silent and hook_silence.NO_HOOKS not in session.health:
                hook_silence.begin(session)
            elif session.session_started:
                hook_silence.end(session)
        elif session.session_started or now - self._prompt_seen_at >= READY_SECONDS:
            with session.change():
                session.record.ready_once = True
                session.store.save_session(session.record)
                if session.record.failures and session.record.child:
                    back = session_events.Resumed(pid=session.record.child[0], generation=session.record.generation)
                    session.store.append(back, session.id)
            self._ready_at = now

    def forget_deaths(self, now: float) -> None:
        session = self._session
        if not session.record.failures or not session.record.ready_once:
            self._ready_at = None if not session.record.ready_once else self._ready_at
            return
        self._ready_at = self._ready_at or now
        if now - self._ready_at >= STEADY_SECONDS:
            with session.change():
                session.record.failures = 0
                session.store.save_session(session.record)

    def _watch_requests(self, screen_reading: screen.ScreenReading, now: float) -> None:
        """Notice on the screen that a request was answered: its dialog has gone, and the prompt box or another one's is there."""
        session = self._session
        pending = [known for known in session.permissions.pending if known.rule is None and known.decided_at is None]
        menu = (
            screen_reading.menu if screen_reading.menu is not None and screen_reading.menu.subject != "peer" else None
        )
        shown = shown_request(menu, pending) if menu is not None else None
        if shown is not None and menu is not None:
            self._is_shown(shown, menu, pending, now)
        elif menu is not None and pending and (not pending[0].hidden or pending[0].handed):
            pending[0].menu_seen = True
        boxed = screen_reading.kind in ("prompt", "draft")
        asking = session.status is not None and session.status.status == "waiting"
        for known in [known for known in session.permissions.pending if known.rule is None]:
            if known.decided_at is not None:
                late = now - known.decided_at > DECIDED_SECONDS
                if late or len(session.permissions.pending) > 1 or boxed:
                    session.permissions.drop(known)
            elif known.hidden and not known.handed and known.shown_as is None:
                self._watch_hidden(known)
            elif not boxed or asking:
                known.gone_since = None
            else:
                known.gone_since = known.gone_since or now
                patience = DIALOG_GONE_SECONDS if known.menu_seen else DIALOG_NEVER_SEEN_SECONDS
                if now - known.gone_since >= patience:
                    session.permissions.drop(known)

    def _is_shown(self, shown: Permission, menu: screen.Menu, pending: list[Permission], now: float) -> None:
        """Claude shows one dialog after the other: whose was there before this one was decided at the terminal."""
        session = self._session
        for known in take_screen(shown, menu, pending, session.keyed_at, now):
            session.permissions.drop(known)
        session.permissions.show_first(shown)

    def _watch_hidden(self, known: Permission) -> None:
        """The screen shows nothing of what a background agent or an MCP server asks while its hook waits: somebody at
        the terminal is shown it, and Claude ends the hook when it takes the request back."""
        if self._session.attached:
            known.hand_over()
        elif known.taken_back:
            self._session.permissions.drop(known)

    def _asked(self, screen_reading: screen.ScreenReading, now: float) -> Waiting | None:
        """What it waits for first. The rest stands in `beside`."""
        session = self._session
        pending = [known for known in session.permissions.pending if known.rule is None]
        on_screen = [known for known in pending if not known.hidden or known.handed or known.shown_as is not None]
        self._left_to_hook = False
        if on_screen:
            session.shown = session.shown if on_screen[0].handed else None
            self._menu_since = None  # the dialog is the request's; the hook of the next one has its own time
        first = self._on_screen(screen_reading, now) if not on_screen else None
        if on_screen and pending[0] is not on_screen[0]:
            pending.sort(key=lambda known: known is not on_screen[0])
        asked = [*([first] if first is not None else []), *(self._request(known, screen_reading) for known in pending)]
        session.beside = asked[1:]
        return asked[0] if asked else None

    def _request(self, known: Permission, screen_reading: screen.ScreenReading) -> Waiting:
        if not known.handed:
            return permission_waiting(known)
        session = self._session
        is_up = screen_reading.menu is not None and known.shown_as is not None
        session.shown = self._appearance(screen_reading) if is_up else session.shown
        return handed_waiting(known, session.shown if is_up else None)

    def _appearance(self, screen_reading: screen.ScreenReading) -> Appearance:
        session = self._session
        size = session.terminal.screen.size if session.terminal is not None else None
        return appearance(session.shown, session.record, session.status, screen_reading, size)

    def _on_screen(self, screen_reading: screen.ScreenReading, now: float) -> Waiting | None:
        """The dialog that no hook explains."""
        session = self._session
        strange = screen_reading.kind in ("other", "notice")
        self._strange_since = (self._strange_since or now) if strange else None
        if screen_reading.menu is None:
            self._menu_since = None
            if self._strange_since is None or now - self._strange_since < STRANGE_SECONDS:
                return None
            waits = session.status is not None and session.status.status == "waiting"
            if screen_reading.kind == "other" and not waits:
                return None
        session.shown = up = self._appearance(screen_reading)
        if screen_reading.menu is not None:
            if self._menu_since is None or self._menu_id != up.id:
                self._menu_since, self._menu_id = now, up.id
            if self._in_turn() and screen_reading.menu.subject != "peer":
                told = session.record.asked == up.id
                self._left_to_hook = not told and now - self._menu_since < HOOK_LAG_SECONDS
                if self._left_to_hook:
                    return None
        asked = screen_waiting(up, session.record.ready_once, now_ms())
        if session.filled is not None and asked.title == session.filled.title:
            return session.filled
        return self._same_since(asked)

    def _in_turn(self) -> bool:
        """Whether hooks will tell what a dialog is about. Those of the prompt itself may be later than the dialog."""
        session = self._session
        message = session.current
        sent = message is not None and message.kind == "prompt" and message.state in ("typed", "submitted")
        return session.session_started and (sent or session.record.turn_prompt is not None)

    def _same_since(self, asked: Waiting | None) -> Waiting | None:
        session = self._session
        known = session.waiting
        if asked is not None and known is not None and known.id == asked.id:
            return msgspec.structs.replace(asked, since=known.since)
        if asked is not None and session.record.asked == asked.id:  # before our restart
            since = session.record.remembered.asked_since
            return asked if since is None else msgspec.structs.replace(asked, since=since)
        return asked

    def _held(self, screen_reading: screen.ScreenReading) -> Waiting | None:
        session = self._session
        held = backoff.waiting(session.record, now_ms())
        if held is not None:
            return self._same_since(held)
        if screen_reading.not_logged_in:
            return self._same_since(login_waiting(session.record.generation, now_ms()))
        return None
