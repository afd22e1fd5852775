"""One conversation: its record, what is known about its process, and its one state.

The session reads Claude's logs, judges the evidence and applies the state table; it settles the fate of the message
under way. What acts on the world is beside it: `lifecycle` starts and ends processes, `delivery` types prompts, `answers`
answers dialogs. Invariants: the record is written before anything it says is published; `current` is the one message
that is typed or submitted, or None; a log line's effects and its position are one transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared.config import Config
from shared.errors import ErrorBodyLike, NotFound, PilotlightError, StorageFailed
from shared.messages import SessionView, Waiting
from shared.paths import Paths
from supervisor import clock, states
from supervisor.claude import dialogs
from supervisor.claude.journal import (
    DamagedSpool,
    EditorEvent,
    HookEvent,
    Status,
    Tail,
    TranscriptLine,
    parse_log_line,
    parse_transcript_line,
    read_status,
    status_stamp,
)
from supervisor.claude.transcript import milliseconds, read
from supervisor.commands import CommandRun, on_screen
from supervisor.pauses import held
from supervisor.pulse import Pulse
from supervisor.quarantine import set_aside
from supervisor.states import Event, Evidence, State
from supervisor.store import MessageRecord, SessionRecord, Store, now_ms
from supervisor.terminal import Terminal
from supervisor.turns import Outcome, StopReport, Turn, cut_off, settle
from supervisor.waits import Permission, limit_waiting, login_waiting, pending, permission_waiting, screen_waiting

STATUS_SECONDS = 0.2
READY_SECONDS = 0.06
"""A prompt box that has stood this long, or that SessionStart has announced, is no flash before a start-up dialog."""

HOOK_SILENCE_SECONDS = 5.0
"""A session that is ready for this long without SessionStart has no hooks, and says so."""

STEADY_SECONDS = 60.0
"""A process that has lived this long, or has answered, makes earlier deaths forgotten."""

REMEMBERED_TURNS = 8
DIALOG_GONE_SECONDS, DIALOG_NEVER_SEEN_SECONDS = 0.3, 2.0
"""How long the prompt box must be back before a request counts as answered at the terminal: after its dialog was seen,
and when it never was."""

HOOK_LAG_SECONDS = 1.5
"""How long a turn's dialog may stand on the screen before the hook that explains it is no longer awaited."""

DECIDED_SECONDS = 3.0
"""How long an answered dialog may stay on the screen before it counts as asked again."""

TRUST_TRIES = 3
STREAM_KINDS = frozenset({"MessageDisplay"})


@dataclass
class House:
    """What every session shares."""

    store: Store
    paths: Paths
    config: Callable[[], Config]
    environment: dict[str, str]
    claude_home: Path
    log: logging.Logger
    demo: bool = False


