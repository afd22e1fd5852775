"""Which transcript line belongs to which turn.

What must not regress: a line is part of the turn that its chain of parents leads to, wherever it stands in the file. The
CLI writes lines late and in batches: the last line of a turn may stand behind the prompt of the next one, and under load
2.1.197 writes the first line of a reply before its own prompt. Taken in file order, one message would get the reply of
another.
"""

from __future__ import annotations

from collections import OrderedDict

from supervisor.claude.transcript import TranscriptLine
from supervisor.turn.turn import StopReport, Turn, agree

REMEMBERED_TURNS = 8
REMEMBERED_LINES = 4096
MAX_UNPLACED = 256


class TurnAssembler:
    """The last turns of a conversation, filled line by line. Lines are remembered by the prompt of their turn, so that a turn
    that is forgotten, with all that its tools were given, is gone."""

    def __init__(self) -> None:
        self._turns: OrderedDict[str, Turn] = OrderedDict()
        self._lines: OrderedDict[str, str | None] = OrderedDict()
        self._unplaced: list[TranscriptLine] = []
        self._latest: Turn | None = None

    def get(self, prompt_id: str | None) -> Turn | None:
        """The turn of one prompt, if it is among the last ones."""
        return self._turns.get(prompt_id) if prompt_id else None

    def take(self, line: TranscriptLine) -> list[tuple[Turn, TranscriptLine]]:
        """Take one line in. Return the lines that have found their turn by it, in order: it, and those that came before
        the line they follow. A line that opens a turn comes with the turn that it has opened."""
        turn = self._turn_of(line)
        if turn is None and line.parent is not None and line.parent not in self._lines and not line.entered:
            self._unplaced = [*self._unplaced[-MAX_UNPLACED:], line]
            return []
        return self._settle(line, turn)

    def claim_unplaced(self, turn: Turn, stop: StopReport) -> bool:
        """Give a turn the lines whose chain is broken, if they end in the words that its Stop hook has told. Return whether
        there were any. Both releases write whole chains; one that does not shall still be read."""
        trial = Turn(None, "")
        for line in self._unplaced:
            trial.add(line)
        if not agree(trial, stop):
            return False
        unplaced, self._unplaced = self._unplaced, []
        for line in unplaced:
            turn.add(line)
        return True

    def _turn_of(self, line: TranscriptLine) -> Turn | None:
        if line.prompt_id and line.prompt_id in self._turns:
            return self._turns[line.prompt_id]
        if line.entered and line.prompt_id:
            return self._open(line)
        if line.parent is None:
            return self._latest  # the first line behind a compaction has no parent
        return self.get(self._lines.get(line.parent))

    def _open(self, line: TranscriptLine) -> Turn:
        if self._latest is not None:
            self._latest.followed = True
        before = self.get(self._lines.get(line.parent)) if line.peer and line.parent else None
        if before is not None and not before.ended:
            before.cut_short = True
        turn = Turn(line.prompt_id, line.text or "", peer=line.peer)
        self._turns[line.prompt_id or ""] = self._latest = turn
        while len(self._turns) > REMEMBERED_TURNS:
            self._turns.popitem(last=False)
        return turn

    def _settle(self, line: TranscriptLine, turn: Turn | None) -> list[tuple[Turn, TranscriptLine]]:
        placed = []
        waiting = [line]
        while waiting:
            line = waiting.pop(0)
            if turn is not None:
                turn.add(line)
                placed.append((turn, line))
            if line.uuid is not None:
                self._lines[line.uuid] = turn.prompt_id if turn is not None else None
                while len(self._lines) > REMEMBERED_LINES:
                    self._lines.popitem(last=False)
                waiting += [other for other in self._unplaced if other.parent == line.uuid]
                self._unplaced = [other for other in self._unplaced if other.parent != line.uuid]
        return placed
