"""What a session's `claude` is started with, and how a change of it reaches a process that runs.

Model, permission mode, effort, folders, MCP servers and system prompt are flags of the command line, so a change needs a
new process: at once when the session is idle, otherwise between this turn and the next. What must not regress: a turn is
never cut off for it, and a value that would keep the CLI from starting is refused before anything is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from shared.errors import Conflict, InvalidRequest
from shared.foreign_file import SMALL, read_foreign
from supervisor.claude.home import find_transcript
from supervisor.lifecycle.lifecycle import Lifecycle
from supervisor.session.session import Session
from supervisor.store.options import SETTINGS_CHANGED, LaunchOptions

NOTHING_CHOSEN = LaunchOptions()
NAMES = LaunchOptions.__struct_fields__
PERMISSION_MODES = ("default", "acceptEdits", "auto", "bypassPermissions", "dontAsk", "plan")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
MAX_SYSTEM_PROMPT = 100_000


def options(given: Mapping[str, Any], before: LaunchOptions = NOTHING_CHOSEN) -> LaunchOptions:
    """These options in the place of those before. Raise InvalidRequest for what the CLI would not start with."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        nothing = value is None or value == []
        found[name] = getattr(NOTHING_CHOSEN, name) if nothing else _CHECKS[name](value)
    return msgspec.structs.replace(before, **found)


def _word(name: str, value: str) -> str:
    if not value.strip() or value.startswith("-") or "\0" in value:
        raise InvalidRequest(f"`{name}` must be a name, not {value!r}.", code="invalid_option")
    return value


def _mode(value: str) -> str:
    value = "default" if value == "manual" else value  # its name on newer releases
    if value not in PERMISSION_MODES:
        raise InvalidRequest(f"`permissionMode` must be one of {', '.join(PERMISSION_MODES)}.", code="invalid_option")
    return value


def _effort(value: str) -> str:
    if value not in EFFORTS:
        raise InvalidRequest(f"`effort` must be one of {', '.join(EFFORTS)}.", code="invalid_option")
    return value


def _folders(value: list[str]) -> tuple[str, ...]:
    for folder in value:
        if not Path(folder).is_absolute() or not Path(folder).is_dir():
            raise InvalidRequest(f"`addDirs`: {folder} is not an absolute path of a folder.", code="invalid_option")
    return tuple(value)


def _servers(value: str | dict[str, Any]) -> str:
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        if not Path(value).is_absolute() or not Path(value).is_file():
            raise InvalidRequest(
                "`mcpConfig` must be an object, JSON, or the absolute path of a file.", code="invalid_option"
            )
        try:
            text = read_foreign(value, SMALL, follow=True)
        except OSError as error:
            raise InvalidRequest(
                f"`mcpConfig`: {value} cannot be read: {error.strerror}.", code="invalid_option"
            ) from None
    else:
        text = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    try:
        tree = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"`mcpConfig` is not valid JSON: {error}.", code="invalid_option") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("mcpServers"), dict):
        raise InvalidRequest(
            '`mcpConfig` must hold an object `mcpServers`, such as {"mcpServers": {}}.', code="invalid_option"
        )
    return value if isinstance(value, str) else text.decode()


def _prompt(value: str) -> str:
    if len(value) > MAX_SYSTEM_PROMPT or "\0" in value:
        raise InvalidRequest(
            f"`appendSystemPrompt` is over {MAX_SYSTEM_PROMPT} characters, or holds a NUL.", code="invalid_option"
        )
    return value


_CHECKS: dict[str, Any] = {
    "model": lambda value: _word("model", value),
    "permission_mode": _mode,
    "effort": _effort,
    "add_dirs": _folders,
    "mcp_config": _servers,
    "append_system_prompt": _prompt,
}


def change(session: Session, given: Mapping[str, Any]) -> bool:
    """Note new options for the next process. Whether the one that runs has others. Whoever chooses a permission mode has the
    last word: no chat's mode undoes it."""
    record, launch = session.record, options(given, session.record.launch)
    changed = launch != record.launch
    record.launch = launch
    if changed and session.live:
        record.process = msgspec.structs.replace(record.process, stale=SETTINGS_CHANGED)
    if "permission_mode" in given:
        record.intent = msgspec.structs.replace(record.intent, planned=None)
    return changed


def is_stale(session: Session) -> bool:
    """Whether its process was started with options that were changed since, or its holder by another version of ours."""
    return session.live and bool(session.record.process.stale)


def never_spoke(session: Session) -> bool:
    """Whether there is no conversation yet that a new process would have to go on with."""
    record = session.record
    found = record.remembered.spoken or find_transcript(session.services.claude_home, record.conversation_id)
    return not found


async def renew(session: Session, lifecycle: Lifecycle, cause: str | None = None) -> bool:
    """Start a process with the present options in the place of the one that runs; False: not now."""
    cause = cause or session.record.process.stale or SETTINGS_CHANGED
    try:
        if never_spoke(session):
            await lifecycle.replace(cause)  # nothing was said yet, so nothing can be resumed
        else:
            await lifecycle.recycle(cause)
    except Conflict:
        return False
    return True