class Session:
    """One conversation. All methods run on the supervisor's loop."""

    def __init__(self, record: SessionRecord, house: House) -> None:
        self.record = record
        self.house = house
        self.store = house.store
        self.dir = house.paths.session_dir(record.id)
        self.terminal: Terminal | None = None
        self.waiting: Waiting | None = None
        self.permissions: list[Permission] = pending(self.dir / "spool")
        self.trust_failures = 0
        self.answering = asyncio.Lock()
        self.restart: Callable[[str], Awaitable[None]] | None = None
        self.last_answer: tuple[int, str, str] | None = None
        self.found_drafts: dict[str, str | None] = {}
        self.relock = False
        self.command: CommandRun | None = None
        self.current: MessageRecord | None = None
        self.claimed: set[str] = set()
        self.drafts: set[str] = set()
        self.editor_runs = 0
        self.pulse = Pulse()
        self.status: Status | None = None
        self.session_started = False
        self.responsive = True
        self.attached = 0
        self.viewers = 0
        self.writer: str | None = None
        self.memory_bytes: int | None = None
        self.cpu_percent: float | None = None
        self.health = "ok"
        self.progress_at = time.monotonic()
        self.turns: dict[str | None, Turn] = {}
        self._turn: Turn | None = None
        self._stops: dict[str, tuple[StopReport, float]] = {}
        self._hooks = Tail(self.dir / "hooks.log", self.store.position(record.id, "hooks"))
        self._transcript: Tail | None = None
        self._status_at = 0.0
        self._status_stamp: tuple[int, int, int] | None = None
        self._stopped_at = 0
        self._quiet_since: float | None = None
        self._turn_ended_at: float | None = None
        self._puzzled_since: float | None = None
        self._menu_since: float | None = None
        self._prompt_seen_at: float | None = None
        self._ready_at: float | None = None
        self._judged = (-1, 0.0)
        self._prefer_transcript()

    # -- what clients see ------------------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """Our name for it; also the id of its first conversation."""
        return self.record.id

    @property
    def state(self) -> State:
        """The one state."""
        return State(self.record.state)

    @property
    def live(self) -> bool:
        """Whether a process exists, or is being made or ended."""
        return self.state in states.LIVE

    @property
    def answering_itself(self) -> bool:
        """Whether what it waits for is answered without a person (the trust dialog of a session created with trust)."""
        waiting, record = self.waiting, self.record
        trusts = record.trust and not record.ready_once and self.trust_failures < TRUST_TRIES
        return trusts and waiting is not None and waiting.kind == "trust"

    @property
    def permission(self) -> Permission | None:
        """The request that waits first; what Claude asks at once is answered one by one."""
        return self.permissions[0] if self.permissions else None

    @property
    def idle_for_messages(self) -> bool:
        """Whether a prompt may be typed now: idle, an empty box on a settled screen, nothing asked."""
        return self.state is State.IDLE and self.sight().kind == "prompt" and self.terminal is not None

    def view(self) -> SessionView:
        """As clients see it."""
        record = self.record
        live = self.live
        timeout = self.house.config().sessions.timeout_hours * 3_600_000
        return SessionView(
            id=record.id,
            state=record.state,  # type: ignore[arg-type]
            project_path=record.project_path,
            created_at=record.created_at,
            last_activity=record.last_activity,
            message_count=record.message_count,
            queue_length=self.store.count_open(record.id),
            waiting=self.waiting if self.state is State.WAITING else None,
            title=record.title,
            conversation_id=record.conversation_id,
            pid=record.child[0] if live and record.child else None,
            holder_pid=record.holder[0] if live and record.holder else None,
            generation=record.generation,
            expires_at=None if self.state is State.ENDED else int(record.last_activity + timeout),
            ended_at=record.ended_at,
            end_reason=record.end_reason,  # type: ignore[arg-type]
            end_detail=record.end_detail,
            current_message=self.current.id if self.current else None,
            background_tasks=record.background if live else [],
            draft=live and self.terminal is not None and self.sight().kind == "draft" and self.current is None,
            attached=self.attached,
            viewers=self.viewers,
            writer=self.writer,
            warned=record.warned,
            auto_keep_alive=record.auto_keep_alive,
            memory_bytes=self.memory_bytes if live else None,
            cpu_percent=self.cpu_percent if live else None,
            model=record.options.get("model"),
            permission_mode=record.options.get("permission_mode"),
            effort=record.options.get("effort"),
            add_dirs=list(record.options.get("add_dirs") or []),
            settings_pending=live and bool(record.options.get("stale")),
            health=self.health,
        )

    def sight(self) -> dialogs.Sight:
        """What its screen shows."""
        return self.terminal.sight() if self.terminal is not None else dialogs.Sight("blank")

    # -- the state ---------------------------------------------------------------------------------------------------

    def apply(self, event: Event, cause: str, waiting: Waiting | None = None, **fields: Any) -> None:
        """Take the transition that the table gives, record it and say so; nothing happens when nothing changed."""
        before, old = self.state, self.waiting
        target = states.after(before, event)
        asked = waiting if target is State.WAITING else None
        changed = target is not before or (asked.id if asked else None) != (old.id if old else None) or bool(fields)
        if not changed:
            self.waiting = asked
            return
        with _undone_on_failure(self.record, self), self.store.transaction():
            for name, value in fields.items():
                setattr(self.record, name, value)
            self.record.state = target
            self.waiting = asked
            # What was asked before a restart, or before we lost sight for a moment, is no news.
            known = self.record.asked
            news = asked is not None and asked.id != known
            if target is not State.UNKNOWN:
                self.record.asked = asked.id if asked is not None else None
            self.store.save_session(self.record)
            if target is not before or news:
                data: dict[str, Any] = {"from": before, "to": target, "cause": cause}
                if target is State.STARTING:
                    data["generation"] = self.record.generation
                if asked is not None:
                    data["waiting"] = {"id": asked.id, "for": asked.kind, "title": asked.title}
                if target is State.ENDED:
                    data["reason"], data["detail"] = self.record.end_reason, self.record.end_detail
                self.store.append("state", self.id, data)
                if asked is not None and news:
                    self.store.append("waiting", self.id, {"for": asked.kind, "title": asked.title, "id": asked.id})
                if target is State.ENDED:
                    self.store.append("ended", self.id, {"reason": self.record.end_reason, "cause": cause})
        self.house.log.info(
            "session_state", extra={"fields": {"session": self.id, "from": before, "to": target, "cause": cause}}
        )
        self.pulse.ring()

    def touch(self) -> None:
        """Something that counts as activity has happened: the expiry moves."""
        self.record.last_activity = now_ms()
        self.record.activity_clock = clock.now()
        self.record.activity_boot = clock.BOOT
        self.record.warned = False

    def idle_age(self) -> float:
        """Seconds since the last activity, on a clock that counts sleep and cannot be set."""
        return clock.age(self.record.activity_clock, self.record.activity_boot, self.record.last_activity)

    def counts_as_active(self) -> bool:
        """Whether it is at work: a turn, a queue, a background task, or somebody at the terminal."""
        if not self.live:
            return self.store.count_open(self.id) > 0
        working = self.state in (State.STARTING, State.BUSY) or self.current is not None
        return working or bool(self.record.background) or self.attached > 0

    def look(self, now: float) -> bool:
        """Read what is new, judge, settle. Return whether the session is in a hurry (poll again soon)."""
        if self.terminal is None:
            return False
        self.read_logs()
        self._look_at_status(now)
        self._judge(now)
        self._settle(now)
        self._forget_deaths(now)
        return self.current is not None or self.state in (State.STARTING, State.STOPPING, State.BUSY)

    def _look_at_status(self, now: float) -> None:
        if now - self._status_at < STATUS_SECONDS or self.record.child is None:
            return
        self._status_at = now
        stamp = status_stamp(self.house.claude_home, self.record.child[0])
        if stamp is not None and stamp == self._status_stamp and self.status is not None:
            return
        self._status_stamp = stamp
        status = read_status(self.house.claude_home, self.record.child[0])
        if status != self.status:
            self.status = status
            self.progress_at = now

    def _judge(self, now: float) -> None:
        terminal = self.terminal
        assert terminal is not None
        if self.state is State.STOPPING or (not terminal.settled and now - self._judged[1] < 0.1):
            return
        self._judged = (terminal.screen.version, now)
        sight = terminal.sight()
        self._note_ready(sight, now)
        self._watch_requests(sight, now)
        asks = self._asked(sight, now)
        held = self._held(sight)
        puzzled = 0.0 if self._puzzled_since is None else now - self._puzzled_since
        verdict = states.judge(
            Evidence(
                ready_once=self.record.ready_once,
                turn_open=self.record.turn_prompt is not None,
                status=self._fresh_status(),
                sight=sight.kind,
                asks=asks,
                held=held,
                puzzled_for=puzzled,
                responsive=self.responsive,
            )
        )
        if verdict is None:
            self._puzzled_since = self._puzzled_since or now
            return
        if verdict.event is not Event.LOST_SIGHT:
            self._puzzled_since = None
        self.apply(verdict.event, "evidence", verdict.waiting)

    def _fresh_status(self) -> str | None:
        """The status file's word, unless it is older than the end of the turn that it speaks of."""
        if self.status is None or (self.status.status == "busy" and self.status.updated_at <= self._stopped_at):
            return None
        return self.status.status

    def _note_ready(self, sight: dialogs.Sight, now: float) -> None:
        if sight.kind not in ("prompt", "draft"):
            self._prompt_seen_at = None
            return
        self._prompt_seen_at = self._prompt_seen_at or now
        if self.record.ready_once:
            silent = not self.session_started and now - self._prompt_seen_at >= HOOK_SILENCE_SECONDS
            if silent and self.health == "ok":
                self.health = "no_hooks"
            elif self.session_started and self.health == "no_hooks":
                self.health = "ok"
        elif self.session_started or now - self._prompt_seen_at >= READY_SECONDS:
            self.record.ready_once = True
            self._ready_at = now
            with self.store.transaction():
                self.store.save_session(self.record)
                if self.record.failures and self.record.child:
                    data = {"pid": self.record.child[0], "generation": self.record.generation}
                    self.store.append("resumed", self.id, data)

    def _forget_deaths(self, now: float) -> None:
        if not self.record.failures or not self.record.ready_once:
            self._ready_at = None if not self.record.ready_once else self._ready_at
            return
        self._ready_at = self._ready_at or now
        if now - self._ready_at >= STEADY_SECONDS:
            self.record.failures = 0
            self.store.save_session(self.record)

    def _watch_requests(self, sight: dialogs.Sight, now: float) -> None:
        """Notice on the screen that a request was answered: its dialog has gone, and the prompt box is back."""
        first = self.permission
        if first is None:
            return
        if first.decided_at is not None:
            late = now - first.decided_at > DECIDED_SECONDS
            if late or len(self.permissions) > 1 or sight.kind in ("prompt", "draft"):
                self.drop_permission(first)
            return
        asking = self.status is not None and self.status.status == "waiting"
        if sight.kind == "menu":
            first.menu_seen = True
        if sight.kind not in ("prompt", "draft") or asking:
            first.gone_since = None
            return
        first.gone_since = first.gone_since or now
        patience = DIALOG_GONE_SECONDS if first.menu_seen else DIALOG_NEVER_SEEN_SECONDS
        if now - first.gone_since >= patience:
            self.drop_permission()

    def _asked(self, sight: dialogs.Sight, now: float) -> Waiting | None:
        if self.permission is not None:
            return permission_waiting(self.permission, sight)
        self._menu_since = (self._menu_since or now) if sight.menu is not None else None
        in_turn = self.record.turn_prompt is not None and self.session_started
        if self._menu_since is not None and in_turn and now - self._menu_since < HOOK_LAG_SECONDS:
            return None
        status_waits = self.status is not None and self.status.status == "waiting"
        asked = screen_waiting(sight, self.record.generation, self.record.ready_once, status_waits, now_ms())
        return self._same_since(asked)

    def _same_since(self, asked: Waiting | None) -> Waiting | None:
        known = self.waiting
        if asked is None or known is None or known.id != asked.id:
            return asked
        return msgspec.structs.replace(asked, since=known.since)

    def _held(self, sight: dialogs.Sight) -> Waiting | None:
        until = self.record.held_until
        if until is not None and until > now_ms():
            return self._same_since(limit_waiting(until, self.record.held_reason, now_ms()))
        if sight.not_logged_in:
            return self._same_since(login_waiting(self.record.generation, now_ms()))
        return None

    # -- Claude's logs -----------------------------------------------------------------------------------------------

    def read_logs(self) -> None:
        """Take in what Claude's hooks and transcript say, each line once."""
        if self._hooks.changed():
            taken = self._hooks.offset
            try:
                for line in self._hooks.lines():
                    self._take_hook_line(line.data, line.end)
                    taken = line.end
            except PilotlightError:
                self._hooks.again(taken)
                raise
        if self._transcript is None:
            self._prefer_transcript()
        if self._transcript is not None and self._transcript.changed():
            for line in self._transcript.lines():
                if self.current is not None and self.current.kind == "command":
                    self._command_run(self.current).take(read(line.data))
                parsed = parse_transcript_line(line.data)
                if parsed is not None:
                    self._take_transcript_line(parsed)
            self._progress()

    def _progress(self) -> None:
        self.progress_at = time.monotonic()
        self._quiet_since = None
        self.pulse.ring()

    def _take_hook_line(self, data: bytes, end: int) -> None:
        event = self._parse(data)
        under_way = [self.current] if self.current is not None else []
        with _undone_on_failure(self.record, *under_way), self.store.transaction():
            if isinstance(event, HookEvent):
                self._take_hook(event)
            elif isinstance(event, EditorEvent):
                self._take_editor(event)
            self.store.set_position(self.id, "hooks", end)
        if isinstance(event, HookEvent) and event.answer is None:
            event.spool.unlink(missing_ok=True)
        if isinstance(event, EditorEvent) and event.draft is not None:
            if event.message_id in self.found_drafts:
                self.found_drafts[event.message_id] = _read_text(event.draft)
            event.draft.unlink(missing_ok=True)
        self._progress()

    def _parse(self, data: bytes) -> HookEvent | EditorEvent | None:
        try:
            return parse_log_line(self.dir, data)
        except DamagedSpool as error:
            self.quarantine(error.spool, str(error))
            return None

    def quarantine(self, path: Path, reason: str) -> None:
        """Put a damaged file of ours aside, and say so; it is done without."""
        try:
            moved = set_aside(path)
        except OSError as error:
            raise StorageFailed(f"{path} is damaged and cannot be put aside: {error.strerror}.") from error
        self.store.append("quarantined", self.id, {"what": path.name, "movedTo": str(moved), "reason": reason})

    def _take_editor(self, event: EditorEvent) -> None:
        self.editor_runs += 1
        if event.what == "claimed":
            self.claimed.add(event.message_id)
        elif event.what == "draft":
            self.drafts.add(event.message_id)
        elif event.what == "failed":
            self.claimed.discard(event.message_id)

    def _take_hook(self, event: HookEvent) -> None:
        payload, name = event.payload, event.name
        if name == "SessionStart":
            self._conversation_started(payload)
        elif name == "UserPromptSubmit":
            self._prompt_submitted(event.prompt_id, str(payload.get("prompt", "")))
        elif name == "MessageDisplay":
            self.store.append(
                "text",
                self.id,
                {
                    "delta": payload.get("delta"),
                    "index": payload.get("index"),
                    "final": payload.get("final"),
                    "messageId": payload.get("message_id"),
                    "message": self._message_of(event.prompt_id),
                },
            )
        elif name in ("PreToolUse", "PostToolUse", "PostToolUseFailure", "PermissionDenied"):
            self._tool_event(name, payload, event.prompt_id)
        elif name == "PermissionRequest":
            asked = Permission.from_hook(event.spool, payload)
            if all(known.id != asked.id for known in self.permissions):
                self.permissions.append(asked)
        elif name in ("Stop", "StopFailure"):
            self._turn_stopped(name, payload, event.prompt_id)
        elif name == "SessionEnd":
            self.record.options["last_end"] = payload.get("reason")

    def _conversation_started(self, payload: dict[str, Any]) -> None:
        self.session_started = True
        conversation, path = payload.get("session_id"), payload.get("transcript_path")
        fork = payload.get("source") == "fork" or conversation == self.record.fork_from
        if isinstance(conversation, str) and not fork:  # a fork reports the conversation that it comes from
            if conversation != self.record.conversation_id:
                self._leave_conversation(conversation)
            self.record.conversation_id = conversation
            if isinstance(path, str) and path != self.record.transcript:
                self.record.transcript = path
                self._transcript = None
        self.store.save_session(self.record)

    def _leave_conversation(self, to: str) -> None:
        """The same process has begun another conversation (`/clear`): the old one stays part of the history."""
        record = self.record
        self.store.append("conversation", self.id, {"from": record.conversation_id, "to": to})
        if record.transcript:
            left = {"id": record.conversation_id, "transcript": record.transcript}
            record.conversations = [*record.conversations, left]
        self.relock = True

    def _prompt_submitted(self, prompt_id: str | None, prompt: str) -> None:
        self.touch()
        self.record.turn_prompt = prompt_id or "unknown"
        self._turn_ended_at = None
        message = self.current
        if message is not None and self._is_proof(message, prompt):
            self.step(message, "submitted", prompt_id=prompt_id)
        self.store.save_session(self.record)
        self.store.append("prompt", self.id, {"promptId": prompt_id, "message": self._message_of(prompt_id)})

    def _tool_event(self, name: str, payload: dict[str, Any], prompt_id: str | None) -> None:
        kind = {"PreToolUse": "started", "PostToolUse": "finished"}.get(name, "failed")
        data = {
            "phase": kind,
            "tool": payload.get("tool_name"),
            "toolUseId": payload.get("tool_use_id"),
            "message": self._message_of(prompt_id),
        }
        if name == "PreToolUse":
            data["input"] = payload.get("tool_input")
        self.store.append("tool", self.id, data)
        if name != "PreToolUse":
            answered = next((known for known in self.permissions if known.answered_by(payload)), None)
            if answered is not None:
                self.drop_permission(answered)

    def _turn_stopped(self, name: str, payload: dict[str, Any], prompt_id: str | None) -> None:
        text = payload.get("last_assistant_message")
        self._stopped_at = now_ms()
        failure = None
        if name == "StopFailure":
            failure = str(payload.get("error") or payload.get("error_type") or "api_error")
        report = StopReport(text if isinstance(text, str) else None, failure, 0.0)
        tasks = payload.get("background_tasks")
        self.record.background = [t for t in tasks if isinstance(t, dict)] if isinstance(tasks, list) else []
        self.drop_permission()
        self.touch()
        if prompt_id:
            self._stops[prompt_id] = (report, time.monotonic())
            message = self.current
            if message is not None and message.prompt_id == prompt_id:
                message.stop = {"text": report.text, "failure": failure}
                self.store.save_message(message)
        if self.record.turn_prompt in (prompt_id, "unknown") or prompt_id is None:
            self.record.turn_prompt = None
        self.store.save_session(self.record)

    def drop_permission(self, only: Permission | None = None) -> None:
        """A request, or all, was answered here or at the terminal; a hook that still waits is let go."""
        over = [known for known in self.permissions if only is None or known.id == only.id]
        self.permissions = [known for known in self.permissions if known not in over]
        for permission in over:
            permission.settle()
        self.pulse.ring()

    def _take_transcript_line(self, line: TranscriptLine) -> None:
        if line.sidechain or self._is_copy(line):
            return
        if line.kind == "user" and line.prompt_id and line.prompt_id not in self.turns:
            self._turn = Turn(line.prompt_id, line.text or "")
            self.turns[line.prompt_id] = self._turn
            self._turn_ended_at = None
            while len(self.turns) > REMEMBERED_TURNS:
                del self.turns[next(iter(self.turns))]
            message = self.current
            if message is not None and self._is_proof(message, line.text or ""):
                self.step(message, "submitted", prompt_id=line.prompt_id)
            return
        if line.kind == "summary" and line.text and not self.record.title:
            self.record.title = line.text
        if self._turn is None:
            return
        self._turn.add(line)
        if line.kind == "turn_end":
            self._turn_ended_at = time.monotonic()
            if self.record.turn_prompt == self._turn.prompt_id:
                self.record.turn_prompt = None
                self.store.save_session(self.record)
        elif line.kind == "interrupted":
            self.record.turn_prompt = None
            self.drop_permission()
            self.store.save_session(self.record)

    def is_claimed(self, message: MessageRecord) -> bool:
        """Whether the editor of this very process has put the message's text into the box."""
        return message.generation == self.record.generation and (
            message.id in self.claimed or (self.dir / "outbox" / f"{message.id}.claimed").exists()
        )

    def _is_copy(self, line: TranscriptLine) -> bool:
        """Whether a fork has copied this line from the conversation that it comes from; the prompt id is a new one's."""
        at = milliseconds(line.at) if self.record.fork_from else None
        return at is not None and at < self.record.created_at

    def _is_proof(self, message: MessageRecord, submitted: str) -> bool:
        """Whether a prompt that was submitted is this message: a person may have sent the same words before or beside it."""
        return message.state in ("queued", "typed") and self.is_claimed(message) and _same(submitted, message.prompt)

    def _prefer_transcript(self) -> None:
        if self.record.transcript:
            path = Path(self.record.transcript)
            name = f"transcript:{path.name}"
            self._transcript = Tail(path, self.store.position(self.id, name))

    def transcript_settled(self) -> None:
        """Remember that nothing before the present end of the transcript is open."""
        if self._transcript is not None:
            self.store.set_position(self.id, f"transcript:{self._transcript.path.name}", self._transcript.offset)

    def _message_of(self, prompt_id: str | None) -> str | None:
        message = self.current
        return message.id if message is not None and prompt_id and message.prompt_id == prompt_id else None

    # -- the message under way ---------------------------------------------------------------------------------------

    def step(self, message: MessageRecord, state: str, **fields: Any) -> None:
        """Record that a message has reached a step, with its time, and say so."""
        with _undone_on_failure(message), self.store.transaction():
            for name, value in fields.items():
                setattr(message, name, value)
            message.state = state
            message.steps = {**message.steps}
            message.steps.setdefault(state, now_ms())
            self.store.save_message(message)
            data: dict[str, Any] = {"message": message.id, "state": state, "at": message.steps[state]}
            if message.error:
                data["error"] = message.error.get("code")
            self.store.append("message", self.id, data)
        self.pulse.ring()

    def _stop_report(self, message: MessageRecord, now: float) -> StopReport | None:
        if message.prompt_id and message.prompt_id in self._stops:
            report, at = self._stops[message.prompt_id]
            return StopReport(report.text, report.failure, now - at)
        if message.stop is not None:
            self._stops[message.prompt_id or ""] = (StopReport(message.stop["text"], message.stop["failure"], 0), now)
            return StopReport(message.stop["text"], message.stop["failure"], 0.0)
        return None

    def _settle(self, now: float) -> None:
        message = self.current
        if message is None or message.state != "submitted":
            self._quiet_since = None
            self._notice_silent_end(now)
            return
        if message.kind == "command" and message.prompt_id is None:
            self._settle_command(message, now)
            return
        quiet = self._is_quiet()
        self._quiet_since = (self._quiet_since or now) if quiet else None
        outcome = settle(
            self.turns.get(message.prompt_id),
            self._stop_report(message, now),
            ended_for=now - self._turn_ended_at if self._turn_ended_at is not None else 0.0,
            quiet_for=now - self._quiet_since if self._quiet_since is not None else 0.0,
        )
        if outcome is not None and not held("settled"):
            self.conclude(message, outcome)

    def _command_run(self, message: MessageRecord) -> CommandRun:
        if self.command is None or self.command.message != message.id:
            self.command = CommandRun.of(message)
        return self.command

    def _settle_command(self, message: MessageRecord, now: float) -> None:
        """Most commands are no turn: the status file may never have changed for them."""
        terminal = self.terminal
        assert terminal is not None
        idle = self.status is None or self.status.status in ("idle", "shell")
        quiet = idle and self.record.turn_prompt is None and self.sight().kind in ("prompt", "draft")
        outcome = self._command_run(message).outcome(
            quiet, lambda: on_screen(terminal.screen.text(), message.prompt), now
        )
        if outcome is not None:
            self.conclude(message, outcome)

    def _is_quiet(self) -> bool:
        idle = self.status is None or self.status.status in ("idle", "shell")
        submitted = self.current.steps.get("submitted", 0) if self.current is not None else 0
        if self.status is not None and 0 < self.status.updated_at < submitted:
            return False  # it speaks of the time before this prompt
        return idle and self.sight().kind in ("prompt", "draft")

    def _notice_silent_end(self, now: float) -> None:
        """A turn that is not ours may end without a hook (Esc): believe status file and screen after a while."""
        if self.record.turn_prompt is None or not self._is_quiet() or now - self.progress_at < 2.0:
            return
        self.record.turn_prompt = None
        self.store.save_session(self.record)

    def conclude_cut_off(self, now: float) -> None:
        """The process is gone: settle the message under way by what the logs say, or put it back into the queue."""
        message = self.current
        if message is None:
            return
        if message.state == "submitted":
            self.conclude(message, cut_off(self.turns.get(message.prompt_id), self._stop_report(message, now)))
            return
        self.requeue(message)

    def is_settled(self, message: MessageRecord) -> bool:
        """Whether the message has its fate, by whoever's hand; the sender's copy may be older."""
        stored = self.store.message(message.id)
        return stored is None or stored.state not in ("accepted", "queued", "typed", "submitted")

    def requeue(self, message: MessageRecord) -> None:
        """Its text never became a prompt: it waits its turn again."""
        self.claimed.discard(message.id)
        for name in (f"{message.id}.claimed", f"{message.id}.pending"):
            (self.dir / "outbox" / name).unlink(missing_ok=True)
        if message.state != "queued":
            steps = {name: at for name, at in message.steps.items() if name != "typed"}
            self.step(message, "queued", steps=steps, generation=0)
        self.current = None
        self.pulse.ring()

    def conclude(self, message: MessageRecord, outcome: Outcome) -> None:
        """Store a settled fate, all of it in one transaction."""
        turn = self.turns.get(message.prompt_id)
        error: ErrorBodyLike | None = None
        if outcome.state == "failed":
            error = failure_body(outcome)
        elif outcome.state == "interrupted":
            error = {
                "code": "interrupted",
                "message": "The turn was interrupted before Claude had finished its reply.",
                "status": 409,
                "retryable": False,
                "data": {},
            }
        with _undone_on_failure(message, self.record), self.store.transaction():
            self.step(
                message,
                outcome.state,
                reply=outcome.reply,
                error=error,
                tool_calls=list(turn.tools) if turn else [],
                usage=turn.total_usage if turn else None,
                stop=None,
            )
            self.touch()
            self.record.turn_prompt = None if self.record.turn_prompt == message.prompt_id else self.record.turn_prompt
            if outcome.state == "failed" and outcome.error == "rate_limit":
                self.record.held_until = now_ms() + 60_000
                self.record.held_reason = outcome.detail
            if outcome.state == "answered":
                self.record.failures = 0
                self.record.options["spoken"] = self.record.conversation_id
            self.store.save_session(self.record)
            self.transcript_settled()
        self.claimed.discard(message.id)
        (self.dir / "outbox" / f"{message.id}.claimed").unlink(missing_ok=True)
        self.current = None
        self._quiet_since = None
        self._status_at = 0.0
        if outcome.state == "answered" and self.state is State.BUSY and self.record.turn_prompt is None:
            self.apply(Event.READY, "answered")
        self.pulse.ring()


