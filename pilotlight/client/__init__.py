"""A client of pilotlight's HTTP API, without a library: `Client`, and `AsyncClient` for asyncio. `docs/client.md` explains it."""

from __future__ import annotations

from pilotlight.client import shapes
from pilotlight.client.asynchronous import AsyncClient
from pilotlight.client.errors import (
    Busy,
    ClientError,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Refused,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from pilotlight.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Busy",
    "Client",
    "ClientError",
    "Conflict",
    "Forbidden",
    "InvalidRequest",
    "NotFound",
    "Refused",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
    "shapes",
]
