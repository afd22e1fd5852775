"""What Claude says about one session, taken in: the lines of its hooks and of its transcript, each once.

A line's effects and the position behind it are one transaction, so a supervisor that dies between two lines goes on with
the second. What must not regress: a prompt is this message only if our editor has put it into the box, the words are the
same, and nothing was heard of its id before; hooks run side by side and the transcript lags, so their order is not relied on.
"""

from __future__ import annotations

import time
from collections import deque
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from shared.bus.message_events import PromptTaken, Text, ToolUse
from supervisor.claude import hooks
from supervisor.claude.hook_log import DamagedSpool, EditorEvent, HookEvent, parse_log_line
from supervisor.claude.tail import Line
from supervisor.claude.texts.prompts import same_prompt
from supervisor.claude.transcript import TranscriptLine, read
from supervisor.observation import refused_prompt, unanswered_request
from supervisor.observation.log_tails import LogTails
from supervisor.observation.print_stream import PrintStream
from supervisor.observation.transcript_file import ConversationFollower
from supervisor.session import last_words, model_choice, permission_mode, receipts, scheduled
from supervisor.session.session import Session
from supervisor.session.unreadable import Unreadable
from supervisor.store.store import now_ms
from supervisor.turn import tool_events
from supervisor.turn.early_reply import EarlyReply
from supervisor.turn.truncation import excerpt
from supervisor.turn.turn import StopReport, Turn
from supervisor.turn.turn_assembler import REMEMBERED_TURNS, TurnAssembler
from supervisor.waiting import backoff, request_key
from supervisor.waiting.permission_rules import consider
from supervisor.waiting.waiting import Permission, let_go, pipe_of

REMEMBERED_IDS = 32


