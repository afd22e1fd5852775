"""A client of the API's event streams, as a script would write one: frames with the moment at which they arrived."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.harness import House


@dataclass(frozen=True)
class Frame:
    """One event; `at` is time.monotonic() when it was whole."""

    kind: str
    id: str | None
    data: Any
    at: float


class Stream:
    """One response with `text/event-stream`. `last_id` is what a browser would come back with."""

    def __init__(
        self,
        house: House,
        path: str,
        body: Any = None,
        *,
        last_id: str | None = None,
        key: str | None = None,
        token: str | None = None,
    ) -> None:
        address = house.api_address()
        assert address is not None
        self._connection = http.client.HTTPConnection(*address, timeout=60)
        headers = {"Authorization": f"Bearer {token or house.token}", "Accept": "text/event-stream"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if last_id is not None:
            headers["Last-Event-ID"] = last_id
        if key is not None:
            headers["Idempotency-Key"] = key
        data = None if body is None else json.dumps(body).encode()
        self._connection.request("GET" if body is None else "POST", path, data, headers)
        self._response = self._connection.getresponse()
        assert self._response.status == 200, self._response.read()
        assert self._response.headers["Content-Type"].startswith("text/event-stream")
        self.last_id = last_id
        self._end = float("inf")

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def deadline(self, seconds: float) -> None:
        """Fail, rather than read on, when it has not ended by then."""
        self._end = time.monotonic() + seconds

    def __iter__(self) -> Iterator[Frame]:
        """Frames until the server ends the stream, or dies."""
        fields: dict[str, str] = {}
        while True:
            assert time.monotonic() < self._end, "the stream goes on"
            try:
                line = self._response.readline()
            except (OSError, http.client.HTTPException):
                return
            if not line:
                return
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                continue
            if text:
                name, _, value = text.partition(": ")
                fields[name] = value
                continue
            self.last_id = fields.get("id", self.last_id)
            if "data" in fields:
                kind = fields.get("event", "message")
                yield Frame(kind, fields.get("id"), json.loads(fields["data"]), time.monotonic())
            fields = {}

    def until(self, wanted: Callable[[Frame], bool]) -> list[Frame]:
        """The frames up to and with the first that is `wanted`."""
        found: list[Frame] = []
        for frame in self:
            found.append(frame)
            if wanted(frame):
                return found
        raise AssertionError(f"the stream ended: {[(frame.kind, frame.data) for frame in found]}")


def deltas(frames: list[Frame]) -> dict[str, str]:
    """The text of each of Claude's messages, put together as it came."""
    texts: dict[str, str] = {}
    for frame in frames:
        if frame.kind == "text":
            part = frame.data["data"]["messageId"]
            texts[part] = texts.get(part, "") + frame.data["data"]["delta"]
    return texts


def seqs(frames: list[Frame]) -> list[int]:
    """The journal's numbers of those frames that are journal entries."""
    return [frame.data["seq"] for frame in frames if "seq" in frame.data]
