"""Where `claude` is, and how the pinned release gets here when there is none.

The order is the supervisor's: `claude.command` of the configuration, then `PILOTLIGHT_CLAUDE`, then PATH; last, the
copy that `./run` installed beside the checkout (the CLI hands that one to the supervisor as `PILOTLIGHT_CLAUDE`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.setup.bootstrap import ROOT
from cli.setup.progress import StepFailed, run_step

PACKAGE = "@anthropic-ai/claude-code"
PINNED = "2.1.330"
USUAL_FOLDERS = ("~/.local/bin", "~/.claude/local", "/opt/homebrew/bin", "/usr/local/bin")
"""Searched after PATH, as the supervisor does."""
COMMAND_VARIABLE = "PILOTLIGHT_CLAUDE"


@dataclass(frozen=True)
class Claude:
    """One `claude`: its path, and which rule found it (`config`, `environment`, `path`, `bundled`)."""

    path: Path
    source: str


def find(command: str | None, environment: Mapping[str, str] | None = None, root: Path = ROOT) -> Claude | None:
    """The `claude` that sessions will run, or None. `command` is `claude.command`; its existence is not checked."""
    env = os.environ if environment is None else environment
    folders = [env.get("PATH") or os.defpath, *(os.path.expanduser(folder) for folder in USUAL_FOLDERS)]
    path = os.pathsep.join(folders)
    for wanted, source in ((command, "config"), (env.get(COMMAND_VARIABLE), "environment")):
        if wanted:
            found = shutil.which(os.path.expanduser(wanted), path=path)
            return Claude(Path(found or wanted), source)
    on_path = shutil.which("claude", path=path)
    if on_path:
        return Claude(Path(on_path).absolute(), "path")
    for folder in (root / ".claude-cli", release_folder(PINNED, root)):
        if os.access(binary(folder), os.X_OK):
            return Claude(binary(folder), "bundled")
    return None


def release_folder(version: str, root: Path = ROOT) -> Path:
    """The git-ignored folder of one npm release."""
    return root / ".claude-cli" / version


def binary(folder: Path) -> Path:
    """The program inside such a folder."""
    return folder / "node_modules" / ".bin" / "claude"


def install(version: str, root: Path = ROOT) -> Path:
    """Install one release with npm unless it is there; return its program. Raise StepFailed with what to do."""
    folder = release_folder(version, root)
    stamp = folder / "installed"
    if stamp.is_file() and os.access(binary(folder), os.X_OK):
        return binary(folder)
    npm = shutil.which("npm")
    if npm is None:
        raise StepFailed(
            f"Claude Code {version} is needed and npm was not found: install Node.js (https://nodejs.org), then "
            "try again."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (root / ".state").mkdir(exist_ok=True)
    command = [npm, "install", "--prefix", str(folder), "--no-fund", "--no-audit", f"{PACKAGE}@{version}"]
    log = root / ".state" / f"npm-{version}.log"
    run_step(f"Installing Claude Code {version}", command, log, fix="Is the npm registry reachable?")
    if not os.access(binary(folder), os.X_OK):
        raise StepFailed(f"npm installed {PACKAGE}@{version} without a program for this machine; {log} has its output.")
    stamp.write_text(f"{version}\n")
    return binary(folder)
