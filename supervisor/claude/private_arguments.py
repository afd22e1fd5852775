"""What a command line must not say: `ps` shows it to every user of the machine, so it goes into private files.

Settings may hold keys of services, MCP servers nearly always do, and a system prompt is nobody's business. The CLI takes
a file for each of them. The files lie beside the session, are replaced in one step, and are read back when the database is
lost.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from shared.errors import StorageFailed
from shared.foreign_file import SMALL, read_foreign

FLAGS = {
    "--settings": "settings.json",
    "--mcp-config": "mcp.json",
    "--append-system-prompt-file": "system-prompt.txt",
}
"""Which flag takes which file."""


def words(session_dir: Path, flag: str, text: str) -> list[str]:
    """The flag, and the file that now holds the text. Raise StorageFailed."""
    target = session_dir / FLAGS[flag]
    draft = target.with_name(f".{target.name}.new")
    try:
        session_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(target)
    except (OSError, UnicodeEncodeError) as error:
        raise StorageFailed(f"{target} cannot be written: {error}.") from error
    return [flag, str(target)]


def read(argv: list[str], flag: str) -> str | None:
    """What a command line of ours says behind this flag; None when it has none, or the file is gone."""
    at = argv.index(flag) + 1 if flag in argv else len(argv)
    if at >= len(argv):
        return None
    if Path(argv[at]).name != FLAGS[flag]:
        return argv[at]
    try:
        return read_foreign(argv[at], SMALL).decode()
    except (OSError, UnicodeDecodeError):
        return None
