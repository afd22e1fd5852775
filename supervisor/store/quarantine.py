"""Files of ours that cannot be used as they are: renamed, so that they can be looked at and are in nobody's way."""

from __future__ import annotations

import time
from pathlib import Path


def set_aside(path: Path) -> Path:
    """Rename to `<name>.damaged-<time>`, beside its place; return where it is now. Raise OSError."""
    stamp = f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    moved, number = path.with_name(stamp), 0
    while moved.exists():
        number += 1
        moved = path.with_name(f"{stamp}-{number}")
    path.rename(moved)
    return moved
