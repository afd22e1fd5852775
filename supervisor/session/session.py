"""One conversation: its record, what is known about its process, and its one state.

The session holds what is known, and applies the state table. Others find out, and it knows none of them: `log_reader` takes in
what Claude says, `observer` judges what the screen shows, `receipts` settles the fate of the message under way, `lifecycle`
starts and ends processes, `delivery` types. Each attribute is assigned by the module that is named above it in `__init__`.
Invariants: the record is written before anything it says is published; `current` is the one message that is typed or submitted,
or None.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import session_events, trouble_events
from shared.bus.messages import SessionView, Waiting
from shared.errors import StorageFailed
from supervisor import clock
from supervisor.claude import screen
from supervisor.claude.status_file import Status
from supervisor.session import mention_rules, permission_mode
from supervisor.session.condition import Condition
from supervisor.session.editor import Editor
from supervisor.session.fates import Fates
from supervisor.session.mention_rules import Reach
from supervisor.session.permissions import Permissions
from supervisor.session.services import Logs, Services, Watch
from supervisor.session.spent_files import SpentFiles
from supervisor.session.view import Live, delivery_of, view_of
from supervisor.state import states, transition
from supervisor.state.conditions import Conditions
from supervisor.state.states import State, StateEvent
from supervisor.store.options import ProcessFacts
from supervisor.store.quarantine import set_aside
from supervisor.store.rollback import undone_on_failure
from supervisor.store.store import MessageRecord, SessionRecord, now_ms
from supervisor.terminal.terminal import Terminal
from supervisor.turn.command_run import CommandRun
from supervisor.waiting.appearances import Appearance
from supervisor.waiting.backoff import is_held
from supervisor.waiting.waiting import expiry

TRUST_TRIES = 3
ENTERED_SECONDS = 1.0
"""How long after a person's Enter their prompt may take to be told by its hook (measured: 20-60 ms, 160 on a busy machine)."""

_OVER = (State.STOPPING, State.ENDED)


