"""What is wrong with a session: a set of named conditions, of which clients are shown the worst.

Each condition is begun and ended by one module only, which is named here; what one module knows, another cannot make it
forget. What must not regress: each thing is said once. A stuck session that is also shared is still stuck when the stranger
has gone, and does not say it a second time.
"""

from __future__ import annotations

OWNERS = {
    "unresponsive": "lifecycle/holder_link.py",
    "folder_lost": "lifecycle/session_folder.py",
    "conversation_shared": "lifecycle/shared_conversation.py",
    "editor_taken": "delivery/prompt_box.py",
    "stuck": "pool/health.py",
    "no_hooks": "observation/hook_silence.py",
}
"""Each condition and the module that begins and ends it, worst first."""


class Conditions:
    """What is wrong with one session's process; a new process begins with nothing."""

    def __init__(self) -> None:
        self._present: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._present

    def begin(self, name: str) -> None:
        """It is so from now on."""
        if name not in OWNERS:
            raise KeyError(name)
        self._present.add(name)

    def end(self, name: str) -> None:
        """It is so no longer, if it was."""
        self._present.discard(name)

    def clear(self) -> None:
        """The process that all this was true of has gone."""
        self._present.clear()

    @property
    def worst(self) -> str:
        """In the words of clients; `ok` without any."""
        return next((name for name in OWNERS if name in self._present), "ok")
