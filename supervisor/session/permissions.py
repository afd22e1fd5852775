"""What Claude asks leave for in one session: the requests whose hooks wait for an answer, and how those ended that are over.

What must not regress: a request is over in one way only, and its hook is let go and its key forgotten with it; whoever looks at
what is pending cannot change it. `Session.change` takes back here, too, what the database has refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from supervisor.session.condition import Condition
from supervisor.store.store import Store
from supervisor.waiting import request_key
from supervisor.waiting.waiting import Permission, pending


class Permissions:
    """Of one session; those that a spool still holds are asked again."""

    def __init__(self, store: Store, session: str, spool: Path, changed: Condition) -> None:
        self._store, self._session, self._changed = store, session, changed
        self._pending: list[Permission] = pending(spool)
        for known in self._pending:
            known.key = request_key.of(store, session, known.spool)
        self._allowed: list[Permission] = []
        """Requests that were granted here, in a turn that goes on: the end of their tool is still to be told."""

        self._lost: set[str] = set()
        """Requests whose files went with the folder: Claude asks on, with a dialog."""

        self._unanswered: set[str] = set()
        """Requests that Claude has decided itself, since nobody answered in time."""

    @property
    def pending(self) -> Sequence[Permission]:
        """What is asked now, in the order of its dialogs."""
        return self._pending

    def add(self, asked: Permission) -> None:
        """Claude asks for this, too."""
        self._pending.append(asked)

    def show_first(self, shown: Permission) -> None:
        """Claude's dialog is this request's."""
        self._pending = [shown, *(known for known in self._pending if known is not shown)]

    def was_changed(self, payload: dict[str, Any]) -> bool:
        """Whether a tool event tells of one that was granted here with another input than was asked for."""
        return any(known.was_changed(payload) for known in (*self._allowed, *self._pending))

    def tool_ended(self, payload: dict[str, Any]) -> None:
        """The end of a tool shows that one request was decided: the first for it, which may have been granted here and gone
        when the next one for the same was already asked."""
        ended = next((known for known in self._allowed if known.ended_with(payload)), None)
        if ended is None:
            ended = next((known for known in self._pending if known.answered_by(payload)), None)
            if ended is not None:
                self.drop(ended)
        self._allowed = [known for known in self._allowed if known is not ended]

    def drop(self, only: Permission) -> None:
        """A request was answered here or at the terminal; a hook that still waits is let go."""
        self._allowed = [*self._allowed, *([only] if only.given is not None else [])]
        self._drop([known for known in self._pending if known.id == only.id])

    def lose(self, only: Permission) -> None:
        """Nobody can answer it through its hook any more."""
        self._lost.add(only.id)
        self.drop(only)

    def decided_by_claude(self, only: Permission) -> None:
        """Nobody has answered it in time."""
        self._unanswered.add(only.id)
        self.drop(only)

    def drop_all(self, agents: bool = False) -> None:
        """The turn is over, and with it what it has asked; with `agents`, all is over: a subagent in the background outlives
        the turn, and what it asks is asked until somebody decides."""
        self._allowed = [known for known in self._allowed if known.agent_id is not None and not agents]
        self._drop([known for known in self._pending if agents or known.agent_id is None])

    def how_over(self, waiting: str) -> str | None:
        """What is known of the end of a request that was not answered here; None: nothing, or it is no request."""
        return "folder_lost" if waiting in self._lost else "claude" if waiting in self._unanswered else None

    def told_over(self, waiting: Iterable[str]) -> None:
        """It was said of these that they are over."""
        self._lost.difference_update(waiting)
        self._unanswered.difference_update(waiting)

    def _drop(self, over: list[Permission]) -> None:
        self._pending = [known for known in self._pending if known not in over]
        for permission in over:
            permission.settle()
            request_key.forget(self._store, self._session, permission.spool)
        self._changed.notify()
