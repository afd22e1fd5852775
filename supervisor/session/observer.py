"""What a live session is doing, judged from its screen, Claude's status file and the turn that the logs have left open.

The state itself is `states.judge`'s word on the evidence that is gathered here. What must not regress: evidence that
contradicts itself is given a moment and is then `unknown`; a request that its hook has told stays until it is seen to be
decided, here or at the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shared.bus.messages import Waiting
from supervisor.claude import screen
from supervisor.claude.journal import read_status, status_stamp
from supervisor.session import backoff, states
from supervisor.session.states import Event, Evidence, State
from supervisor.session.waiting import ASKED_SINCE, login_waiting, menu_id, permission_waiting, screen_waiting
from supervisor.store.store import now_ms

if TYPE_CHECKING:
    from supervisor.session.session import Session

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

JUDGE_SECONDS = 0.1
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

    def _look_at_status(self, now: float) -> None:
        session = self._session
        if now - self._status_at < STATUS_SECONDS or session.record.child is None:
            return
        self._status_at = now
        stamp = status_stamp(session.house.claude_home, session.record.child[0])
        if stamp is not None and stamp == self._status_stamp and session.status is not None:
            return
        self._status_stamp = stamp
        status = read_status(session.house.claude_home, session.record.child[0])
        if status != session.status:
            session.status = status
            session.progress_at = now

    def _judge(self, now: float) -> None:
        session = self._session
        terminal = session.terminal
        assert terminal is not None
        if session.state is State.STOPPING or (not terminal.settled and now - self._judged_at < JUDGE_SECONDS):
            return
        self._judged_at = now
        sight = terminal.sight()
        self._note_ready(sight, now)
        self._watch_requests(sight, now)
        asks = self._asked(sight, now)
        held = self._held(sight)
        puzzled = 0.0 if self._puzzled_since is None else now - self._puzzled_since
        verdict = states.judge(
            Evidence(
                ready_once=session.record.ready_once,
                turn_open=session.record.turn_prompt is not None or self._left_to_hook,
                status=self._fresh_status(),
                sight=sight.kind,
                asks=asks,
                held=held,
                puzzled_for=puzzled,
                responsive=session.responsive,
            )
        )
        if verdict is None:
            self._puzzled_since = self._puzzled_since or now
            return
        if verdict.event is not Event.LOST_SIGHT:
            self._puzzled_since = None
        session.apply(verdict.event, "evidence", verdict.waiting)

    def _fresh_status(self) -> str | None:
        """The status file's word, unless it is older than the end of the turn that it speaks of."""
        session = self._session
        if session.status is None or (
            session.status.status == "busy" and session.status.updated_at <= session.logs.stopped_at
        ):
            return None
        return session.status.status

    def _note_ready(self, sight: screen.Sight, now: float) -> None:
        session = self._session
        if sight.kind not in ("prompt", "draft"):
            self._prompt_seen_at = None
            return
        self._prompt_seen_at = self._prompt_seen_at or now
        if session.record.ready_once:
            silent = not session.session_started and now - self._prompt_seen_at >= HOOK_SILENCE_SECONDS
            if silent and session.health == "ok":
                session.health = "no_hooks"
            elif session.session_started and session.health == "no_hooks":
                session.health = "ok"
        elif session.session_started or now - self._prompt_seen_at >= READY_SECONDS:
            with session.change():
                session.record.ready_once = True
                session.store.save_session(session.record)
                if session.record.failures and session.record.child:
                    data = {"pid": session.record.child[0], "generation": session.record.generation}
                    session.store.append("resumed", session.id, data)
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

    def _watch_requests(self, sight: screen.Sight, now: float) -> None:
        """Notice on the screen that a request was answered: its dialog has gone, and the prompt box is back."""
        session = self._session
        first = session.permission
        if first is None:
            return
        if first.decided_at is not None:
            late = now - first.decided_at > DECIDED_SECONDS
            if late or len(session.permissions) > 1 or sight.kind in ("prompt", "draft"):
                session.drop_permission(first)
            return
        asking = session.status is not None and session.status.status == "waiting"
        if sight.kind == "menu":
            first.menu_seen = True
        if sight.kind not in ("prompt", "draft") or asking:
            first.gone_since = None
            return
        first.gone_since = first.gone_since or now
        patience = DIALOG_GONE_SECONDS if first.menu_seen else DIALOG_NEVER_SEEN_SECONDS
        if now - first.gone_since >= patience:
            session.drop_permission()

    def _asked(self, sight: screen.Sight, now: float) -> Waiting | None:
        session = self._session
        self._left_to_hook = False
        if session.permission is not None:
            self._menu_since = None  # the dialog is the request's; the hook of the next one has its own time
            return permission_waiting(session.permission)
        self._menu_since = (self._menu_since or now) if sight.menu is not None else None
        if sight.menu is not None and self._menu_since is not None and self._in_turn():
            told = session.record.asked == menu_id(sight.menu, session.record.generation)  # before our restart
            self._left_to_hook = not told and now - self._menu_since < HOOK_LAG_SECONDS
            if self._left_to_hook:
                return None
        self._strange_since = (self._strange_since or now) if sight.kind in ("other", "notice") else None
        stands = self._strange_since is None or now - self._strange_since >= STRANGE_SECONDS
        if sight.kind == "notice" and not stands:
            return None
        status_waits = stands and session.status is not None and session.status.status == "waiting"
        asked = screen_waiting(sight, session.record.generation, session.record.ready_once, status_waits, now_ms())
        if asked is not None and session.filled is not None and asked.title == session.filled.title:
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
            since = session.record.options.get(ASKED_SINCE, asked.since)
            return msgspec.structs.replace(asked, since=since)
        return asked

    def _held(self, sight: screen.Sight) -> Waiting | None:
        session = self._session
        held = backoff.waiting(session.record, now_ms())
        if held is not None:
            return self._same_since(held)
        if sight.not_logged_in:
            return self._same_since(login_waiting(session.record.generation, now_ms()))
        return None
