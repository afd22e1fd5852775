"""A command of the configuration, run with one event as JSON on its standard input.

What must not regress: a command that hangs is ended with everything that it has started. One that fails is not tried again.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

import msgspec

from shared import process
from supervisor.notifications.channels.contract import Delivered, Note, Outcome, Refused

RUN_SECONDS = 15.0
END_SECONDS = 2.0


class Command:
    """A channel: `words` are the command."""

    def __init__(self, words: list[str]) -> None:
        self._words = words

    async def send(self, note: Note) -> Outcome:
        """Run it with the event of this note, or with the note itself."""
        try:
            child = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Refused(f"The command cannot be started: {error}.")
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await child.communicate(msgspec.json.encode(note.event if note.event is not None else note))
        except TimeoutError:
            return Refused(f"The command took longer than {RUN_SECONDS:g} s.")
        finally:
            if child.returncode is None:
                await _end(child)
        if child.returncode:
            return Refused(f"The command ended with exit status {child.returncode}.")
        return Delivered("exit status 0")


async def _end(child: asyncio.subprocess.Process) -> None:
    """End a command and whatever it runs: killing a shell alone leaves its `curl` behind."""
    with suppress(TimeoutError):  # what the kernel does not let go of is left to it
        async with asyncio.timeout(END_SECONDS):
            while members := process.session_members(child.pid):
                for member in members:
                    process.send_signal(member, signal.SIGKILL)
                await asyncio.sleep(0.01)
            await child.wait()
