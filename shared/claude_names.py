"""What the Claude CLI calls things that the supervisor and the command line both have to know: where a login comes from, what a
question is called, what the use of a tool is about.

All else that is known of the CLI lives in `supervisor/claude/`, and the command line may import nothing of the supervisor. What
must not regress: `pilotlight doctor` and the health check look for a login in the same places, under the same names.
"""

from __future__ import annotations

CONFIG_DIR = "CLAUDE_CONFIG_DIR"
"""The CLI keeps everything of its own in this folder, if it is set; a relative one counts from where it is started."""

HOME_FOLDER = ".claude"
"""Its folder below the home, else."""

STATE_FILE = ".claude.json"
"""Beside that folder, or in CONFIG_DIR: what the CLI has noted for itself."""

SETTINGS_FILE, CREDENTIALS_FILE = "settings.json", ".credentials.json"
KEY_HELPER = "apiKeyHelper"
"""A setting: a program that prints a key."""

KEYCHAIN_ITEM = "Claude Code-credentials"
TOKENS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
CLOUDS = ("CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX")
"""Variables that are a login, and those that have another service bring one."""

NO_LOGIN_NEEDED = "none needed: this home is in demo mode"
"""What the command line and the health check say of a demo's login."""

ASK_QUESTION, EXIT_PLAN = "AskUserQuestion", "ExitPlanMode"
"""The tools whose use is a question to a person."""

SUBJECTS = ("command", "file_path", "notebook_path", "path", "url", "query", "pattern", "plan")
"""Members of a tool's input that say what a use is about, the most telling first."""

DESCRIPTION = "description"
"""What Claude says of it by itself, where none of them is there."""
