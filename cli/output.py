"""How results and errors look: tables and sentences for people, JSON for programs, exit codes for scripts.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 pilotlight is not running, 4 not found, 5 refused (conflict, limit,
input).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from cli.wording import at_the_prompt
from shared.bus.messages import ErrorBody, MessageView, ScheduledTask, SessionView, Waiting
from shared.errors import PilotlightError
from shared.plain_text import bounded, one_line, plain

DONE, FAILED, USAGE, NOT_RUNNING, NOT_FOUND, REFUSED = range(6)
_BY_STATUS = {404: NOT_FOUND, 503: NOT_RUNNING}
_BY_CODE = {
    "invalid_config": FAILED,
    "unsafe_directory": FAILED,
    "ambiguous_id": USAGE,
    "file_error": FAILED,
    "invalid_setting": USAGE,
}


def exit_code(error: PilotlightError) -> int:
    """The exit code for an error."""
    if error.error_code in _BY_CODE:
        return _BY_CODE[error.error_code]
    if error.status in _BY_STATUS:
        return _BY_STATUS[error.status]
    return REFUSED if 400 <= error.status < 500 else FAILED


def report(error: PilotlightError, as_json: bool) -> int:
    """Tell the person, and the program if asked, what went wrong; return the exit code."""
    if as_json:
        emit({"error": ErrorBody.of(error)})
    complain(error.message)
    return exit_code(error)


def say(text: str, err: bool = False) -> None:
    """Print what may hold words of Claude's, of its service, or of a folder's or file's name: they must not drive the
    terminal."""
    click.echo(safe_text(text), err=err)


def complain(message: str) -> None:
    """Say why something was refused or went wrong, with the commands that help."""
    say(f"pilotlight: {at_the_prompt(message)}", err=True)


def emit(value: Any) -> None:
    """Print JSON, indented, non-ASCII as it is."""
    click.echo(_inert(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def emit_line(value: Any) -> None:
    """Print JSON on one line."""
    click.echo(_inert(msgspec.json.encode(value).decode()))


def _inert(text: str) -> str:
    """The same JSON, with what is no printable character escaped: some terminals obey those beyond ASCII, too."""
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print columns; the first row is the heading."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def sessions_table(views: Sequence[SessionView]) -> None:
    """One line a session."""
    heading = ("ID", "STATE", "PID", "MESSAGES", "QUEUE", "ACTIVE", "PROJECT", "TITLE")
    rows = [
        (
            view.id[:8],
            state_text(view) + _asides(view),
            str(view.pid or "-"),
            str(view.message_count),
            str(view.queue_length),
            ago(view.last_activity),
            short_path(view.project_path),
            printable(view.title or "", 40),
        )
        for view in views
    ]
    table([heading, *rows])


def _asides(view: SessionView) -> str:
    held = view.held is not None and view.waiting is None
    told = [word for word, so in (("held", held), ("planned", view.scheduled and view.state != "ended")) if so]
    return f" ({', '.join(told)})" if told else ""


def planned_text(task: ScheduledTask) -> str:
    """What Claude has planned to do by itself, and when: `at 14:30 on 2026-11-28: look at the build`."""
    at = None if task.due_at is None else time.strftime("at %H:%M on %Y-%m-%d", time.localtime(task.due_at / 1000))
    again = f"({task.schedule})" if task.recurring or at is None else None
    return printable(f"{' '.join(filter(None, (at, again)))}: {task.prompt}", 160)


HEALTH_TEXTS = {
    "no_hooks": ("hooks: off", "Claude's hooks are off in it: managed settings or claude.args switch them off."),
    "editor_taken": (
        "editor: another's",
        "Claude opens another editor in place of ours, so that no message gets through.",
    ),
    "login_refused": ("login: refused", "Claude's service does not accept the login: run `claude` and use /login."),
}
"""What of a person's set-up is in the way: in a word, and in a sentence."""


def state_text(view: SessionView) -> str:
    """`waiting: trust`, `ended: killed`, or the plain state; and what of a person's set-up is in our way."""
    reason = view.waiting.kind if view.waiting is not None else view.end_reason
    state = f"{view.state}: {reason}" if reason else view.state
    known = HEALTH_TEXTS.get(view.health)
    return state if known is None or reason == "login" else f"{state}, {known[0]}"