class LogReader:
    """The logs of one session, and what they have told of its last turns. `stopped_at` is when the end of the last turn
    was read (ms since the epoch)."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.turns = TurnAssembler()
        self.stops: dict[str, tuple[StopReport, float]] = {}
        self.early = EarlyReply(session.dir)
        self.stopped_at, self.had_plans = 0, False
        self._prompts: dict[str, list[str]] = {}
        self.unreadable = Unreadable(session.id, session.store)
        self._tails = LogTails(session, self.unreadable)
        self._printed = PrintStream(session)
        self.conversation = ConversationFollower(session, self._tails)
        self._untold: deque[tuple[Turn, TranscriptLine]] = deque()
        """Lines that are in their turns and whose effects have not been kept: the database may refuse them for a while."""

        self._spoken = False

    @property
    def files(self) -> list[Path | None]:
        """What is read; None for what is not known yet."""
        return self._tails.files

    def read(self, seconds: float = inf) -> bool:
        """Take in what Claude's hooks and transcript say, each line once; for about so long. Whether that was all."""
        end = time.monotonic() + seconds
        if self._session.permissions.pending:  # what the CLI has denied is told here alone, its turn's end by a hook
            self._read_transcript(end)
        if not self._tails.read_hooks(self._take_hook_line, end):
            return False
        if self._session.printing:
            self._printed.read()
        return self._read_transcript(end)

    def _read_transcript(self, end: float) -> bool:
        news, complete = self._tails.read_transcript(self._take_transcript, end)
        if news:
            self._progress()
        if self._untold:
            with self._session.change():  # one for all that was read: a long transcript has thousands
                while self._untold:
                    self._turn_told(*self._untold.popleft())
                if self._spoken:
                    self._session.store.save_session(self._session.record)
                self._spoken = False
        return complete

    def _take_transcript(self, line: Line) -> None:
        session, message = self._session, self._session.current
        parsed = read(line.data)
        if parsed is None:
            return
        # Before it is typed, what is said is an earlier command's, however old the message is.
        if message is not None and message.kind == "command" and message.state in ("typed", "submitted"):
            receipts.command_run(session, message).take(parsed)
        self._take_transcript_line(parsed)

    def begin_again(self) -> None:
        """The hooks' log was removed, and will be written from its start."""
        self._tails.begin_again()

    def _progress(self) -> None:
        session = self._session
        receipts.progress(session, time.monotonic())
        receipts.not_quiet(session)
        session.changed.notify()

    def _take_hook_line(self, line: Line) -> None:
        session = self._session
        event = self._parse(line.data)
        with session.change():
            if isinstance(event, HookEvent):
                self._take_hook(event)
            elif isinstance(event, EditorEvent):
                session.editor.told(event.what, event.message_id)
            session.store.set_position(session.id, "hooks", line.end)
        if isinstance(event, HookEvent) and event.answer is None:
            session.spent.add(event.spool)
        elif isinstance(event, HookEvent):
            request_key.file_of(event.spool).unlink(missing_ok=True)
        if isinstance(event, EditorEvent) and event.draft is not None:
            if session.editor.is_asked(event.message_id):
                session.editor.answer(event.message_id, event.draft_text())
            event.draft.unlink(missing_ok=True)
        self._progress()

    def _parse(self, data: bytes) -> HookEvent | EditorEvent | None:
        session = self._session
        try:
            return parse_log_line(session.dir, data)
        except DamagedSpool as error:
            let_go(pipe_of(error.spool))  # if it was a request, Claude asks at the terminal
            session.quarantine(error.spool, str(error))
            return None

    def _take_hook(self, event: HookEvent) -> None:
        session = self._session
        payload, name = event.payload, event.name
        self._hear(event.prompt_id)
        self.early.take(event)
        if name != hooks.SESSION_START:
            self.conversation.follow(payload)
        if permission_mode.is_news(event, event.prompt_id in self.stops):
            permission_mode.follow(session.record, session.store, payload.get("permission_mode"))
        if isinstance(payload.get("cwd"), str) and "agent_id" not in payload:
            self._now(cwd=payload["cwd"])
        if name == hooks.SESSION_START:
            self._conversation_started(payload)
        elif name == hooks.USER_PROMPT_SUBMIT:
            self._prompt_submitted(event.prompt_id, str(payload.get("prompt", "")))
        elif name == hooks.MESSAGE_DISPLAY:
            said = {name: payload.get(name) for name in ("delta", "index", "final", "message_id")}
            text = Text(**said, prompt_id=event.prompt_id, message=self._message_of(event.prompt_id))
            session.store.append(text, session.id)
        elif name in hooks.TOOL_USED:
            self._tool_event(name, payload, event.prompt_id)
        elif name in hooks.ASKING_EVENTS:
            asked = Permission.from_hook(event.spool, payload)
            asked.key = request_key.of(session.store, session.id, event.spool)
            request_key.keep(session.store, session.id, event.spool)
            if all(known.id != asked.id for known in session.permissions.pending):
                consider(session.services.config().permissions.rules, asked)
                session.permissions.add(asked)
        elif name in (hooks.SUBAGENT_STOP, hooks.ELICITATION_RESULT):
            for asked in [known for known in session.permissions.pending if known.is_over_with(name, payload)]:
                session.permissions.drop(asked)
        elif name == hooks.POST_MODEL_SWITCH:
            model_choice.follow(session.record, session.store, payload)
            session.store.save_session(session.record)
        elif name == hooks.POST_COMPACT:
            scheduled.bind_to_process(session.record)
            session.store.save_session(session.record)
        elif name in (hooks.STOP, hooks.STOP_FAILURE):
            self._turn_stopped(name, payload, event.prompt_id)
        elif name == hooks.SESSION_END:
            reason = payload.get("reason")
            self._now(last_end=reason if isinstance(reason, str) else None)
            session.store.save_session(session.record)

    def _now(self, **told: str | None) -> None:
        record = self._session.record
        record.process = msgspec.structs.replace(record.process, **told)

    def _conversation_started(self, payload: dict[str, Any]) -> None:
        session = self._session
        if self.conversation.started(payload):
            session.hooks_heard()
            session.store.save_session(session.record)

    def _prompt_submitted(self, prompt_id: str | None, prompt: str) -> None:
        session = self._session
        session.touch()
        queued = prompt_id is not None and self._is_anothers(prompt_id, prompt)
        turn = self.turns.get(prompt_id)
        if not self._is_over(prompt_id):
            session.prompt_told()
            session.record.turn_prompt = prompt_id or "unknown"
        if queued or turn is None or not turn.peer:
            self._prove(None if queued else prompt_id, prompt)
        self._disown(prompt_id)
        session.store.save_session(session.record)
        session.store.append(PromptTaken(prompt_id=prompt_id, message=self._message_of(prompt_id)), session.id)

    def _is_anothers(self, prompt_id: str, prompt: str) -> bool:
        """Whether this id is another prompt's. A prompt that is entered while a turn runs is queued by the CLI, and told with
        the id of that turn (measured on 2.1.330); it gets its own when its turn begins, in the transcript."""
        turn, known = self.turns.get(prompt_id), prompt_id in self._prompts
        self._prompts.setdefault(prompt_id, []).append(prompt)
        while len(self._prompts) > REMEMBERED_TURNS:
            del self._prompts[next(iter(self._prompts))]
        if turn is not None and turn.peer:  # its prompt has words of the CLI's around those of the hook
            return known or prompt.strip() not in turn.prompt
        if turn is not None:
            return known or not same_prompt(turn.prompt, prompt)
        return known or prompt_id == self._session.record.turn_prompt

    def _is_over(self, prompt_id: str | None) -> bool:
        """Whether a turn has ended already: its first hook may be heard behind its last."""
        turn = self.turns.get(prompt_id)
        return prompt_id in self.stops or (turn is not None and (turn.ended or turn.interrupted))

    def _is_behind(self, prompt_id: str | None) -> bool:
        """Whether a later turn runs, or has ended: what is told now of this one's end says nothing of the present."""
        record = self._session.record
        later = record.heard[record.heard.index(prompt_id) + 1 :] if prompt_id in record.heard else []
        return any(other == record.turn_prompt or other in self.stops for other in later)

    def _prove(self, prompt_id: str | None, prompt: str) -> None:
        session = self._session
        message = session.current
        # An earlier prompt may have had the same words: what is told late of the one must not be taken for the other's.
        if message is None or prompt_id in message.earlier:
            return
        if receipts.is_proof(session, message, prompt):
            receipts.step(session, message, "submitted", prompt_id=prompt_id)
        elif prompt_id is not None and receipts.awaits_turn(session, message, prompt):
            message.prompt_id = prompt_id
            self._session.store.save_message(message)
            if not self._is_over(prompt_id):  # it has had its hook, while the turn before it ran
                self._session.record.turn_prompt = prompt_id
                self._session.store.save_session(self._session.record)

    def _hear(self, prompt_id: str | None) -> None:
        record = self._session.record
        if prompt_id is not None and prompt_id not in record.heard:
            record.heard = [*record.heard, prompt_id][-REMEMBERED_IDS:]

    def _disown(self, prompt_id: str | None) -> None:
        """The transcript says whose an id is: when the hook of our queued prompt was heard before that of the turn, the turn's
        id was taken for ours."""
        message, turn = self._session.current, self.turns.get(prompt_id)
        if message is None or turn is None or message.prompt_id != prompt_id or message.kind != "prompt":
            return
        if turn.peer and not any(same_prompt(absorbed, message.prompt) for absorbed in turn.absorbed):
            message.prompt_id, message.stop = None, None
            self._session.store.save_message(message)
            return
        told = self._prompts.get(prompt_id or "", [])
        own = [turn.prompt, *turn.absorbed]
        anothers = any(same_prompt(prompt, turn.prompt) for prompt in told) and not any(
            same_prompt(o, message.prompt) for o in own
        )
        if anothers and any(same_prompt(prompt, message.prompt) for prompt in told):
            message.prompt_id, message.stop = None, None
            self._session.store.save_message(message)

    def _tool_event(self, name: str, payload: dict[str, Any], prompt_id: str | None) -> None:
        session = self._session
        changed = session.permissions.was_changed(payload)
        data = {
            "promptId": prompt_id,
            "message": self._message_of(prompt_id),
            **tool_events.told(name, payload, changed),
        }
        session.store.append(msgspec.convert(excerpt(data), ToolUse), session.id)
        if name == hooks.POST_TOOL_USE:
            scheduled.take_tool(session.record, payload)
            session.store.save_session(session.record)
        if name != hooks.PRE_TOOL_USE:
            unanswered_request.take_tool(session, payload)
            session.permissions.tool_ended(payload)

    def _turn_stopped(self, name: str, payload: dict[str, Any], prompt_id: str | None) -> None:
        session = self._session
        text = payload.get("last_assistant_message") or payload.get("error_details")
        failure = None
        if name == hooks.STOP_FAILURE:
            failure = str(payload.get("error") or payload.get("error_type") or "api_error")
        report = StopReport(text if isinstance(text, str) else None, failure, 0.0)
        self.had_plans = bool(session.record.background or session.record.scheduled)
        if not self._is_behind(prompt_id):
            if failure is None:
                backoff.forgive(session.record)  # whoever asked: the service has answered
            tasks = payload.get("background_tasks")
            if isinstance(tasks, list):  # a StopFailure tells nothing of them
                session.record.background = [t for t in tasks if isinstance(t, dict)]
            scheduled.take_stop(session.record, payload, Path(session.record.project_path))
            session.permissions.drop_all()
        session.touch()
        if prompt_id:
            self.stops[prompt_id] = (report, time.monotonic())
            while len(self.stops) > REMEMBERED_TURNS:
                del self.stops[next(iter(self.stops))]
            if (message := session.current) is not None and message.prompt_id == prompt_id:
                message.stop = {"text": report.text, "failure": failure}
                session.store.save_message(message)
        self._stop_heard(prompt_id, failure)
        session.store.save_session(session.record)

    def _stop_heard(self, prompt_id: str | None, failure: str | None) -> None:
        """A Stop hook is not the end of the turn: a person's own may run on beside it, and then have Claude go on."""
        record, turn = self._session.record, self.turns.get(prompt_id)
        over = failure is not None or (turn is not None and (turn.ended or turn.interrupted))
        if prompt_id is None or (over and record.turn_prompt in (prompt_id, "unknown")):
            self.turn_over()
        elif not over and record.turn_prompt in (None, "unknown") and not self._is_behind(prompt_id):
            record.turn_prompt = prompt_id  # the hook of its prompt is late

    def turn_over(self) -> None:
        """No turn is open any more; what the status file has said until now was said of it."""
        self._session.record.turn_prompt, self.stopped_at = None, now_ms()

    def _take_transcript_line(self, line: TranscriptLine) -> None:
        session = self._session
        if line.sidechain or self._is_copy(line):
            return
        self._hear(line.prompt_id)
        if line.kind == "stop_hooks":
            self.early.listed(line, session.record.generation)
        if line.kind == "summary" and line.text and not session.record.title:
            session.record.title = line.text
        placed = self.turns.take(line)
        self._untold.extend(placed or ([(Turn(None, ""), line)] if line.kind == "refused" else []))

    def _turn_told(self, turn: Turn, line: TranscriptLine) -> None:
        session = self._session
        self._spoken |= last_words.take(session.record, line)
        if line.entered:
            # 2.1.231 writes `/compact` down as a prompt, too; a turn that a command starts is told by its hook.
            if session.current is None or session.current.kind != "command":
                self._disown(line.prompt_id)
                if line.peer:
                    self._begun_by_peer()
                else:
                    self._prove(line.prompt_id, line.text or "")
        elif line.kind == "absorbed":
            self._absorbed(turn, line)
        elif line.kind == "refused":
            refused_prompt.take(session, turn, line)
        elif line.kind == "tool_result":
            unanswered_request.take_result(session, turn, line)
        elif line.kind == "turn_end":
            turn.ended_at = time.monotonic()
            if session.record.turn_prompt == turn.prompt_id:
                self.turn_over()
                session.store.save_session(session.record)
        elif line.kind == "interrupted" and session.record.turn_prompt in (turn.prompt_id, "unknown"):
            session.record.turn_prompt = None
            session.permissions.drop_all()
            session.store.save_session(session.record)

    def _begun_by_peer(self) -> None:
        """What a peer sent has begun a turn, and may have ended the one that ran: that one's end is told by nothing else."""
        message = self._session.current
        cut = self.turns.get(message.prompt_id) if message is not None else None
        if cut is not None and cut.cut_short and cut.ended_at is None:
            cut.ended_at = time.monotonic()

    def _absorbed(self, turn: Turn, line: TranscriptLine) -> None:
        """A prompt that the CLI had queued gets no turn of its own: Claude answers it in the one that ran."""
        session = self._session
        message, at = session.current, line.at
        if line.peer or message is None or message.kind != "prompt":
            return
        if at is not None and at < message.steps.get("typed", 0):
            return
        if receipts.is_proof(session, message, line.text or ""):
            receipts.step(session, message, "submitted", prompt_id=turn.prompt_id)
        elif receipts.awaits_turn(session, message, line.text or ""):
            message.prompt_id = turn.prompt_id
            self._session.store.save_message(message)

    def _is_copy(self, line: TranscriptLine) -> bool:
        """Whether a fork has copied this line from the conversation that it comes from; the prompt id is a new one's."""
        record = self._session.record
        return bool(record.fork_from) and line.at is not None and line.at < record.created_at

    def settled(self) -> None:
        """Remember that nothing before the present end of the transcript is open."""
        self._tails.settled()

    def _message_of(self, prompt_id: str | None) -> str | None:
        session = self._session
        message = session.current
        return message.id if message is not None and prompt_id and message.prompt_id == prompt_id else None
