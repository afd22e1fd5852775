"""Settings that change at run time: validated like the file, stored, published, in force at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from shared.config import Config, validate
from shared.errors import InvalidRequest
from supervisor.store import Store

CHANGEABLE = ("sessions", "limits", "health", "events", "notify")
"""Sections that a client may change; what decides who may do what, or what is run, is changed in the file only."""

FROZEN = frozenset({"notify.command"})
_KEY = "settings"


class Settings:
    """The configuration in force: the file and environment below, what clients changed above."""

    def __init__(self, base: Config, store: Store) -> None:
        self._base = base
        self._store = store
        self.listeners: list[Callable[[], None]] = []
        stored = store.meta(_KEY)
        self._unusable: str | None = None
        self._changed: dict[str, Any] = {}
        self.config = base
        try:
            changed = msgspec.json.decode(stored, type=dict[str, Any]) if stored else {}
            self.config = self._merge(changed)
            self._changed = changed
        except (msgspec.DecodeError, KeyError, InvalidRequest) as error:
            self._unusable = str(error)

    def confess(self) -> None:
        """Say that what was changed at run time cannot be used, if so: the file's settings are in force, and the next
        change writes over it."""
        if self._unusable is not None:
            self._store.append("quarantined", None, {"what": "settings", "reason": self._unusable})
            self._unusable = None

    def view(self) -> dict[str, Any]:
        """Every changeable key with its value, and which of them were changed at run time."""
        tree = msgspec.to_builtins(self.config)
        flat = {f"{section}.{key}": value for section in CHANGEABLE for key, value in tree[section].items()}
        return {"settings": flat, "changed": sorted(self._changed)}

    def patch(self, values: dict[str, Any], actor: str) -> dict[str, Any]:
        """Change keys (`section.key`; null takes a change back). Raise InvalidRequest, changing nothing, when one is wrong."""
        changed = dict(self._changed)
        for name, value in values.items():
            section, _, key = name.partition(".")
            if section not in CHANGEABLE or not key or name in FROZEN:
                raise InvalidRequest(
                    f"{name!r} cannot be changed at run time. Changeable: keys of {', '.join(CHANGEABLE)}.",
                    code="unknown_setting",
                )
            if value is None:
                changed.pop(name, None)
            else:
                changed[name] = value
        config = self._merge(changed)
        with self._store.transaction(durable=True):
            self._store.set_meta(_KEY, msgspec.json.encode(changed).decode())
            self._store.append("settings", None, {"values": values, "by": actor})
        self._changed, self.config = changed, config
        for listener in self.listeners:
            listener()
        return self.view()

    def _merge(self, changed: dict[str, Any]) -> Config:
        tree = msgspec.to_builtins(self._base)
        for name, value in changed.items():
            section, _, key = name.partition(".")
            tree[section][key] = value
        return validate(tree, "settings")
