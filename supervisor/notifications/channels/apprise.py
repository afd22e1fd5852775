"""apprise (an extra): its hundred-odd services, for addresses that stand in the configuration.

They are not taken from clients: what such an address makes apprise do cannot be checked here. The library blocks and decides
about time by itself, so it has two threads, and while both hang nothing more is given to it. What must not regress: it follows
no redirect, and none of its words get into our logs, since they carry the address.
"""

from __future__ import annotations

import asyncio
import logging

from supervisor.notifications.channels.background import in_thread
from supervisor.notifications.channels.contract import Barred, Delivered, Note, Outcome, Retry

THREADS = 2
BUSY_SECONDS = 30.0
SOCKET_SECONDS = 5.0


class Threads:
    """How many of apprise's threads are at work."""

    def __init__(self) -> None:
        self.busy = 0

    def run(self, address: str, title: str, body: str) -> asyncio.Future[bool]:
        """Notify on one of them."""
        self.busy += 1
        future = in_thread(lambda: _notify(address, title, body), "apprise")
        future.add_done_callback(self._over)
        return future

    def _over(self, future: asyncio.Future[bool]) -> None:
        self.busy -= 1
        if not future.cancelled():
            future.exception()


class Apprise:
    """A channel to one address of apprise's."""

    def __init__(self, address: str, threads: Threads) -> None:
        self._address, self._threads = address, threads

    async def send(self, note: Note) -> Outcome:
        """Notify; it says yes or no, and not why."""
        if self._threads.busy >= THREADS:
            return Retry("What was given to apprise before hangs.", BUSY_SECONDS)
        future = self._threads.run(self._address, note.title, note.body or note.title)
        if await asyncio.shield(future):
            return Delivered("apprise says yes")
        return Retry("apprise says that it was not taken.")


def _notify(address: str, title: str, body: str) -> bool:
    try:
        import apprise
    except ImportError:
        raise Barred("apprise is not installed: pip install 'pilotlight[apprise]'.") from None
    logging.getLogger("apprise").disabled = True
    asset = apprise.AppriseAsset(http_redirects=False, async_mode=False, secure_logging=True)
    plugin = apprise.Apprise.instantiate(address, asset=asset)
    if plugin is None:
        raise Barred("apprise does not understand this address.")
    plugin.socket_connect_timeout = plugin.socket_read_timeout = SOCKET_SECONDS
    return bool(plugin.notify(body=body, title=title))
