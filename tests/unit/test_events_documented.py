"""Who writes a monitor finds every kind of event in docs/bus.md."""

from __future__ import annotations

import re
from pathlib import Path

from supervisor.notify import FAILED

ROOT = Path(__file__).resolve().parents[2]
APPENDED = re.compile(r"store\.append\(\s*\"([a-z_]+)\"|_note\(\s*\"([a-z_]+)\"|\(\"([a-z_]+)\", [\w.]+\.heal\)")


def test_every_kind_of_event_is_documented() -> None:
    sources = [path.read_text() for path in (ROOT / "supervisor").rglob("*.py")]
    kinds = {next(filter(None, found)) for text in sources for found in APPENDED.findall(text)} | {FAILED}
    table = (ROOT / "docs" / "bus.md").read_text().partition("| kind | says |")[2].partition("\n\n")[0]

    assert {"state", "message", "attached", "bus_rebound", "recording"} <= kinds
    assert sorted(kind for kind in kinds if f"`{kind}`" not in table) == []
