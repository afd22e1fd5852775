"""Whether Claude has a login, as far as files and variables tell. Only their existence is looked at, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from shared.config import ClaudeConfig
from shared.foreign_file import SMALL, read_foreign
from supervisor.claude.command_line import environment

VARIABLES = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")


def is_there(config: ClaudeConfig, own: Mapping[str, str], claude_home: Path) -> bool:
    """Whether credentials are to be found where the CLI would look."""
    given = environment(config, own)
    if any(given.get(name) for name in VARIABLES) or (claude_home / ".credentials.json").exists():
        return True
    try:
        return b"apiKeyHelper" in read_foreign(claude_home / "settings.json", SMALL, follow=True)
    except OSError:
        return False
