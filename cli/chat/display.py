"""What `pilotlight chat` shows of a turn while it runs: Claude's words as they are displayed, tools, and the seconds.

Pieces of text may be heard out of order; what must not regress is that each is shown once, in Claude's order, and that what
stands there at the end is the reply of the receipt.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

import click
import msgspec

from cli.output import printable
from shared.bus import events, message_events
from shared.bus.messages import Event
from shared.claude_names import ASK_QUESTION, DESCRIPTION, EXIT_PLAN, SUBJECTS
from shared.plain_text import plain

_ASKS = (ASK_QUESTION, EXIT_PLAN)
"""Whose question is asked in a moment."""


class Pieces:
    """The text of Claude's messages, put together from the pieces that are heard."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[int, str]] = {}
        self._told: dict[str, str] = {}
        self._count: dict[str, int] = {}
        self._latest = ""

    def take(self, said: message_events.Text) -> str:
        """What can be shown now that this piece has come."""
        part, index = said.message_id, said.index
        if not isinstance(part, str) or not isinstance(index, int):
            return ""
        waiting = self._waiting.setdefault(part, {})
        waiting[index] = str(said.delta or "")
        begun = part in self._told
        shown, following = "", self._count.get(part, 0)
        while following in waiting:
            shown += waiting[following]
            following += 1
        self._count[part] = following
        if not shown:
            return ""
        separate = "\n\n" if not begun and self._latest else ""
        self._told[part] = self._told.get(part, "") + shown
        self._latest = part
        return separate + shown

    def missing(self, reply: str) -> str:
        """What of the reply is not shown yet."""
        told, wanted = self._told.get(self._latest, "").strip(), reply.strip()
        if not wanted or (told and wanted.endswith(told)) or told.endswith(wanted):
            return ""
        if told and told in wanted:
            return wanted[wanted.rindex(told) + len(told) :]
        if told and wanted.startswith(told):
            return wanted[len(told) :]
        return ("\n\n" if told else "") + wanted


class Display:
    """One turn on the screen. Where standard output is no terminal, only the replies go there."""

    def __init__(self, message_id: str) -> None:
        self._message = message_id
        self._pieces = Pieces()
        self._live = sys.stdout.isatty()
        self._begun = time.monotonic()
        self._clock = ""
        self._column = 0

    def take(self, event: Event) -> None:
        """Show what belongs to the message."""
        said = events.read(event)
        if isinstance(said, message_events.Text) and said.message in (None, self._message):
            self._write(self._pieces.take(said))
        elif (
            isinstance(said, message_events.ToolUse)
            and said.phase == "started"
            and self._live
            and said.tool not in _ASKS
        ):
            self._note(f"{said.tool} {_subject(said.input)}")

    def tick(self) -> None:
        """Show the seconds, while nothing else is."""
        if self._live and not self._column:
            clock = f"… {time.monotonic() - self._begun:.0f} s"
            if clock != self._clock:
                self._wipe()
                self._clock = clock
                click.echo(clock, nl=False)

    def finish(self, reply: str | None) -> None:
        """Show what is missing, and end the line."""
        self._write(self._pieces.missing(reply or ""))
        self.pause()
        if reply and self._live:
            click.echo("")

    def pause(self) -> None:
        """Something else is shown now."""
        self._wipe()
        if self._column:
            click.echo("")
            self._column = 0

    def _note(self, text: str) -> None:
        self.pause()
        width = shutil.get_terminal_size().columns
        click.echo(click.style(printable(f"· {text}", width - 1), dim=True))

    def _write(self, text: str) -> None:
        if text and not self._column:
            text = text.lstrip("\n")
        if not text:
            return
        self._wipe()
        click.echo(plain(text) if self._live else text, nl=False, color=None if self._live else True)
        self._column = len(text) if "\n" not in text else len(text) - text.rindex("\n") - 1

    def _wipe(self) -> None:
        if self._clock:
            click.echo("\r\x1b[K", nl=False)
            self._clock = ""


def _subject(given: Any) -> str:
    """What a tool is used on, in a few words."""
    if not isinstance(given, dict):
        return ""
    for name in (*SUBJECTS, DESCRIPTION):
        if isinstance(given.get(name), str):
            return str(given[name])
    return msgspec.json.encode(given).decode() if given else ""
