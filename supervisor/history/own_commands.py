"""Which slash command in a transcript is one that came through us: Claude gives commands no prompt id of their own.

What must not regress: a command that a person typed at the terminal is never told as ours, so the time has to fit, not only the
text.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.bus.messages import SETTLED, HistoryEntry
from supervisor.store.store import MessageRecord

LATE_MS = 2_000
"""How much later than the fate of a command its line in the transcript may say it was."""


def own_command(entry: HistoryEntry, commands: Sequence[MessageRecord]) -> MessageRecord | None:
    """The command that this entry tells of, among those that were given through us."""
    return next((command for command in commands if _fits(entry, command)), None)


def _fits(entry: HistoryEntry, command: MessageRecord) -> bool:
    typed = command.steps.get("typed")
    if entry.source != "terminal" or entry.at is None or typed is None or entry.text.strip() != command.text.strip():
        return False
    over = [at for step, at in command.steps.items() if step in SETTLED]
    return typed <= entry.at and (not over or entry.at <= max(over) + LATE_MS)
