"""The one question to the terminal that is answered: what it is (DA1, `CSI c`), the last of those that Claude asks at its start.

2.1.330 asks some 50 ms after its prompt box is drawn, and its first call of the editor waits 250 ms for an answer that is still
out: a quarter of the first message of each process; 2.1.197 asks, too. "VT220 with colours" says what no answer says, that there
is nothing beyond. What must not regress: it is answered once a process and only while it is new, so that what a later program
asks, or a replayed ring, types nothing into the prompt box.
"""

from __future__ import annotations

ASKED = b"\x1b[c"
ANSWER = b"\x1b[?62;22c"


class FirstQuery:
    """Finds it in the whole output of one process, however that is cut. What was out before `live` is the past."""

    def __init__(self, live: int) -> None:
        self._live, self._next = live, 0
        self._before = b""
        self._over = False

    def asked(self, offset: int, data: bytes) -> bool:
        """Whether this output asks it now, for the first time."""
        if self._over or offset + len(data) <= self._next:
            return False
        if offset > self._next:
            self._over = True  # what is missing may have held it
            return False
        seen = self._before + data[self._next - offset :]
        self._next = offset + len(data)
        self._before = seen[-(len(ASKED) - 1) :]
        self._over = ASKED in seen
        return self._over and self._next > self._live
