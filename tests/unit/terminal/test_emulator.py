"""The emulator's declarations, read once when they were made and never again at a start."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from supervisor.terminal import emulator, emulator_abi

PROGRAM = """
import sys
from supervisor.terminal import emulator{change}
terminal = emulator.Terminal(20, 5)
terminal.feed(b"drawn \\xe2\\x9c\\x93")
print("pycparser" in sys.modules, terminal.text().strip())
"""


def test_the_declarations_are_those_of_the_pinned_library(tmp_path: Path) -> None:
    emulator.generate(tmp_path / "emulator_abi.py")
    assert (tmp_path / "emulator_abi.py").read_bytes() == emulator.ABI.read_bytes()
    assert emulator.digest() == emulator_abi.DIGEST


@pytest.mark.parametrize(
    ("change", "parses"),
    [("_abi; emulator_abi.DIGEST = 'of another'; from supervisor.terminal import emulator", True), ("", False)],
)
def test_a_start_parses_no_header_and_another_library_is_taken_as_it_is(change: str, parses: bool) -> None:
    program = PROGRAM.replace("{change}", change)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(parses), "drawn", "✓"]
