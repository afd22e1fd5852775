"""A house whose `claude` is the scripted stand-in, tests/fake_tui.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.faults.pausing import Pauses
from tests.harness import ROOT, House


def program(folder: Path) -> Path:
    """The stand-in as a command in `folder`: its script and what it has seen are beside the home that it is started in."""
    made = folder / "fake-claude"
    files = 'FAKE_TUI_SCRIPT="${HOME%/*}/script.json" FAKE_TUI_LOG="${HOME%/*}/saw.jsonl"'
    made.write_text(f'#!/bin/sh\n{files} exec {sys.executable} {ROOT / "tests" / "fake_tui.py"} "$@"\n')
    made.chmod(0o755)
    return made


class Fake:
    """A house whose `claude` is the scripted one."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.pauses = Pauses(house)
        self._script = house.folder / "script.json"
        self._log = house.folder / "saw.jsonl"
        self._log.touch()

    def behave(self, **script: Any) -> None:
        """From now on, like this."""
        temporary = self._script.with_suffix(".new")
        temporary.write_text(json.dumps(script))
        temporary.rename(self._script)

    def saw(self, what: str) -> list[dict[str, Any]]:
        """What it has seen of one kind."""
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["saw"] == what]

    @property
    def turns(self) -> list[str]:
        """The prompts that were submitted to it."""
        return [line["prompt"] for line in self.saw("turn")]