@contextmanager
def _undone_on_failure(*records: Any) -> Iterator[None]:
    """What the database refused to keep must not stay in memory as if it were kept."""
    before = [dict(vars(record)) for record in records]
    try:
        yield
    except BaseException:
        for record, was in zip(records, before, strict=True):
            vars(record).update(was)
        raise


def failure_body(outcome: Outcome) -> ErrorBodyLike:
    """The error of a message that Claude's service refused."""
    status = {"rate_limit": 429, "authentication_failed": 502, "invalid_request": 502}.get(outcome.error or "", 502)
    return {
        "code": outcome.error or "api_error",
        "message": (outcome.detail or "Claude's service refused the request.").strip(),
        "status": status,
        "retryable": outcome.error in ("rate_limit", "server_error", "overloaded"),
        "data": {},
    }


def _read_text(file: Path) -> str | None:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _same(seen: str, prompt: str) -> bool:
    return (
        seen.rstrip() == prompt.rstrip() or seen.replace("\r\n", "\n").rstrip() == prompt.replace("\r\n", "\n").rstrip()
    )


def require(record: SessionRecord | None) -> SessionRecord:
    """The record, or NotFound."""
    if record is None:
        raise NotFound("Session not found. `GET /api/sessions` lists them.", code="session_not_found")
    return record
