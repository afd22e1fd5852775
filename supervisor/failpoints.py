"""Named points at which a test can hold the supervisor, so that crashes hit the step they are meant to hit.

With `PILOTLIGHT_PAUSE_DIR` set, reaching the point NAME while a file `NAME.hold` exists there creates `NAME.reached` and
waits until the hold is removed. Without the variable, which is always outside tests, a point costs one comparison.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

_DIRECTORY = os.environ.get("PILOTLIGHT_PAUSE_DIR")


def stops_at(name: str) -> bool:
    """Whether a test holds `name`, for code that cannot wait but can do it later."""
    if _DIRECTORY is None or not (Path(_DIRECTORY) / f"{name}.hold").exists():
        return False
    (Path(_DIRECTORY) / f"{name}.reached").touch()
    return True


async def failpoint(name: str) -> None:
    """Wait here while a test holds `name`."""
    if _DIRECTORY is None:
        return
    while stops_at(name):
        await asyncio.sleep(0.005)
