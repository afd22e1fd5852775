"""What `./test` runs once the environment stands: both pinned CLIs with ruff and mypy beside them, then pytest.

Tests see a clean environment: variables such as `CI`, `CLAUDECODE` or `ANTHROPIC_API_KEY` would change what the real
CLI does (`CI` alone stops its redrawing), and the caller's limits would change ours. All checks run even when one of
them fails; arguments go to pytest. A few tests that fail beside all others are run once more, alone: what passes then
is named as flaky, what fails again has failed (docs/decisions/0011-flaky-is-named.md).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from cli.setup import axe, chromium, generators, golang, promtool, smoke_browsers
from cli.setup.bootstrap import ROOT, exclusive
from cli.setup.claude import install
from cli.setup.progress import StepFailed
from shared.config import ENVIRONMENT
from shared.releases import TESTED

_FOREIGN = re.compile(r"CI|(ANTHROPIC|CLAUDE|PILOTLIGHT(?!_TEST_)|AI_AGENT)(_.*|CODE)?|PYTHONPATH|NO_COLOR|FORCE_COLOR")
MOST_WORKERS = 4
MOST_FLAKY = 4
"""How many tests may fail beside the others and pass alone; more of them are a failure of the whole run."""

PACKAGES = ("supervisor", "api", "shared", "cli", "demo")
LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"


def main(arguments: list[str]) -> int:
    """Run every check; 0 only when all of them passed."""
    started = time.monotonic()
    *quick, (_, tests) = checks(arguments)
    with ThreadPoolExecutor(1) as beside:  # what is fetched leaves a core to them
        looks = {title: beside.submit(_look, command) for title, command in quick}
        try:
            _fetch()
        except StepFailed as failure:
            beside.shutdown(cancel_futures=True)
            print(f"pilotlight: {failure}", file=sys.stderr)
            return 1
        failed = [title for title, look in looks.items() if not _is_told(title, *look.result())]
    LAST_FAILED.unlink(missing_ok=True)
    failed += [] if _passes("pytest", tests) else ["pytest"]
    if "pytest" in failed and not arguments and _pass_alone(last_failed()):
        failed.remove("pytest")
    verdict = f"FAILED: {', '.join(failed)}" if failed else "all passed"
    print(f"== {verdict} ({time.monotonic() - started:.0f} s)", flush=True)
    return 1 if failed else 0


def _fetch() -> None:
    """All that the tests need besides the libraries. Raise StepFailed with what to do."""
    log = ROOT / ".state" / "setup.log"
    with exclusive(ROOT / ".state" / "setup.lock"):
        for version in TESTED:
            install(version)
        for what in (chromium, smoke_browsers, axe, generators, promtool, golang):
            what.ensure(log)


def checks(arguments: list[str]) -> list[tuple[str, list[str]]]:
    """Title and command line of each check, in order."""
    chosen = any(re.fullmatch(r"-n.*|--numprocesses.*|-p|no:xdist|--pdb", argument) for argument in arguments)
    workers = [] if chosen else ["-n", str(min(MOST_WORKERS, (os.cpu_count() or 2) + 1)), "--dist", "worksteal"]
    return [
        # The processes that the tests start write no byte code, and there are thousands of them.
        ("byte code", ["compileall", "-q", *PACKAGES]),
        ("ruff check", ["ruff", "check", "."]),
        ("ruff format", ["ruff", "format", "--check", "."]),
        ("mypy", ["mypy"]),
        ("pytest", ["pytest", *workers, *arguments]),
    ]


def last_failed() -> list[str]:
    """The tests that failed in the run before, by node id; none when it did not get as far as to say."""
    try:
        return sorted(json.loads(LAST_FAILED.read_bytes()))
    except (OSError, ValueError):
        return []


def _pass_alone(tests: list[str]) -> bool:
    """Run the few that failed once more, one at a time; whether all of them passed."""
    if not 0 < len(tests) <= MOST_FLAKY:
        return False
    alone = ["pytest", "-n", "0", *tests]
    if not _passes(f"{len(tests)} once more, alone", alone):
        return False
    for test in tests:
        print(f"== FLAKY, passed alone: {test}", flush=True)
    return True


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` without what would change the behaviour of the CLI or of pilotlight."""
    return {
        name: value for name, value in environment.items() if not _FOREIGN.fullmatch(name) and name not in ENVIRONMENT
    }


def _passes(title: str, command: list[str]) -> bool:
    print(f"== {title}", flush=True)
    started = time.monotonic()
    code = subprocess.call([sys.executable, "-m", *command], cwd=ROOT, env=clean_environment(os.environ))
    return _verdict(title, code, time.monotonic() - started)


def _look(command: list[str]) -> tuple[int, str, float]:
    """Run a check beside something else: its exit code, what it said, and how long it took."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        environment = clean_environment(os.environ)
        words = [sys.executable, "-m", *command]
        code = subprocess.call(words, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
        said.seek(0)
        return code, said.read().decode(errors="replace"), time.monotonic() - started


def _is_told(title: str, code: int, said: str, seconds: float) -> bool:
    """Print what a check has said; whether it passed."""
    print(f"== {title}\n{said}", end="", flush=True)
    return _verdict(title, code, seconds)


def _verdict(title: str, code: int, seconds: float) -> bool:
    print(f"== {title}: {'passed' if code == 0 else 'FAILED'} ({seconds:.0f} s)", flush=True)
    return code == 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
