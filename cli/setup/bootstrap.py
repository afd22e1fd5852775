"""From a fresh checkout to a running command: the virtual environment and the libraries, then `run` or `test`.

`./run` and `./test` call this with the system's Python (3.11+, isolated, standard library only). Whatever is up to date
is skipped: a stamp in `.venv` names the locks, the interpreter and the place it was made for. The work is done under a
file lock, so two of them started at once do it once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOCKS = {"run": "requirements.lock", "test": "requirements-test.lock"}
NEXT = {"run": "cli.first_run", "test": "cli.setup.suite"}

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from cli.setup.progress import StepFailed, run_step  # noqa: E402


def main(arguments: list[str]) -> int:
    """Prepare what `run` or `test` needs and become it."""
    purpose = arguments[0]
    try:
        with exclusive(ROOT / ".state" / "setup.lock"):
            prepare(ROOT, purpose)
    except StepFailed as failure:
        print(f"pilotlight: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    python = venv_python(ROOT)
    # -P: the folder in which the person stands may hold an `api` or a `config` of its own.
    os.execv(python, [str(python), "-P", "-m", NEXT[purpose], *arguments[1:]])


@contextlib.contextmanager
def exclusive(lock: Path, busy: str = "Another set-up of this checkout is at work") -> Iterator[None]:
    """Hold `lock`; say that somebody is `busy` when it is taken."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{busy}: waiting for it …", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepare(root: Path, purpose: str) -> None:
    """Make `.venv` fit `purpose`. Raise StepFailed with what to do."""
    venv = root / ".venv"
    if (venv / f"stamp-{purpose}").is_file() and (venv / f"stamp-{purpose}").read_text() == stamp(root, purpose):
        return
    log = root / ".state" / "setup.log"
    if not _works(root):
        run_step(
            "Making the virtual environment",
            [sys.executable, "-I", "-m", "venv", "--clear", venv],
            log,
            fix="Is the disk full, or the folder read-only?",
        )
    lock = root / LOCKS[purpose]
    network = "Without a network, or behind a proxy, pip's own settings (PIP_INDEX_URL, PIP_PROXY) apply."
    run_step(
        "Installing the libraries", _pip(root, "--no-compile", "--require-hashes", "-r", str(lock)), log, fix=network
    )
    # pip would do that on one core, for a quarter of its time.
    compiling: list[str | Path] = [venv_python(root), "-I", "-m", "compileall", "-q", "-j", "0", venv / "lib"]
    run_step("Compiling the libraries", compiling, log, fix="Is the disk full?")
    project = ("--no-deps", "--no-build-isolation", "--config-settings", "editable_mode=compat", "-e", str(root))
    run_step("Installing pilotlight", _pip(root, *project), log, fix="")
    # The tests' lock holds all of the other one (a unit test compares them).
    for kind in ["run"] if purpose == "run" else ["run", "test"]:
        (venv / f"stamp-{kind}").write_text(stamp(root, kind))
    if purpose == "run":
        (venv / "stamp-test").unlink(missing_ok=True)


def stamp(root: Path, purpose: str) -> str:
    """What an up-to-date environment was made from."""
    digest = hashlib.sha256()
    for name in (LOCKS[purpose], "setup.cfg", "pyproject.toml"):
        digest.update((root / name).read_bytes())
    return f"{digest.hexdigest()} {root}\n"


def venv_python(root: Path) -> Path:
    """The interpreter of the checkout's environment."""
    return root / ".venv" / "bin" / "python"


def _works(root: Path) -> bool:
    """Whether `.venv` is whole, 3.11+, and at this place."""
    check = "import pip, sys; print(sys.version_info >= (3, 11), sys.prefix)"
    try:
        done = subprocess.run([venv_python(root), "-I", "-c", check], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == f"True {root / '.venv'}"


def _pip(root: Path, *arguments: str) -> list[str]:
    flags = ["--disable-pip-version-check", "--no-input", "--no-warn-script-location"]
    return [str(venv_python(root)), "-I", "-m", "pip", "install", *flags, *arguments]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
