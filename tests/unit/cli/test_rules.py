"""`pilotlight rules`: what is answered without a person, and whose word that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.__main__ import run
from shared.bus.messages import RuleView
from tests.unit.cli.test_double import FakeBus, app_of

FILE = RuleView(tool="Read", answer="allow")
ADDED = RuleView(tool="Bash", answer="deny", pattern="rm *", id="r_0a0a0a0a", by="device:Ada’s phone", at=1, used=3)


def test_rules_are_listed_added_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bus = FakeBus(rule__list={"rules": [FILE, ADDED]}, rule__add=ADDED, rule__remove={})
    assert run(["rules", "list"], app_of(tmp_path, bus)) == 0
    told = capsys.readouterr().out
    assert "the configuration" in told
    assert "device:Ada’s phone" in told
    assert run(["rules", "add", "deny", "Bash", "rm *", "--message", "Not here."], app_of(tmp_path, bus)) == 0
    assert "r_0a0a0a0a: deny Bash rm *, in force now." in capsys.readouterr().out
    assert bus.asked("rule.add") == [{"tool": "Bash", "answer": "deny", "pattern": "rm *", "message": "Not here."}]
    assert run(["rules", "remove", "r_0a0a0a0a"], app_of(tmp_path, bus)) == 0
    assert bus.asked("rule.remove") == [{"ruleId": "r_0a0a0a0a"}]
