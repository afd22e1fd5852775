"""The notification hook: the configured command, run once for each event that is wanted, with the event on its input.

How far the journal was told is stored after each run, and before the first one, so what happened while the supervisor was
down, or was not told before it died, is told when it returns; a notification is repeated only when the supervisor ends while
its command runs. A command that fails is not tried again for the same event; that it fails is an event, too, once until it
succeeds, and never one that the command is run for. What must not regress: a command that hangs is ended with everything
that it has started.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import suppress

import msgspec

from shared import process
from shared.bus.messages import Event
from shared.config import NotifyConfig
from shared.errors import StorageFailed
from supervisor.store.store import Store, now_ms

RUN_SECONDS = 15.0
END_SECONDS = 2.0
MAX_WAITING = 1000
STALE_SECONDS = 3600.0
"""What is older than this when the supervisor returns is no news any more."""

FAILED = "notification_failed"
_TOLD = "notified"


class Notifier:
    """Runs the command for one event after the other. `error` is why the last run failed; None when it succeeded."""

    def __init__(self, config: Callable[[], NotifyConfig], store: Store, log: logging.Logger) -> None:
        self._config = config
        self._store = store
        self._log = log
        self._queue: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)
        self.error: str | None = None

    def catch_up(self) -> None:
        """Take in what an earlier supervisor has not told; the first that has a command begins here."""
        if not self._config().command:
            return
        told = self._store.meta(_TOLD)
        if told is None:
            self._store.set_meta(_TOLD, str(self._store.head()))
            return
        missed = self._store.events(int(told), MAX_WAITING, None, self._config().kinds)
        self.offer([event for event in missed if now_ms() - event.at < STALE_SECONDS * 1000])

    def offer(self, events: list[Event]) -> None:
        """Take events that somebody may want to hear of."""
        config = self._config()
        if not config.command:
            return
        for event in events:
            if event.kind in config.kinds and event.kind != FAILED:
                try:
                    self._queue.put_nowait(event)
                except asyncio.QueueFull:
                    self._log.warning("notification_dropped", extra={"fields": {"seq": event.seq}})

    async def run(self) -> None:
        """Notify until cancelled."""
        while True:
            event = await self._queue.get()
            error = await self._tell(event, self._config().command)
            try:
                self._note(event, error)
            except StorageFailed as refusal:
                fields = {"seq": event.seq, "why": refusal.message}
                self._log.warning("notification_not_noted", extra={"fields": fields})

    def _note(self, event: Event, error: str | None) -> None:
        before, self.error = self.error, error
        with self._store.transaction():
            self._store.set_meta(_TOLD, str(event.seq))
            if error is not None and before is None:
                self._store.append(FAILED, None, {"seq": event.seq, "kind": event.kind, "why": error})
        if error is not None:
            self._log.warning(FAILED, extra={"fields": {"seq": event.seq, "why": error}})

    async def _tell(self, event: Event, command: list[str]) -> str | None:
        """Run the command; return why it failed, if it did."""
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"The command cannot be started: {error}."
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await child.communicate(msgspec.json.encode(event))
        except TimeoutError:
            return f"The command took longer than {RUN_SECONDS:g} s."
        finally:
            if child.returncode is None:
                await _end(child)
        return f"The command ended with exit status {child.returncode}." if child.returncode else None


async def _end(child: asyncio.subprocess.Process) -> None:
    """End a command and whatever it runs: killing a shell alone leaves its `curl` behind."""
    with suppress(TimeoutError):  # what the kernel does not let go of is left to it
        async with asyncio.timeout(END_SECONDS):
            while members := process.session_members(child.pid):
                for member in members:
                    process.send_signal(member, signal.SIGKILL)
                await asyncio.sleep(0.01)
            await child.wait()
