"""Events of the supervisor over SUB, for one thread; `shared.bus.client` has the requests.

What must not regress: nothing is believed from a socket in a folder that is not ours, at whatever time somebody made it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import zmq

from shared.bus.connection import ClientKey, socket_folder, use_key
from shared.bus.messages import Event
from shared.private_folders import require_private

_events = msgspec.json.Decoder(Event)


class EventStream:
    """A subscription to the supervisor's events, for one thread. Iterate with `next_event`; close when done.

    `topic` is a prefix (`""`: all; `session.<id>.`: one session). The stream may start with a `tick`, which carries the
    journal's head in `data.head`; compare `seq` with it to notice a gap, and ask `events.since` for what is missing. Making
    it, and an event, raise Unavailable when the folder of its socket is somebody else's.
    """

    def __init__(self, address: str, topic: str = "", key: ClientKey | None = None) -> None:
        self._folder = socket_folder(address)
        if self._folder is not None:
            require_private(self._folder)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, 100_000)
        self._socket.setsockopt(zmq.RECONNECT_IVL, 20)
        self._socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self._socket.subscribe(topic)
        if topic:
            self._socket.subscribe("supervisor.tick")
        use_key(key, self._socket)
        self._socket.connect(address)

    def next_event(self, timeout: float) -> Event | None:
        """The next event, or None after `timeout` seconds."""
        if not self._socket.poll(int(timeout * 1000)):
            return None
        frames = self._socket.recv_multipart()
        if self._folder is not None:
            require_private(self._folder)
        return _events.decode(frames[-1])

    def events(self, timeout: float) -> Iterator[Event]:
        """Events until none comes for `timeout` seconds."""
        while (event := self.next_event(timeout)) is not None:
            yield event

    def close(self) -> None:
        """Release the socket."""
        self._socket.close(0)
        self._context.term()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
