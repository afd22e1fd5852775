"""A test client of the API: a fresh application with a supervisor's double behind it, and its live events from a list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from werkzeug.test import TestResponse

from api.app import create_app
from api.inbox import Inbox
from shared import config as configuration
from shared import paths as places
from shared.bus.messages import Event
from tests.api_double import FakeSupervisor


class FakeFeed:
    """Live events from a list; a stream on it ends when the list is told."""

    def __init__(self, *live: Event) -> None:
        self.live = live
        self.joined = 0
        self.left = 0

    def join(self) -> Inbox:
        """An inbox with everything in it, and the end behind it."""
        self.joined += 1
        inbox = _Finite()
        for event in self.live:
            inbox.put(event)
        return inbox

    def leave(self, inbox: Inbox) -> None:
        """Count."""
        self.left += 1

    def stop(self) -> None:
        """Nothing to stop."""


class _Finite(Inbox):
    def next(self, timeout: float) -> Event | None:
        event = super().next(0)
        self.ended = event is None
        return event


class Caller:
    """A Flask test client of a fresh application, with the token in every request."""

    def __init__(self, home: Path, supervisor: FakeSupervisor, feed: FakeFeed | None = None, **api: Any) -> None:
        paths = places.resolve({"PILOTLIGHT_HOME": str(home)})
        paths.prepare()
        config = configuration.validate({"api": api}, "the test")
        self.feed = feed or FakeFeed()
        self.supervisor = supervisor
        self.app = create_app(config, paths, supervisor, self.feed)
        self.http = self.app.test_client()
        self.token = paths.token_file.read_text().strip()

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> TestResponse:
        """One request; `headers` are added to the token's, a header of None is left out."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        headers = {name: value for name, value in headers.items() if value is not None}
        if body is not None:
            options["data"] = msgspec.json.encode(body)
            options.setdefault("content_type", "application/json")
        return self.http.open(path, method=method, headers=headers, **options)
