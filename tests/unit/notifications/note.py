"""The note that the tests of the channels hand over."""

from __future__ import annotations

from supervisor.notifications.channels.contract import Choice, Note

NOTE = Note(
    key="node/e1:7",
    kind="waiting",
    tag="s1",
    title="shop needs permission",
    body="Bash: make test",
    at=1_000_000,
    session="s1",
    urgency="high",
    waiting="w1",
    choices=(Choice(id="allow", label="Allow", url="https://here.example.org/a/1"),),
    badge=2,
)
