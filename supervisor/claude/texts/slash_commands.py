"""Slash commands as the CLI takes them: which may be given, how its list of completions reads, what one has said on the screen.

What must not regress: nothing that ends the process or changes the conversation under a session is given as a command.
"""

from __future__ import annotations

import re

from shared.errors import InvalidRequest
from supervisor.claude.texts.prompts import check_prompt

MAX_COMMAND = 4000
_COMMAND = re.compile(r"/(?P<name>[A-Za-z0-9][\w:.-]*)(?P<args>[ \t]+\S.*)?")
_REFUSED = {
    "exit": "Delete the session instead: `DELETE /api/sessions/<id>`.",
    "quit": "Delete the session instead: `DELETE /api/sessions/<id>`.",
    "resume": "Open a session with `resume` instead: another one may have that conversation open.",
    "continue": "Open a session with `resume` instead: another one may have that conversation open.",
}


def check_command(text: str) -> str:
    """The command as it will be typed. Raise InvalidRequest when it is none, or one that would end the process."""
    command = text.strip()
    match = _COMMAND.fullmatch(command)
    if match is None or len(command) > MAX_COMMAND or command.endswith("\\"):  # Enter behind that is a new line
        raise InvalidRequest(
            "A command is one line that begins with a slash and its name, such as `/compact`.", code="invalid_command"
        )
    why = _REFUSED.get(match["name"].lower())
    if why is not None:
        raise InvalidRequest(f"`/{match['name']}` is not given to a session. {why}", code="command_refused")
    check_prompt(f"x{command}")
    return command


def on_screen(text: str, command: str) -> str:
    """What stands below the last echo of a command, above the prompt box."""
    rows = text.split("\n")
    echo = next((i for i in range(len(rows) - 1, -1, -1) if rows[i].strip().lstrip("❯> \u00a0") == command), None)
    if echo is None:
        return ""
    said = []
    for row in rows[echo + 1 :]:
        if re.match(r"^\s?[─━╭]{10,}", row):
            break
        said.append(row.strip(" ⎿\u00a0"))
    return "\n".join(said).strip()


def completions(rows: list[str]) -> bool | None:
    """Whether a list of commands is open below the prompt box; None when nothing there speaks of commands."""
    rule = max((i for i, row in enumerate(rows) if re.match(r"^\s?[─━]{10,}", row)), default=-1)
    below = rows[rule + 1 :]
    if any(re.match(r"^\s*(?:[❯>]\s+)?/[\w:.-]+(?:\s{2,}\S|\s*$)", row) for row in below):
        return True
    return False if any("No commands match" in row for row in below) else None
