"""Which release of the CLI a program is: one that is too old is refused at the start of a session, by name, since every
message to it would end with a wrong fate.

`learn` asks `--version` in a clean environment, once for each program as it is on the disk now. A program that does not
say what it is, is taken for a present one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping

from shared.errors import StartFailed
from shared.releases import refusal

VERSION_SECONDS = 10.0

_Stamp = tuple[str, int, int, int]
_learned: dict[_Stamp, str | None] = {}


def _stamp(program: str) -> _Stamp | None:
    try:
        path = os.path.realpath(program)
        seen = os.stat(path)
    except OSError:
        return None
    return path, seen.st_mtime_ns, seen.st_size, seen.st_ino


def known(program: str) -> str | None:
    """What the program has called its version when it was asked; None when it was not."""
    stamp = _stamp(program)
    return _learned.get(stamp) if stamp is not None else None


def refuse_old(program: str) -> None:
    """Raise StartFailed when the program is known to be too old; it says which release is needed."""
    reason = refusal(known(program))
    if reason is not None:
        raise StartFailed(f"{program}: {reason}", code="claude_too_old")


async def learn(program: str, environment: Mapping[str, str], again: bool = False) -> str | None:
    """What the program calls its version; None when it does not say it in time. `again` asks even one that was asked:
    what a wrapper starts may have been updated, and one that was too old always may."""
    stamp = _stamp(program)
    if stamp is None:
        return None
    if again or stamp not in _learned or refusal(_learned[stamp]) is not None:
        told = await _ask(program, environment)
        _learned[stamp] = told if told is not None else _learned.get(stamp)
    return _learned[stamp]


async def _ask(program: str, environment: Mapping[str, str]) -> str | None:
    try:
        child = await asyncio.create_subprocess_exec(
            program,
            "--version",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(environment),
            cwd="/",
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        async with asyncio.timeout(VERSION_SECONDS):
            output, _ = await child.communicate()
    except TimeoutError:
        return None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    words = output.decode("utf-8", "replace").split()
    return words[0] if words and words[0][:1].isdigit() else None
