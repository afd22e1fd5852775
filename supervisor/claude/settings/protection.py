"""What the permission rules of our `--settings` keep from a session: pilotlight's own secrets, and the other sessions.

A session runs as the same user as pilotlight, so this is a wall for Claude's own tools and for `@path`, and none for a
program that a session is allowed to run (docs/security.md). What must not regress: what a session needs stays readable,
which is its own attachments, its own temporary folder and `workspace`.

Claude's rules are lines of a `.gitignore`. Measured on 2.1.197 and 2.1.330 (docs/claude-cli.md): `[!x]` and `[^x]` do not
negate, so "every other session" is spelled out; capitals are not told apart; a backslash takes the meaning of `* [ ] ! ( ) #`
and a space, and of neither `?` nor `\\`; and 2.1.197 does not look where a symbolic link leads, so a folder is named as it is
called and as it is.
"""

from __future__ import annotations

import fnmatch
import re
import string
from pathlib import Path

from shared.paths import Paths

SECRETS = (
    "token*",
    ".token*",
    "bus-*",
    ".bus-*",
    "pilotlight.db*",
    "search.db*",
    "chat_history",
    "incoming",
    "config.yaml",
)
"""Names in pilotlight's own folder: tokens, keys, databases, with their drafts, locks and journals; what was said at the
prompt, and files on their way to a message; and the configuration, which may set keys of services."""

ATTACHMENTS = "attachments"
"""The one name in a session's folder that the session may read; no other begins with its letter."""

_ID = "0123456789abcdef"
_NAME = string.ascii_lowercase + string.digits + "._-"


def denied(paths: Paths, session_id: str) -> list[str]:
    """The rules that refuse one session what is not its own."""
    patterns: list[str] = []
    for home in _names(paths.home):
        patterns += [f"{home}/{name}" for name in SECRETS]
    patterns += _names(paths.config_file)
    for sessions in _names(paths.sessions_dir):
        patterns += [f"{sessions}/{name}" for name in _others(session_id, _ID)]
        patterns.append(f"{sessions}/{session_id}/{_others(ATTACHMENTS[:1], _NAME)[0]}")
    temporary = paths.temporary_dir(session_id)
    for folder in _names(temporary.parent):
        patterns += [f"{folder}/{name}" for name in _others(temporary.name, _ID)]
    return [f"{tool}(/{pattern})" for pattern in dict.fromkeys(patterns) for tool in ("Read", "Edit")]


def is_secret(paths: Paths, session_id: str, file: Path) -> bool:
    """Whether a session may never be shown this file, by the same names; `file` is a real path."""
    home, own = paths.home.resolve(), paths.sessions_dir.resolve() / session_id
    temporary = paths.temporary_dir(session_id).resolve()
    if file.is_relative_to(own / ATTACHMENTS) or file.is_relative_to(temporary):
        return False
    if file == paths.config_file.resolve() or file.is_relative_to(temporary.parent):
        return True
    if file.is_relative_to(own.parent):
        return True
    if not file.is_relative_to(home) or file == home:
        return False
    return any(fnmatch.fnmatchcase(file.relative_to(home).parts[0], name) for name in SECRETS)


def readable(session_dir: Path) -> list[str]:
    """The rules that let a session read its own attachments without asking."""
    return [f"Read(/{folder}/**)" for folder in _names(session_dir / ATTACHMENTS)]


def _names(path: Path) -> list[str]:
    """A path as it is called and as it is, each as a pattern for itself."""
    return list(dict.fromkeys(_literal(str(name)) for name in (path.absolute(), path.resolve())))


def _literal(text: str) -> str:
    return re.sub(r"[*\[\]!()# ]", r"\\\g<0>", re.sub(r"[\\?]", "?", text))


def _others(name: str, alphabet: str) -> list[str]:
    """Patterns for every name but this one, and those that go on behind it."""
    found = []
    for place, letter in enumerate(name):
        if letter in alphabet:
            others = "".join(other for other in alphabet if other != letter)
            others = others.replace("-", "") + ("-" if "-" in others else "")
            found.append(f"{name[:place]}[{others}]*")
    return found
