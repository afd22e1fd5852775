"""What the CLI can be started with: the values that its flags take, and those that would keep it from starting.

What must not regress: each is refused before anything is stopped for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from shared.errors import InvalidRequest
from shared.foreign_file import SMALL, read_foreign

PERMISSION_MODES = ("default", "acceptEdits", "auto", "bypassPermissions", "dontAsk", "plan")
EFFORTS = ("low", "medium", "high", "xhigh", "max")
MAX_SYSTEM_PROMPT = 100_000


def _word(name: str, value: str) -> str:
    if not value.strip() or value.startswith("-") or "\0" in value:
        raise InvalidRequest(f"`{name}` must be a name, not {value!r}.", code="invalid_option")
    return value


def _mode(value: str) -> str:
    value = "default" if value == "manual" else value  # its name on newer releases
    if value not in PERMISSION_MODES:
        raise InvalidRequest(f"`permissionMode` must be one of {', '.join(PERMISSION_MODES)}.", code="invalid_option")
    return value


def name_a_mode(arguments: Sequence[str]) -> bool:
    """Whether these arguments say the permission mode."""
    return any(word.split("=")[0] in ("--permission-mode", "--dangerously-skip-permissions") for word in arguments)


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


CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "model": lambda value: _word("model", value),
    "permission_mode": _mode,
    "effort": _effort,
    "add_dirs": _folders,
    "mcp_config": _servers,
    "append_system_prompt": _prompt,
}
