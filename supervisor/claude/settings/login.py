"""Whether Claude has a login, as far as files and variables tell. Only their existence is looked at, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.claude_names import CLOUDS, CREDENTIALS_FILE, KEY_HELPER, SETTINGS_FILE, TOKENS
from shared.config import ClaudeConfig
from shared.foreign_file import SMALL, read_foreign
from supervisor.claude.command_line import environment


def is_there(config: ClaudeConfig, own: Mapping[str, str], claude_home: Path) -> bool:
    """Whether credentials are to be found where the CLI would look."""
    given = environment(config, own)
    if any(given.get(name) for name in (*TOKENS, *CLOUDS)) or (claude_home / CREDENTIALS_FILE).exists():
        return True
    try:
        return KEY_HELPER.encode() in read_foreign(claude_home / SETTINGS_FILE, SMALL, follow=True)
    except OSError:
        return False