class Session:
    """One conversation. All methods run on the supervisor's loop."""

    def __init__(self, record: SessionRecord, services: Services) -> None:
        # Never another one.
        self.record = record
        self.services = services
        self.store = services.store
        self.dir = services.paths.session_dir(record.id)
        self.changed = Condition()
        self.fates = Fates(self.store.is_awaited)
        self.health = Conditions()
        self.editor = Editor()
        self.spent = SpentFiles()
        self.permissions = Permissions(self.store, record.id, self.dir / "spool", self.changed)
        self.answering = asyncio.Lock()
        self.typing = asyncio.Lock()
        """Whoever holds it is the only one who presses keys."""

        # Assigned by session/session.
        self.logs: Logs
        self.observer: Watch
        self.waiting: Waiting | None = None
        self.given: set[str] = set()
        """What is being answered here: when it has gone, it has not expired."""

        self.told: dict[str, str | None] = {record.asked: None} if record.asked is not None else {}
        """What was said to be waited for, and is: the id and the kind of each. Claude may show another one in between."""

        self.entered_at: float | None = None
        self.keyed_at = 0.0
        self.session_started = False

        # Assigned by observation/observer.
        self.status: Status | None = None
        self.shown: Appearance | None = None
        """The dialog on the screen that no hook explains, or whose hook was let go."""

        self.beside: list[Waiting] = []
        """What waits besides `waiting`, in Claude's order as far as it is known."""

        # Assigned by session/receipts.
        self.current: MessageRecord | None = None
        self.command: CommandRun | None = None
        self.progress_at = time.monotonic()
        self.quiet_since: float | None = None
        """Since when nothing runs, by status file and screen, behind the message under way."""

        # Assigned by delivery/answer.
        self.last_answer: tuple[int, str, str] | None = None
        self.filled: Waiting | None = None
        """The dialog whose input line is being filled in: with a text in it, it is still the same."""

        # Assigned by delivery/interrupt.
        self.interrupting = False

        # Assigned by delivery/queue.
        self.obstacle: str | None = None
        """Why the last try to send, or to start for it, came to nothing; it is tried again."""

        # Assigned by delivery/keyboard.
        self.emptied: str | None = None
        """The message whose prompt was seen to have left the box."""

        # Assigned by delivery/trust_dialog.
        self.trust_failures = 0

        # Assigned by lifecycle/lifecycle.
        self.restart: Callable[[str], Awaitable[None]] | None = None

        # Assigned by lifecycle/holder_link.
        self.terminal: Terminal | None = None
        self.responsive = True
        self.locked: str | None = None
        """The conversation that its holder locks, if that is known."""

        # Assigned by viewers/audience.
        self.attached = 0
        self.viewers = 0
        self.writer: str | None = None

        # Assigned by pool/health.
        self.memory_bytes: int | None = None
        self.cpu_percent: float | None = None

    def attend(self, logs: Logs, observer: Watch) -> None:
        """From now on these find out what it does."""
        self.logs, self.observer = logs, observer

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
    def per_message(self) -> bool:
        """Whether its next message gets a process of its own (`claude -p`), which has no prompt box and ends with it."""
        return delivery_of(self.record, self.services.config()) == "per_message"

    @property
    def printing(self) -> bool:
        """Whether the process that there is was started for one message."""
        return self.live and self.record.process.printing is not None

    @property
    def answering_itself(self) -> bool:
        """Whether what it waits for is answered without a person (the trust dialog of a session created with trust)."""
        return self._answers_itself(self.waiting)

    def _answers_itself(self, waiting: Waiting | None) -> bool:
        trusts = self.record.trust and not self.record.ready_once and self.trust_failures < TRUST_TRIES
        return trusts and waiting is not None and waiting.kind == "trust"

    @property
    def coming_up(self) -> bool:
        """Whether its process has yet to get to its prompt, or to what a person has to answer. One that says nothing for a while
        behind a start-up dialog, on a busy machine, is `unknown` then."""
        unseen = self.state is State.UNKNOWN and not self.record.ready_once
        return self.state is State.STARTING or unseen or self.answering_itself

    @property
    def all_waiting(self) -> list[Waiting]:
        """All that waits for a person, in Claude's order."""
        if self.state is not State.WAITING or self.waiting is None:
            return []
        return [self.waiting, *(other for other in self.beside if other.id != self.waiting.id)]

    @property
    def idle_for_messages(self) -> bool:
        """Whether a prompt may be typed now: idle, an empty box on a settled screen, nothing asked."""
        idle = self.state is State.IDLE and self.terminal is not None and not is_held(self.record)
        entering = self.entered_at is not None and time.monotonic() - self.entered_at < ENTERED_SECONDS
        return idle and not entering and self.screen_reading().kind == "prompt"

    @property
    def in_background(self) -> bool:
        """Whether background tasks run. No Stop hook lists those of a turn that was interrupted; the status file tells."""
        return bool(self.record.background) or (self.status is not None and self.status.status == "shell")

    def person_presses(self, data: bytes) -> None:
        """A person's keys are about to be pressed: one may answer what is asked before the screen shows it, and behind an Enter
        the box is empty before a hook tells of their turn, in which Claude would queue ours."""
        self.keyed_at = time.monotonic()
        if b"\r" in data:
            self.entered_at = self.keyed_at
            asyncio.get_running_loop().call_later(ENTERED_SECONDS, self.changed.notify)

    def prompt_told(self) -> None:
        """A hook has told of the prompt that was entered."""
        self.entered_at = None

    def hooks_heard(self) -> None:
        """The hooks of its process work: it has said that it has begun."""
        self.session_started = True

    @property
    def lock_outdated(self) -> bool:
        """Whether its process has gone on to another conversation than the one that its holder locks."""
        return self.terminal is not None and self.locked != self.record.conversation_id

    def view(self) -> SessionView:
        """As clients see it."""
        live = Live(
            waiting=self.waiting if self.state is State.WAITING else None,
            all_waiting=self.all_waiting,
            current=self.current.id if self.current else None,
            draft=self.live and self.current is None and self.screen_reading().kind == "draft",
            attached=self.attached,
            viewers=self.viewers,
            writer=self.writer,
            memory_bytes=self.memory_bytes,
            cpu_percent=self.cpu_percent,
            health=self.health.worst,
            reading=self.screen_reading().kind if self.live else "",
            obstacle=self.obstacle,
        )
        return view_of(self.record, self.services.config(), self.store.count_open(self.id), live)

    def screen_reading(self) -> screen.ScreenReading:
        """What its screen shows."""
        return self.terminal.screen_reading() if self.terminal is not None else screen.ScreenReading("blank")

    # -- the state ---------------------------------------------------------------------------------------------------

    def apply(self, event: StateEvent, cause: str, waiting: Waiting | None = None, **fields: Any) -> None:
        """Take the transition that the table gives, record it and say so; nothing happens when nothing changed."""
        before, old = self.state, self.waiting
        target = states.after(before, event)
        asked = waiting if target is State.WAITING else None
        still = {asked.id, *(other.id for other in self.beside)} if asked is not None else set()
        gone = [known for known in self.told if known not in still] if target is not State.UNKNOWN else []
        changed = target is not before or (asked.id if asked else None) != (old.id if old else None)
        # What was asked before a restart, or before we lost sight for a moment, is no news; nor what nobody is to answer.
        news = asked is not None and asked.id not in self.told and not self._answers_itself(asked)
        changed = changed or bool(fields) or bool(gone) or news
        if not changed:
            if asked is not None and old is not None and self.filled is None and asked != old:
                self._note_change(asked)
            self.waiting = asked
            return
        with self.change():
            for name, value in fields.items():
                setattr(self.record, name, value)
            self.record.state = target
            self.waiting = asked
            if target is not State.UNKNOWN:
                self.record.asked = asked.id if asked is not None else None
            if asked is not None and news:
                self.record.remembered = msgspec.structs.replace(self.record.remembered, asked_since=asked.since)
                self._note_look()
            self.store.save_session(self.record)
            for over in gone:
                if over not in self.given:
                    stop = self.record.intent.stop
                    ending = (stop.reason if stop is not None else None) or self.record.end_reason
                    reason = ending if target in _OVER else None
                    why = expiry(over, reason or cause, self.interrupting, self.permissions.how_over(over))
                    self.store.append(session_events.WaitingExpired(id=over, for_=self.told[over], cause=why), self.id)
            told = {known: kind for known, kind in self.told.items() if known not in gone}
            self.told = told | ({asked.id: asked.kind} if asked is not None and (news or asked.id in told) else {})
            for said in transition.told(self.record, before, cause, asked, news):
                self.store.append(said, self.id)
        self.permissions.told_over(gone)
        self.given.difference_update(gone)  # the same dialog, asked again, is another one
        self.services.log.info(
            "session_state", extra={"fields": {"session": self.id, "from": before, "to": target, "cause": cause}}
        )
        self.changed.notify()

    def _note_change(self, asked: Waiting) -> None:
        """What is asked has changed while it is up: a pointer has moved, something was filled in."""
        with self.change():
            self._note_look()
            self.store.save_session(self.record)
            self.store.append(session_events.WaitingChanged(id=asked.id, for_=asked.kind, title=asked.title), self.id)

    def _note_look(self) -> None:
        if self.shown is not None:
            look = (self.shown.screen_reading.digest, self.shown.stamp)
            self.record.remembered = msgspec.structs.replace(self.record.remembered, asked_look=look)

    @contextmanager
    def change(self, *messages: MessageRecord, durable: bool = False) -> Iterator[None]:
        """What is done within is kept by the database as a whole, or has not been done: neither there nor in what we, our record,
        our logs and these messages say. The message under way is one of them."""
        under_way = [self.current] if self.current is not None else []
        with (
            undone_on_failure(
                self.record, self, self.health, self.editor, self.permissions, self.logs, *under_way, *messages
            ),
            self.store.transaction(durable),
        ):
            yield

    def forget_process(self, release: str | None) -> None:
        """A new process begins, of this release of the CLI: nothing that was known of the last one is true of it."""
        record = self.record
        record.ready_once, record.turn_prompt, record.background = False, None, []
        chosen = record.launch.permission_mode
        mode = permission_mode.started_with(chosen, self.services.config().claude.args)
        record.process = ProcessFacts(release=release, mode_now=mode)
        self.session_started = False
        self.observer.forget_process()
        self.editor.forget_process()
        self.health.clear()

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
        """Whether it is at work: a turn, a queue, a background task, or something that Claude has planned. What a person types
        counts when it is typed; a terminal that was left open does not."""
        if not self.live:
            return self.store.count_open(self.id) > 0 or bool(self.record.scheduled)
        if self.state in (State.STARTING, State.BUSY) or self.current is not None:
            return True
        return self.in_background or bool(self.record.scheduled)

    # -- what its helpers have in common -----------------------------------------------------------------------------

    def quarantine(self, path: Path, reason: str) -> None:
        """Put a damaged file of ours aside, and say so; it is done without."""
        try:
            moved = set_aside(path)
        except OSError as error:
            raise StorageFailed(f"{path} is damaged and cannot be put aside: {error.strerror}.") from error
        self.store.append(trouble_events.Quarantined(what=path.name, moved_to=str(moved), reason=reason), self.id)

    def check_mentions(self, text: str, confined: bool) -> None:
        """Refuse a text for what it would have Claude read. Raise Forbidden."""
        mention_rules.check(self.services.config(), self._reach, text, confined)

    def _reach(self) -> Reach:
        services, record = self.services, self.record
        return Reach.of(services.paths, self.id, record.project_path, services.home, record.launch, record.process.cwd)

    def begin_answer(self, waiting: str) -> None:
        """This is being answered here: when it has gone, it has not expired."""
        self.given.add(waiting)

    def answer_failed(self, waiting: str) -> None:
        """It was not answered after all."""
        self.given.discard(waiting)
