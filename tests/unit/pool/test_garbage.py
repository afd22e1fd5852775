"""What the garbage collector looks at while the supervisor serves: only what has come since it was ready."""

from __future__ import annotations

import ast
import subprocess
import sys

from tests.harness import ROOT

LOOKED_AT = 5_000
PROGRAM = """
import gc
import supervisor.daemon
from supervisor.pool import resources
resources.keep_for_good()
print(len(gc.get_objects()), gc.get_freeze_count())
"""


def test_what_is_there_when_it_is_ready_is_not_looked_at_again() -> None:
    """A look at all of it takes 20 ms, in which nobody is answered."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    looked_at, frozen = map(int, told.split())
    assert looked_at < LOOKED_AT < frozen


def test_it_is_done_before_it_says_that_it_is_ready() -> None:
    tree = ast.parse((ROOT / "supervisor" / "daemon.py").read_text())
    (take_up,) = (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef) and node.name == "_take_up")
    lines = [ast.unparse(node) for node in take_up.body]
    assert lines.index("resources.keep_for_good()") < lines.index("self._ready = True")
    assert lines.index("resources.keep_for_good()") > next(
        n for n, line in enumerate(lines) if "pool.recover()" in line
    )
