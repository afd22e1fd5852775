"""What a session's row keeps under `options`, in parts by what they speak of: what its process is started with, what is true
of the process that there is, what is meant to be done, and what the next supervisor recognises by. None is ever changed in place.

In the database they are one flat object, as they were before they had types: databases of before are read, an earlier program
reads ours, and a member that we do not know is kept (`unknown`). One of ours that is not of its type is kept and not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

SETTINGS_CHANGED = "settings_changed"
"""Why a process is stale whose options were changed while it ran."""


class LaunchOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the next process is started with; flags of the command line."""

    model: str | None = None
    permission_mode: str | None = None
    effort: str | None = None
    add_dirs: tuple[str, ...] = ()
    mcp_config: str | None = None
    append_system_prompt: str | None = None


class ProcessFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is true of one process only."""

    release: str | None = None
    """The release of its CLI."""

    mode_now: str | None = None
    """The permission mode that it is in, as it was started or as its hooks say."""

    cwd: str | None = None
    """The folder that Claude is in, as its hooks say."""

    stale: str | None = None
    """Why it is to be replaced between two turns: `settings_changed`, `upgrade`, `folder_lost` or `hooks_off`."""

    changed: tuple[str, ...] = ()
    """The options that were changed since it was started; an earlier program does not say them."""

    last_end: str | None = None
    """What its SessionEnd hook gave as the reason."""

    printing: str | None = None
    """The one message that it was started for (`claude -p`); None: it is interactive."""

    withdrawing: str | None = None
    """The message whose prompt has no turn (any more), and which may come back into the box."""

    def awaits(self, option: str) -> bool:
        """Whether another value of this option was chosen for the next process: what this one tells of its own is old."""
        return option in self.changed if self.changed else self.stale == SETTINGS_CHANGED

    def outdated(self, options: Iterable[str]) -> ProcessFacts:
        """The same when other values of these options are for the next one."""
        changed = tuple(sorted({*self.changed, *options}))
        return msgspec.structs.replace(self, stale=SETTINGS_CHANGED, changed=changed)


class Stop(msgspec.Struct, frozen=True):
    """A stop that is under way: the state that it leads to, and why. An earlier program wants all of it."""

    to: str
    cause: str = "stopped"
    reason: str | None = None


class Planned(msgspec.Struct, frozen=True):
    """A chat's mode has put it into plan mode; the permission mode that it had `before`."""

    before: str | None = None


class Intent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is meant to be done with the session, and goes on after a restart of ours."""

    stop: Stop | None = None
    planned: Planned | None = None
    recording: bool | None = None
    """Whether it is recorded; None: as the configuration says."""


class Remembered(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the next supervisor recognises by."""

    spoken: str | None = None
    """The conversation in which Claude has answered."""

    appearances: int = 0
    """How many dialogs it has shown."""

    asked_look: tuple[str, int | None] | None = None
    """What the dialog that is up looks like: identity, and since when Claude waits."""

    stamped: tuple[str, int] | None = None
    """The id of the last dialog of which Claude has said since when it waits, and that."""

    asked_since: int | None = None
    """Since when it asks what it asks. A dialog on the screen does not say it."""

    hooks_off: bool = False
    """Its last process had no hooks."""

    begun_behind: str | None = None
    """The prompt that was the last one heard of when the present conversation began in the same process (`/clear`)."""


KINDS: dict[str, type[msgspec.Struct]] = {
    "launch": LaunchOptions,
    "process": ProcessFacts,
    "intent": Intent,
    "remembered": Remembered,
}
"""The fields of a record that are stored together, under `options`."""

_MEMBERS: dict[type[msgspec.Struct], dict[str, Any]] = {
    kind: {field.name: field.type for field in msgspec.structs.fields(kind)} for kind in KINDS.values()
}
"""Name and type of each member. Looked up once: that costs ten times what it takes to read a record."""


def flat(parts: Iterable[msgspec.Struct], unknown: Mapping[str, Any]) -> dict[str, Any]:
    """As they are stored, with what a later version has written among them."""
    found = dict(unknown)
    for part in parts:
        found |= msgspec.to_builtins(part)
    return found


def of_flat(stored: Mapping[str, Any]) -> dict[str, Any]:
    """As they were stored, by this or another version: the fields of a record."""
    rest = dict(stored)
    found = {name: _part(kind, rest) for name, kind in KINDS.items()}
    return {**found, "unknown_options": rest}


def _part(kind: type[msgspec.Struct], rest: dict[str, Any]) -> msgspec.Struct:
    """The members of one part, taken out of the rest; what is not of its type stays there."""
    found: dict[str, Any] = {}
    for name, of_its_type in _MEMBERS[kind].items():
        if name in rest:
            try:
                found[name] = msgspec.convert(rest[name], of_its_type)
            except msgspec.ValidationError:
                continue
            del rest[name]
    return kind(**found)
