"""Which releases of Claude Code do what pilotlight needs: told by `doctor`, by the health check and at each start."""

from __future__ import annotations

import re

Release = tuple[int, int, int]

TESTED = ("2.1.197", "2.1.330")
"""What every test runs on."""

OLDEST: Release = (2, 1, 196)
"""The first whose hooks say which prompt they belong to (`prompt_id`): measured, docs/claude-cli.md, "Other releases"."""

WHY = "the hooks of earlier ones do not say which prompt they are about"


def parse(version: str | None) -> Release | None:
    """`2.1.330` as numbers; None when it is no version."""
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", version or "")
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def refusal(version: str | None) -> str | None:
    """Why a version cannot be used and what to do, in a sentence; None when it can, or is not known."""
    release = parse(version)
    if release is None or release >= OLDEST:
        return None
    oldest = ".".join(map(str, OLDEST))
    return f"Claude Code {version} is too old: {oldest} or newer is needed ({WHY}). `claude update` brings it."
