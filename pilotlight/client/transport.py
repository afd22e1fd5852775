"""Requests over HTTP that survive a restart of the API: each is repeated under its own key until it is answered.

What must not regress: a request that changes something carries one Idempotency-Key for all of its tries, so that a repeat is
harmless whatever became of the first; only what may succeed later is tried again, and never longer than the client is patient.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pilotlight.client.errors import ClientError, Refused, Unreachable, refused

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between two tries; the last counts for all that follow."""

SILENCE_SECONDS = 45.0
"""How long a stream may say nothing: heartbeats come every 15 seconds."""

MARGIN_SECONDS = 30.0
"""How much longer than its `wait` an answer may take."""


@dataclass(frozen=True)
class Frame:
    """One event of a stream; `data` is JSON."""

    id: str | None
    event: str
    data: Any


class Transport:
    """One API. `patience`: for how many seconds a request is tried again while nobody answers; `ca_file`: whose certificates are
    trusted over HTTPS, in the place of the system's; `connect`: what makes a connection with so many seconds of time-out, in the
    place of one to where the address says."""

    def __init__(
        self,
        url: str,
        token: str,
        patience: float,
        ca_file: str | None = None,
        connect: Callable[[float], http.client.HTTPConnection] | None = None,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address such as http://127.0.0.1:3001.")
        self._secure = ssl.create_default_context(cafile=ca_file) if parts.scheme == "https" else None
        if self._secure is not None and ca_file is not None:
            self._secure.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._host, self._port, self._base = parts.hostname, parts.port, parts.path.rstrip("/")
        self._token = token
        self._patience = patience
        self._connect = connect or self._there

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        wait: float = 0.0,
    ) -> Any:
        """The JSON that is answered. Raise Refused or Unreachable."""
        headers = {"Accept": "application/json"}
        if method != "GET":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        for retry in self._tries():
            with retry:
                response = self._open(method, path, body, query, headers, wait + MARGIN_SECONDS)
                try:
                    return _answer(response)
                finally:
                    response.close()
        raise AssertionError

    def frames(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
        last: str | None = None,
    ) -> Iterator[Frame]:
        """The events of one connection; it ends when the connection does. Raise Refused or Unreachable."""
        headers = {"Accept": "text/event-stream"}
        if method != "GET":
            headers["Idempotency-Key"] = key or uuid.uuid4().hex
        if last is not None:
            headers["Last-Event-ID"] = last
        for retry in self._tries():
            with retry:
                response = self._open(method, path, body, query, headers, SILENCE_SECONDS)
                if response.status >= 400:
                    _answer(response)
                break
        try:
            yield from _frames(response)
        except (OSError, http.client.HTTPException):
            return
        finally:
            response.close()

    def _tries(self) -> Iterator[_Try]:
        end = time.monotonic() + self._patience
        number = 0
        while True:
            attempt = _Try(end, PAUSES[min(number, len(PAUSES) - 1)])
            yield attempt
            number += 1

    def _there(self, seconds: float) -> http.client.HTTPConnection:
        if self._secure is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        return http.client.HTTPSConnection(self._host, self._port, timeout=seconds, context=self._secure)

    def _open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        seconds: float,
    ) -> http.client.HTTPResponse:
        connection = self._connect(seconds)
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        asked = {name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()}
        target = self._base + path + (f"?{urllib.parse.urlencode(asked)}" if asked else "")
        sent = {**headers, "Authorization": f"Bearer {self._token}", "Connection": "close"}
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = json.dumps({name: value for name, value in body.items() if value is not None}).encode()
        try:
            connection.request(method, target, data, sent)
            return connection.getresponse()
        except BaseException:
            connection.close()
            raise


class _Try:
    """One try of a request: swallows what may be tried again, after a pause."""

    def __init__(self, end: float, pause: float) -> None:
        self._end = end
        self._pause = pause

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        pause = self._pause
        if isinstance(error, Refused):
            if error.status not in (429, 503) or not error.retryable:
                return False
            pause = max(pause, float(error.data.get("retryAfter") or 0))
        elif not isinstance(error, (OSError, http.client.HTTPException, json.JSONDecodeError)) or isinstance(
            error, ClientError
        ):
            return False
        if time.monotonic() + pause > self._end:
            if isinstance(error, Refused):
                return False
            raise Unreachable(f"Nobody answers: {error or type(error).__name__}.") from error
        time.sleep(pause)
        return True


def _answer(response: http.client.HTTPResponse) -> Any:
    raw = response.read()
    if response.status >= 400:
        body = json.loads(raw) if raw else {}
        raise refused(response.status, body if isinstance(body, dict) else {})
    return json.loads(raw)


def _frames(response: http.client.HTTPResponse) -> Iterator[Frame]:
    event_id: str | None = None
    event = "message"
    data: list[str] = []
    while line := response.readline():
        name, _, value = line.decode().rstrip("\r\n").partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            event_id = value
        elif name == "event":
            event = value
        elif name == "data":
            data.append(value)
        elif not name and not value and data:
            yield Frame(event_id, event, json.loads("\n".join(data)))
            event, data = "message", []
