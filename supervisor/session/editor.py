"""What Claude's editor has told of the prompt box: which texts of ours it has put there, and what it has found there.

The CLI calls its editor when Ctrl+G is pressed. That is ours, and hands over what waits in the session's `outbox`; the log of the
hooks says what it did. What must not regress: a text counts as handed over when the editor says so, and no sooner.
"""

from __future__ import annotations

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 300.0
"""How long nothing is handed over behind an editor of somebody else's, the first time and at most: each try opens it."""


class Editor:
    """The editor of one session; the log's reader tells what it does, and whoever has called it asks here."""

    def __init__(self) -> None:
        self._claimed: set[str] = set()
        self._found: set[str] = set()
        self._texts: dict[str, str | None] = {}
        self.runs = 0
        """How often it was called."""

        self.persons: int | None = None
        """The process of the person's own editor that it was last called for."""

        self._pause, self._rests_until = 0.0, 0.0

    def told(self, what: str, name: str) -> None:
        """It has run for this message or question: `claimed`, `draft` or `failed`; or for a `person`."""
        if what == "person":
            self.persons = int(name) if name.isdigit() else None
            return
        self.runs += 1
        self._pause = self._rests_until = 0.0
        if what == "claimed":
            self._claimed.add(name)
        elif what == "draft":
            self._found.add(name)
        elif what == "failed":
            self._claimed.discard(name)

    def put_there(self, name: str) -> None:
        """This text was found in the box: it has put it there, and could not say so."""
        self._claimed.add(name)

    def has_claimed(self, name: str) -> bool:
        """Whether it has put this text into the box."""
        return name in self._claimed

    def has_found_draft(self, name: str) -> bool:
        """Whether there was something in the box, so that it has put nothing there."""
        return name in self._found

    def call_again(self, name: str) -> None:
        """It is called once more for this text: what it found the last time is no more news."""
        self._found.discard(name)

    def let_go(self, name: str) -> None:
        """This text was dealt with, whatever became of it."""
        self._claimed.discard(name)

    # -- another editor in place of ours -----------------------------------------------------------------------------

    def another_ran(self, now: float) -> None:
        """Another program was called in its place: it is asked for again later, and ever more seldom."""
        self._pause = min(LONGEST_PAUSE_SECONDS, max(FIRST_PAUSE_SECONDS, 2.0 * self._pause))
        self._rests_until = now + self._pause

    def rests(self, now: float) -> float:
        """For how many seconds it is not asked for, for that reason."""
        return max(0.0, self._rests_until - now)

    def forget_process(self) -> None:
        """What another process had for its editor says nothing of the next one's."""
        self._pause = self._rests_until = 0.0

    # -- asking what is in the box -----------------------------------------------------------------------------------

    def ask(self, name: str) -> None:
        """Somebody wants to know what is in the box, and not only whether something is."""
        self._texts[name] = None

    def is_asked(self, name: str) -> bool:
        """Whether somebody wants to know."""
        return name in self._texts

    def answer(self, name: str, text: str | None) -> None:
        """That is in it; None when it could not be read."""
        self._texts[name] = text

    def text(self, name: str) -> str | None:
        """What was found in it, if anything has been heard."""
        return self._texts[name]

    def forget(self, name: str) -> None:
        """Nobody wants to know any more."""
        self._texts.pop(name, None)
        self._found.discard(name)
        self._claimed.discard(name)
