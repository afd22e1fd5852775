"""A house whose `claude` is the scripted stand-in, tests/fake_tui.py."""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.faults.pausing import Pauses
from tests.harness import ROOT, House


class Fake:
    """A house whose `claude` is the scripted one."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.pauses = Pauses(house)
        self._script = house.folder / "script.json"
        self._log = house.folder / "saw.jsonl"
        self._log.touch()
        program = house.folder / "fake-claude"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT / "tests" / "fake_tui.py"} "$@"\n')
        program.chmod(0o755)
        house.config["claude"]["command"] = str(program)
        house.config["claude"]["env"] |= {"FAKE_TUI_SCRIPT": str(self._script), "FAKE_TUI_LOG": str(self._log)}

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