def health_text(view: SessionView) -> str | None:
    """What is wrong with it, if anything is."""
    if view.health == "ok":
        return None
    return HEALTH_TEXTS.get(view.health, ("", view.health.replace("_", " ")))[1]


def waiting_lines(waiting: Waiting) -> list[str]:
    """What a session waits for, and the choices by number."""
    lines = [printable(waiting.title, 200)]
    if waiting.text != waiting.title:
        lines += [f"  {printable(line, 200)}" for line in waiting.text.splitlines() if line.strip()]
    for number, question in enumerate(waiting.questions or [], 1):
        options = question.get("options")
        if len(waiting.questions or []) > 1 and isinstance(options, list):
            lines.append(f"  Question {number}: {printable(str(question.get('question', '')), 200)}")
            labels = [str(option.get("label", "")) for option in options if isinstance(option, dict)]
            lines += [f"    {position}. {printable(label, 200)}" for position, label in enumerate(labels, 1)]
    for field in waiting.fields or []:
        kind = ", ".join(choice.label for choice in field.choices) or field.type
        kind += ", required" if field.required else ""
        more = f" - {field.description}" if field.description else ""
        lines.append(f"  {printable(f'{field.name} ({kind}){more}', 200)}")
    for number, choice in enumerate(waiting.choices, 1):
        more = f" - {choice.description}" if choice.description else ""
        lines.append(f"  {number}. {printable(choice.label + more, 200)}")
    return lines


def how_to_answer(session_id: str, waiting: Waiting) -> str:
    """The command that answers this."""
    command = f"pilotlight answer {session_id[:8]}"
    if waiting.fields and not waiting.choices:
        return f"It is shown at the terminal: pilotlight attach {session_id[:8]}"
    if waiting.fields:
        named = " ".join(f"--to {printable(field.name, 60)}=ANSWER" for field in waiting.fields if field.required)
        return f"Answer with: {command} {named or '--choice accept'}, or with --choice decline"
    if len(waiting.questions or []) > 1:
        return f"Answer with: {command} --to 1=ANSWER --to 2=ANSWER"
    return f"Answer with: {command} {'--choice NUMBER' if waiting.choices else '--text TEXT'}"


def show_asked(session_id: str, waiting: Waiting, err: bool = False) -> None:
    """Print what a session waits for, and how that is answered."""
    for line in waiting_lines(waiting):
        click.echo(line, err=err)
    click.echo(how_to_answer(session_id, waiting), err=True)


def printable(text: str, width: int) -> str:
    """One line without control characters, at most `width` long: what Claude shows must not drive the terminal."""
    return bounded(one_line(text).strip(), width)


def safe_text(text: str) -> str:
    """Text of several lines without escape sequences and other control characters."""
    return plain(text)


def put(text: str, end: str = "\n") -> None:
    """Print what Claude said: text on a terminal; elsewhere byte for byte, also codes of colours that are part of it."""
    on_terminal = sys.stdout.isatty()
    click.echo(safe_text(text) if on_terminal else text, nl=False, color=None if on_terminal else True)
    click.echo(end, nl=False)


def ago(moment: int, now: float | None = None) -> str:
    """A time in milliseconds since the epoch as `now`, `5 min ago`, `3 h ago`, `2 d ago`."""
    seconds = max(0.0, (time.time() if now is None else now) - moment / 1000)
    for limit, size, unit in ((60, 0, "now"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit} ago" if size else unit
    return f"{seconds / 86400:.0f} d ago"


def until(moment: int, now: float | None = None) -> str:
    """A time to come, in milliseconds since the epoch, as `in 23.9 h`."""
    hours = max(0.0, moment / 1000 - (time.time() if now is None else now)) / 3600
    return f"in {hours:.1f} h" if hours < 48 else f"in {hours / 24:.0f} d"


def short_path(path: str) -> str:
    """The path with `~` for the home directory, on one line."""
    home = str(Path.home())
    return one_line("~" + path[len(home) :] if path == home or path.startswith(f"{home}/") else path)


def tell_changes(message: MessageView) -> None:
    """Say what was changed in a text so that it arrives; white space at its end is nobody's loss."""
    changes = [change for change in message.normalized if not change.startswith("trailing:")]
    if changes:
        click.echo(f"Changed so that it reaches Claude: {', '.join(changes)}.", err=True)
