"""One turn as the transcript tells it, and the decision when a message's fate is settled.

Nothing here has effects: lines go in, an outcome comes out. What must not regress: a message is answered when Claude's
Stop hook and its transcript agree on the last text, and Claude is done with the turn: a person's own Stop hook may run for
minutes beside ours and then have it go on; each alone is believed only after a grace time, and an interrupted or failed
turn is never taken for an answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from supervisor.claude.transcript import TranscriptLine

AGREE_SECONDS = 5.0
"""How long the transcript may lag the Stop hook (measured: 30-90 ms) before the hook's text is believed alone."""

HOOK_GRACE_SECONDS = 2.0
"""How long the Stop hook may lag the transcript before the transcript is believed alone."""

IDLE_SECONDS = 0.3
"""Idle by its status file and its screen for this long behind a Stop hook, a turn is over without its last line, too."""

QUIET_SECONDS = 6.0
"""Idle by its status file and its screen for this long, a turn without an end was ended by something we did not see."""


@dataclass
class Turn:
    """What one prompt led to."""

    prompt_id: str | None
    prompt: str
    texts: list[tuple[str | None, str]] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, dict[str, int]] = field(default_factory=dict)
    stop_reason: str | None = None
    api_error: str | None = None
    absorbed: list[str] = field(default_factory=list)
    """Prompts that were entered while it ran, and that Claude was given in the midst of it."""

    interrupted: bool = False
    continued: bool = False
    """A person's Stop hook has had Claude go on, and it has said nothing since."""

    rounds: int = 0
    followed: bool = False
    """Another turn has begun."""

    peer: bool = False
    """What another session, or any process, has sent through Claude's inbox has begun it: it is nobody's here."""

    cut_short: bool = False
    """What a peer sent has begun another turn in the midst of it: there will be no end of it, and no Stop hook."""

    ended: bool = False
    ended_at: float | None = None

    def add(self, line: TranscriptLine) -> None:
        """Take one line in; side chains (subagents) are not part of the conversation."""
        if line.sidechain:
            return
        if line.kind == "assistant":
            self.stop_reason = line.stop_reason or self.stop_reason
            self.api_error = line.api_error
            if line.text is not None:
                self.continued = False
                if self.texts and self.texts[-1][0] == line.message_id and line.message_id:
                    self.texts[-1] = (line.message_id, self.texts[-1][1] + line.text)
                else:
                    self.texts.append((line.message_id, line.text))
            for tool in line.tool_uses:
                self.tools.append({"id": tool.get("id"), "name": tool.get("name"), "input": tool.get("input")})
            if line.usage:
                self.usage[line.message_id or str(len(self.usage))] = line.usage
        elif line.kind == "tool_result":
            for result in line.tool_results:
                for tool in self.tools:
                    if tool["id"] == result.get("tool_use_id"):
                        tool["isError"] = bool(result.get("is_error"))
        elif line.kind == "feedback":
            self.continued, self.stop_reason, self.rounds = True, None, self.rounds + 1
        elif line.kind == "absorbed" and not line.peer:
            self.absorbed.append(line.text or "")
        elif line.kind == "interrupted":
            self.interrupted = True
        elif line.kind == "turn_end":
            self.ended = True

    @property
    def reply(self) -> str | None:
        """The last text that Claude wrote."""
        return self.texts[-1][1] if self.texts else None

    @property
    def total_usage(self) -> dict[str, int] | None:
        """Tokens over all requests of the turn."""
        total: dict[str, int] = {}
        for usage in self.usage.values():
            for name, count in usage.items():
                total[name] = total.get(name, 0) + count
        return total or None


@dataclass(frozen=True)
class StopReport:
    """What the Stop or StopFailure hook said about the turn; `age` in seconds."""

    text: str | None
    failure: str | None
    age: float


@dataclass(frozen=True)
class Outcome:
    """A settled fate."""

    state: str
    reply: str | None = None
    error: str | None = None
    detail: str | None = None


def settle(turn: Turn | None, stop: StopReport | None, *, ended_for: float, quiet_for: float) -> Outcome | None:
    """The fate of a submitted message, or None while it is open.

    `ended_for`: seconds since the transcript showed the end of the turn (0: it has not). `quiet_for`: seconds for which
    status file and screen have both said idle with nothing new in any log.
    """
    if stop is not None and stop.failure is not None:
        return Outcome("failed", error=stop.failure, detail=stop.text or (turn.reply if turn else None))
    if turn is not None and turn.interrupted and (turn.ended or quiet_for > 0):
        return Outcome("interrupted", reply=turn.reply)
    if stop is not None:
        done = turn is not None and (turn.ended or turn.followed)
        if not done and (quiet_for < IDLE_SECONDS or (turn is not None and turn.continued)):
            return None
        if turn is not None and (agree(turn, stop) or (turn.ended and not stop.text)):
            return Outcome("answered", reply=turn.reply or "")
        if stop.age >= AGREE_SECONDS:
            return Outcome("answered", reply=stop.text or (turn.reply if turn else None) or "")
        return None
    if turn is None:
        return Outcome("interrupted", detail="withdrawn") if quiet_for >= QUIET_SECONDS else None
    if turn.cut_short and not turn.ended and ended_for >= HOOK_GRACE_SECONDS:
        return Outcome("interrupted", reply=turn.reply)
    if turn.api_error and (turn.ended or quiet_for >= HOOK_GRACE_SECONDS):
        return Outcome("failed", error=turn.api_error, detail=turn.reply)
    if turn.ended and ended_for >= HOOK_GRACE_SECONDS:
        return Outcome("answered", reply=turn.reply or "")
    if quiet_for >= QUIET_SECONDS:
        if turn.reply is not None and turn.stop_reason in ("end_turn", "stop_sequence"):
            return Outcome("answered", reply=turn.reply)
        return Outcome("interrupted", reply=turn.reply)
    return None


def agree(turn: Turn, stop: StopReport) -> bool:
    """Whether both tell of the same last words. The hook has the last block of text only, trimmed (measured)."""
    if not stop.text or turn.reply is None:
        return False
    return turn.reply.rstrip().endswith(stop.text.strip())


def cut_off(turn: Turn | None, stop: StopReport | None) -> Outcome:
    """The fate of a submitted message whose process has ended: what the logs say is all there will ever be."""
    if turn is not None and stop is not None and (turn.continued or (turn.rounds and not agree(turn, stop))):
        stop = stop if stop.failure is not None else None  # it tells of an earlier round
    if stop is not None and stop.failure is None and (turn is None or turn.reply is not None or stop.text):
        reply = turn.reply if turn is not None and turn.reply is not None else stop.text
        return Outcome("answered", reply=reply or "")
    outcome = settle(turn, stop, ended_for=HOOK_GRACE_SECONDS, quiet_for=QUIET_SECONDS)
    return outcome or Outcome("interrupted")
