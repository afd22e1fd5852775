"""What was seen of the slash command under way: its lines in the transcript, and whether it has said all that it has to say.

No hook fires for most commands. What must not regress: what an earlier command says late is not taken for the output of
this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from supervisor.claude.transcript import TranscriptLine
from supervisor.store.store import MessageRecord
from supervisor.turn.turn import Outcome

MORE_SECONDS = 0.25
"""How long after its last line more output may come."""

SILENT_SECONDS = 3.0
"""A command that has left the box this long ago, with the CLI idle and nothing in the transcript, says nothing there."""


WITHDRAWN_SECONDS = 1.0
"""How long a command must have stood in the box again before it counts as ended by Esc."""


@dataclass
class CommandRun:
    """What was seen of the command under way. Read again from the transcript by the next supervisor."""

    message: str
    since: int
    lines: int = 0
    outputs: list[str] = field(default_factory=list)
    last_at: float = 0.0
    quiet_since: float | None = None

    @classmethod
    def of(cls, message: MessageRecord) -> CommandRun:
        """For a command that is being given, or was before the supervisor started."""
        return cls(message.id, message.steps.get("typed", message.created_at))

    def take(self, line: TranscriptLine) -> None:
        """A transcript line; older ones are other commands'."""
        if line.sidechain or line.kind not in ("command", "output", "notice", "refused", "compacted"):
            return
        if line.at is not None and line.at < self.since:
            return
        self.lines += 1
        self.last_at = time.monotonic()
        if line.kind in ("output", "notice", "refused"):
            self.outputs.append(line.words)

    def outcome(self, quiet: bool, screen: Callable[[], str], now: float, *, back: bool = False) -> Outcome | None:
        """Its fate, once it has said what it has to say. `quiet`: the CLI is idle, with its prompt box on the screen; `back`:
        and the command stands in it again, as it does when somebody has ended it with Esc."""
        self.quiet_since = (self.quiet_since or now) if quiet else None
        if self.quiet_since is None:
            return None
        if back and not self.outputs:
            return Outcome("interrupted", detail="withdrawn") if now - self.quiet_since >= WITHDRAWN_SECONDS else None
        if self.outputs and now - self.last_at >= MORE_SECONDS:
            return Outcome("answered", reply="\n".join(filter(None, self.outputs)))
        if now - max(self.quiet_since, self.last_at) >= SILENT_SECONDS:
            return Outcome("answered", reply=screen())
        return None
