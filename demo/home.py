"""A throw-away HOME in which both CLI releases start silently, and the clean environment to start them in.

Without these a fresh home shows theme, security and trust dialogs one after the other, and the caller's own
`CLAUDE_CODE_*`, `ANTHROPIC_*` or `CI` would change the CLI's behaviour or send it to the real service.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def prepare_home(home: Path, trusted: Iterable[Path] = (), onboarded: bool = True) -> None:
    """Write `.claude.json` and `.claude/settings.json` under `home`, keeping what is already there.

    Do not call it while a CLI runs in this home: the CLI rewrites the same file.
    """
    home.mkdir(parents=True, exist_ok=True)
    state = _load(home / ".claude.json")
    if onboarded:
        state |= {"hasCompletedOnboarding": True, "lastOnboardingVersion": "9.9.9", "theme": "dark"}
    state.setdefault("numStartups", 10)
    projects = state.setdefault("projects", {})
    for path in trusted:
        for name in {str(path.absolute()), str(path.resolve())}:
            entry = projects.setdefault(name, {})
            entry |= {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
    _store(home / ".claude.json", state)
    settings = _load(home / ".claude" / "settings.json")
    # 330 otherwise asks "Try the new fullscreen renderer?" in a home that another release has used.
    settings.setdefault("tui", "default")
    _store(home / ".claude" / "settings.json", settings)


def demo_environment(home: Path, url: str) -> dict[str, str]:
    """All variables a CLI needs to talk to the demo model and to nothing else; add PATH and TERM."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "demo",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",  # in a home without it each start asks github.com
        "DISABLE_AUTOUPDATER": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }


def _load(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    value = json.loads(path.read_text())
    if not isinstance(value, dict):
        raise ValueError(f"{path} does not hold a JSON object.")
    return value


def _store(path: Path, value: dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        json.dump(value, file, indent=2)
    os.replace(name, path)
