"""What a person has set up for Claude themselves, as far as it touches how a session is driven: variables and key bindings.

`env` of their settings wins over the environment that a process is given, and `env` of our `--settings` over theirs (measured
on both releases). What must not regress: Claude's editor is ours whatever they have set, and theirs is handed on to whoever
else asks for an editor; nothing of theirs is changed on disk.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared.claude_names import CONFIG_DIR, HOME_FOLDER, SETTINGS_FILE, STATE_FILE
from shared.foreign_file import SMALL, read_foreign
from supervisor.claude.settings import hooks_off

EDITOR_NAME = "pilotlight-editor"
CLEANUP_DAYS = 30.0
MOST_STATE = 64 * 1024 * 1024
"""It grows with every project."""


def editor_settings(session_dir: Path) -> dict[str, str]:
    """The variables that make our program Claude's editor. Both releases split them at spaces, and no quoting helps
    (measured), so a folder with a space in its name is found through PATH."""
    program = str(session_dir / "bin" / EDITOR_NAME)
    program = EDITOR_NAME if any(letter.isspace() for letter in program) else program
    return {"EDITOR": program, "VISUAL": program}


def editor(*environments: Mapping[str, str]) -> str:
    """The person's own editor: the first that is set and not ours; "" when there is none."""
    wanted = (environment.get(name) for environment in environments for name in ("VISUAL", "EDITOR"))
    return next((found for found in wanted if found and Path(found).name != EDITOR_NAME), "")


def _files(claude_home: Path, project: Path) -> tuple[Path, ...]:
    own = project / HOME_FOLDER
    return (claude_home / SETTINGS_FILE, own / SETTINGS_FILE, own / "settings.local.json")


def environment(claude_home: Path, project: Path) -> dict[str, str]:
    """The variables that the person's and the project's settings set; what cannot be read sets none: Claude says so itself."""
    found: dict[str, str] = {}
    for file in _files(claude_home, project):
        settings = _read(file)
        values = settings.get("env")
        if isinstance(values, dict):
            found |= {name: value for name, value in values.items() if isinstance(value, str)}
    return found


def changed_at(claude_home: Path, project: Path) -> int:
    """When the settings that may name hooks were changed last (ms since the epoch): the person's, the project's, those of the
    machine's administrator."""
    managed = (hooks_off.MANAGED / "managed-settings.json", hooks_off.MANAGED / "managed-settings.d")
    return max((_changed(file) for file in (*_files(claude_home, project), *managed)), default=0)


def _changed(file: Path) -> int:
    try:
        return os.stat(file).st_mtime_ns // 1_000_000
    except OSError:
        return 0


def cleanup_days(claude_home: Path) -> float:
    """After how many days without a word Claude deletes a transcript."""
    days = _read(claude_home / SETTINGS_FILE).get("cleanupPeriodDays")
    return float(days) if isinstance(days, int | float) and days > 0 else CLEANUP_DAYS


def broken_state(environment: Mapping[str, str]) -> str | None:
    """Why the file in which Claude keeps what it knows of this machine is of no use to it, in words: each start then
    begins with a dialog that offers to leave or to forget all of it (measured on both)."""
    file = Path(environment.get(CONFIG_DIR) or environment.get("HOME", "")) / STATE_FILE
    try:
        found = msgspec.json.decode(read_foreign(file, MOST_STATE, follow=True))
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{file} cannot be read: {getattr(error, 'reason', None) or error.strerror}."
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return f"{file} is damaged ({error}): put it right, or copy it back from `backups` in Claude's home."
    return None if isinstance(found, dict) else f"{file} is damaged (no object): put it right, or away."


def _read(file: Path) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(read_foreign(file, SMALL, follow=True))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
