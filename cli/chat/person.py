"""Who types in `pilotlight chat`: a person at a terminal, with a line editor, or a program that writes lines into a pipe.

What must not regress: what is pasted is one text, however many lines it has; nothing that is typed while Claude works is lost or
mixed with what Claude says; and a pipe sees no prompt.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import create_output

_HISTORY_BYTES = 1_000_000
_LOOK_SECONDS = 1.0
_PASTING_ON, _PASTING_OFF = "\x1b[?2004h", "\x1b[?2004l"


class Superseded(Exception):
    """What was asked has been answered elsewhere, or is over."""


class Person(Protocol):
    """Gives texts and answers, and may interrupt."""

    def text(self) -> str:
        """The next message. Raise EOFError when there is none, KeyboardInterrupt at Ctrl-C."""

    def answer(self, prompt: str, over: Callable[[], bool]) -> str:
        """A line that answers a question. Raise Superseded when `over` says so, else as `text`."""

    def present(self) -> contextlib.AbstractContextManager[None]:
        """While the chat lasts."""

    def away(self) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        """While Claude works: gives what says whether Ctrl-C was pressed since it was asked last."""


class Pipe:
    """Each line is a message or an answer."""

    def text(self) -> str:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.rstrip("\n")

    def answer(self, prompt: str, over: Callable[[], bool]) -> str:
        return self.text()

    @contextlib.contextmanager
    def present(self) -> Iterator[None]:
        yield

    @contextlib.contextmanager
    def away(self) -> Iterator[Callable[[], bool]]:
        yield lambda: False


class Terminal:
    """A line editor: Enter sends, Alt+Enter or Ctrl+J begins another line, and so does a backslash at the end of one."""

    def __init__(self, history: Path, commands: list[str]) -> None:
        output = create_output(stdout=sys.stdout if sys.stdout.isatty() else sys.stderr)
        self._output = output
        self._texts: PromptSession[str] = PromptSession(
            history=FileHistory(_private(history)),
            completer=WordCompleter(commands, sentence=True),
            complete_while_typing=False,
            multiline=True,
            key_bindings=_keys(),
            prompt_continuation="  ",
            enable_open_in_editor=True,
            enable_history_search=True,
            output=output,
        )
        self._answers: PromptSession[str] = PromptSession(history=InMemoryHistory(), output=output)

    def text(self) -> str:
        return self._texts.prompt("> ")

    def answer(self, prompt: str, over: Callable[[], bool]) -> str:
        return self._answers.prompt(prompt, pre_run=lambda: _watch(over))

    @contextlib.contextmanager
    def present(self) -> Iterator[None]:
        """An Enter stays one in the moments between two prompts as well, when nobody reads: the terminal made a line end of it,
        which at the next prompt is Ctrl+J and begins another line."""
        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard)
        termios.tcsetattr(keyboard, termios.TCSANOW, [before[0] & ~termios.ICRNL, *before[1:]])
        try:
            yield
        finally:
            termios.tcsetattr(keyboard, termios.TCSANOW, before)

    @contextlib.contextmanager
    def away(self) -> Iterator[Callable[[], bool]]:
        """Without echo; what is typed meanwhile, and pasted, is there at the next prompt."""
        keyboard = self._texts.app.input
        with keyboard.raw_mode():
            self._output.write_raw(_PASTING_ON)
            self._output.flush()
            try:
                yield lambda: _interrupted(keyboard)
            finally:
                _interrupted(keyboard)
                self._output.write_raw(_PASTING_OFF)
                self._output.flush()


def _keys() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add(Keys.Enter)
    def _(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.char_before_cursor == "\\" and not buffer.document.current_line_after_cursor:
            buffer.delete_before_cursor()
            buffer.newline(copy_margin=False)
        else:
            buffer.validate_and_handle()

    @bindings.add(Keys.Escape, Keys.Enter)
    @bindings.add(Keys.ControlJ)
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    return bindings


def _interrupted(keyboard: Input) -> bool:
    """Keep what was typed for the next prompt; whether Ctrl-C was."""
    pressed = [*keyboard.read_keys(), *keyboard.flush_keys()]
    last = max((at for at, press in enumerate(pressed) if press.key == Keys.ControlC), default=-1)
    store_typeahead(keyboard, pressed[last + 1 :])
    return last >= 0


def _watch(over: Callable[[], bool]) -> None:
    """End the prompt that begins when nothing is asked any more."""
    app = get_app()
    assert app.loop is not None
    loop = app.loop

    async def look() -> None:
        while not await loop.run_in_executor(None, over):
            await asyncio.sleep(_LOOK_SECONDS)
        if app.is_running and not app.is_done:
            app.exit(exception=Superseded())

    app.create_background_task(look())


def _private(file: Path) -> str:
    """The file of what was typed, for its owner only, and of a bounded size."""
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_RDONLY, 0o600))
        if file.stat().st_size > _HISTORY_BYTES:
            kept = file.read_bytes()[-_HISTORY_BYTES // 2 :]
            file.write_bytes(kept[kept.find(b"\n#") + 1 :])
    return str(file)


def whoever_types(history: Path, commands: list[str]) -> Person:
    """A person when standard input is a terminal."""
    if sys.stdin.isatty() and (sys.stdout.isatty() or sys.stderr.isatty()):
        return Terminal(history, commands)
    return Pipe()
