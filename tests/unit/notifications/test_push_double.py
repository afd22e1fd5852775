"""The push service of the tests leaves nothing behind that speaks up later, in a test that has nothing to do with it."""

from __future__ import annotations

import asyncio
import gc
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.push_double import HANG, Double, push_service

ENDING_SECONDS = 0.4


class Slow(Double):
    """One whose requests take their time to end, as on a machine with other work."""

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
            await asyncio.sleep(10 * ENDING_SECONDS if scope["type"] == "http" else 0)
        except asyncio.CancelledError:
            await asyncio.sleep(ENDING_SECONDS)
            raise


class Told(logging.Handler):
    """What was said, and nothing of what it was about: that would be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.words.append(record.getMessage())


def test_a_connection_that_ends_slowly_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    monkeypatch.setattr(logging.getLogger("asyncio"), "handlers", [told])
    monkeypatch.setattr(logging.getLogger("asyncio"), "propagate", False)
    monkeypatch.setattr("tests.push_double.Double", Slow)

    async def asked() -> None:
        async with push_service(tmp_path) as double:
            double.will(HANG)
            port = int(double.url.rpartition(":")[2])
            context = ssl.create_default_context(cafile=double.ca_file)
            _reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
            writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            await double.requests(1)
        writer.close()

    asyncio.run(asked())
    gc.collect()
    assert [words for words in told.words if "never retrieved" in words] == []
