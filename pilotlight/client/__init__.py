"""A client of pilotlight's HTTP API, without a library: `Client`, and `AsyncClient` for asyncio. `docs/client.md` explains it.

asynchronous  `AsyncClient`
errors        what a call can raise
shapes        what is answered, as types
synchronous   `Client`
transport     requests that survive a restart

May import: nothing.

1. A call that is repeated is done once. (tests/clients/test_python_client.py)
2. Its shapes are those of the OpenAPI document. (tests/clients/test_python_client.py)
"""

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
