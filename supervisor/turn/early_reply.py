"""The reply of a turn before its transcript has it: what Claude has displayed, when its Stop hook tells of the same words.

The transcript lags the Stop hook by 70 to 340 ms, and only what it says makes a message `answered` (docs/decisions/0006). What
must not regress: nothing counts as replied while a Stop hook that is not ours may still have Claude go on, which only the list
of the turn before tells; nor while it is not certain whose turn it is, a tool call is open, or a piece of the text is missing.
All that is noted here may be noted twice: a line that the database has refused is read again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from supervisor.claude import hooks
from supervisor.claude.command_line import hook_command
from supervisor.claude.hook_log import HookEvent
from supervisor.claude.settings import set_up
from supervisor.claude.texts.prompts import same_prompt
from supervisor.claude.transcript import TranscriptLine
from supervisor.turn.turn import StopReport, Turn
from supervisor.turn.turn_assembler import REMEMBERED_TURNS


@dataclass
class Displayed:
    """What the hooks have told of one turn: pieces of text by Claude's message, in the order in which these began."""

    prompts: dict[str, str] = field(default_factory=dict)
    """The prompts that were told with its id, by the file that told of each: one that Claude queues has the id of the turn that
    runs (2.1.330)."""

    pieces: dict[str, dict[int, str]] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    begun: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    goes_on: bool = False
    """A Stop hook that is not ours has had Claude go on."""

    def take(self, event: HookEvent) -> None:
        """One hook of this turn; those of subagents say nothing about it."""
        name, payload = event.name, event.payload
        if "agent_id" in payload:
            return
        if name == hooks.USER_PROMPT_SUBMIT:
            self.prompts[event.spool.name] = str(payload.get("prompt", ""))
        tool, part, index = payload.get("tool_use_id"), payload.get("message_id"), payload.get("index")
        if name == hooks.MESSAGE_DISPLAY and isinstance(part, str) and isinstance(index, int):
            self.pieces.setdefault(part, {})[index] = str(payload.get("delta") or "")
            if payload.get("final"):
                self.ends[part] = index
        elif name == hooks.PRE_TOOL_USE and isinstance(tool, str):
            self.begun.add(tool)
        elif name in hooks.TOOL_ENDED and isinstance(tool, str):
            self.ended.add(tool)
        elif name == hooks.STOP and payload.get("stop_hook_active"):
            self.goes_on = True

    def last_text(self) -> str | None:
        """The text of the last message, once every piece of all of them is there."""
        text = None
        for part, pieces in self.pieces.items():
            if self.ends.get(part) != max(pieces) or len(pieces) != max(pieces) + 1:
                return None
            text = "".join(pieces[index] for index in sorted(pieces))
        return text


class EarlyReply:
    """What was displayed in the last turns, and whether the Stop hooks of this process are ours alone."""

    def __init__(self, session_dir: Path) -> None:
        self._own = hook_command(session_dir, hooks.STOP)
        self._turns: OrderedDict[str, Displayed] = OrderedDict()
        self._alone_at: tuple[int, int] | None = None
        """When Claude has listed its Stop hooks, which were ours (ms since the epoch), and in which process."""

    def take(self, event: HookEvent) -> None:
        """One hook."""
        if event.prompt_id is None:
            return
        self._turns.setdefault(event.prompt_id, Displayed()).take(event)
        while len(self._turns) > REMEMBERED_TURNS:
            self._turns.popitem(last=False)

    def listed(self, line: TranscriptLine, generation: int) -> None:
        """Claude's list of the Stop hooks that it has run."""
        ours = bool(line.hooks) and all(command == self._own for command in line.hooks or ())
        self._alone_at = (line.at, generation) if ours and line.at is not None else None

    def is_alone(self, generation: int, claude_home: Path, project: Path) -> bool:
        """Whether no Stop hook but ours is known, and nothing that could name another one has changed since."""
        if self._alone_at is None or self._alone_at[1] != generation:
            return False
        return set_up.changed_at(claude_home, project) < self._alone_at[0]

    def of(self, prompt_id: str | None) -> Displayed | None:
        """What was displayed for one prompt, if it is among the last ones."""
        return self._turns.get(prompt_id) if prompt_id else None


def whole_reply(
    prompt: str, turn: Turn | None, stop: StopReport | None, shown: Displayed | None, only_we_prompt: bool
) -> str | None:
    """The reply to this prompt, if hooks and screen agree on it and nothing of its turn is open. Whether ours is the only Stop
    hook is for the caller to know. `only_we_prompt`: nothing but us can have begun a turn, so that the hook of the prompt tells
    whose it is; if not, only the transcript does."""
    if stop is None or shown is None or is_reopened(turn) or (turn is not None and (turn.interrupted or turn.peer)):
        return None
    if turn is not None:
        prompts = [turn.prompt, *turn.absorbed]
    else:
        prompts = list(shown.prompts.values()) if only_we_prompt and len(shown.prompts) == 1 else []
    if not any(same_prompt(said, prompt) for said in prompts):
        return None
    if stop.failure is not None or not (stop.text or "").strip() or shown.goes_on or shown.begun - shown.ended:
        return None
    text = shown.last_text()
    return text if text is not None and text.strip().endswith((stop.text or "").strip()) else None


def is_reopened(turn: Turn | None) -> bool:
    """Whether the turn has gone on behind a Stop, or was cut short: what was said before is not its reply."""
    return turn is not None and (turn.continued or turn.rounds > 0 or turn.cut_short)


def is_same(told: str | None, reply: str | None) -> bool:
    """Whether two readings of a reply differ in the white space around it at most."""
    return (told or "").strip() == (reply or "").strip()
