"""Whether `claude` has a login, found out without touching it: names and existence are looked at, never a secret.

Only what sessions get counts. A token in the shell's environment reaches them when `claude.pass_env` names it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.claude_names import (
    CLOUDS,
    CONFIG_DIR,
    CREDENTIALS_FILE,
    HOME_FOLDER,
    KEY_HELPER,
    KEYCHAIN_ITEM,
    SETTINGS_FILE,
    TOKENS,
)
from shared.config import ClaudeConfig

_KEYCHAIN_SECONDS = 5


@dataclass(frozen=True)
class Login:
    """`where` the login is, None if there is none; `hint` names a token that exists but does not reach sessions."""

    where: str | None
    hint: str | None = None


def find(config: ClaudeConfig, environment: Mapping[str, str], platform: str = sys.platform) -> Login:
    """Look at everything that `claude` would take a login from."""
    passed = {name: environment[name] for name in config.pass_env if name in environment}
    env = {**passed, **config.env}
    for name in (*TOKENS, *CLOUDS):
        if env.get(name):
            return Login(f"{name} in {'claude.env' if name in config.env else 'the environment (claude.pass_env)'}")
    home = Path(env.get("HOME") or environment.get("HOME") or Path.home())
    custom = env.get(CONFIG_DIR)
    if custom and custom.startswith("~"):  # as sessions get it
        custom = custom.replace("~", str(home), 1)
    folder = Path(custom or home / HOME_FOLDER)
    if (folder / CREDENTIALS_FILE).is_file():
        return Login(str(folder / CREDENTIALS_FILE))
    if _has_key_helper(folder / SETTINGS_FILE):
        return Login(f"{KEY_HELPER} in {folder / SETTINGS_FILE}")
    if platform == "darwin" and _in_keychain():
        return Login("the macOS keychain")
    unused = [name for name in TOKENS if environment.get(name)]
    hint = (
        f"{unused[0]} is set here, but sessions only get what claude.pass_env in config.yaml names." if unused else None
    )
    return Login(None, hint)


def _has_key_helper(settings: Path) -> bool:
    try:
        tree = json.loads(settings.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(tree, dict) and bool(tree.get(KEY_HELPER))


def _in_keychain() -> bool:
    try:
        found = subprocess.run(
            ["security", "find-generic-password", "-s", KEYCHAIN_ITEM],
            capture_output=True,
            timeout=_KEYCHAIN_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return found.returncode == 0
