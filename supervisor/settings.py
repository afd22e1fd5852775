"""Settings that change at run time: validated like the file, stored, published, in force at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import msgspec

from shared.bus import service_events, trouble_events
from shared.bus.messages import RuleView
from shared.bus.service_requests import AddRule
from shared.config import Config, typed, validate
from shared.errors import InvalidRequest
from supervisor.store.run_time_rules import RunTimeRules
from supervisor.store.store import Store

CHANGEABLE = ("sessions", "limits", "health", "events", "notify", "chat")
"""Sections that a client may change; what decides who may do what, or what is run, is changed in the file only."""

FROZEN = frozenset(
    f"notify.{name}"
    for name in ("command", "channels", "contact", "url", "private_hosts", "push_hosts", "ca_file", "apns")
) | {"sessions.browse_roots", "chat.mentions"}
HIDDEN = frozenset({"notify.channels", "notify.apns"})
"""What has secrets in it."""

_KEY = "settings"


class Settings:
    """The configuration in force: the file and environment below, what clients changed above."""

    def __init__(self, base: Config, store: Store) -> None:
        self._base = base
        self._store = store
        self.listeners: list[Callable[[], None]] = []
        self._unusable: list[str] = []
        self._added = RunTimeRules(store)
        self._changed = self._usable(store.meta(_KEY))
        self.config = self._added.apply(self._merge(self._changed))

    def report_unusable(self, log: logging.Logger) -> None:
        """Say what of that which was changed at run time cannot be used, if so: the file's settings are in force there, and
        the next change writes over it."""
        for reason in self._unusable:
            log.warning("settings_ignored", extra={"fields": {"why": reason}})
        if self._unusable:
            self._store.append(trouble_events.Quarantined(what="settings", reason=" ".join(self._unusable)))
            self._unusable = []

    def view(self) -> dict[str, Any]:
        """Every changeable key with its value, which of them were changed at run time, and what the file says of those."""
        tree = msgspec.to_builtins(self.config)
        flat = {f"{section}.{key}": value for section in CHANGEABLE for key, value in tree[section].items()}
        flat = {name: value for name, value in flat.items() if name not in HIDDEN}
        file = msgspec.to_builtins(self._base)
        theirs = {name: file[name.partition(".")[0]][name.partition(".")[2]] for name in self._changed}
        return {"settings": flat, "changed": sorted(self._changed), "file": theirs}

    async def rules(self) -> list[RuleView]:
        """What is answered without a person: the file's rules, then those of run time."""
        return await self._added.view(self._base)

    def add_rule(self, asked: AddRule, actor: str) -> RuleView:
        """One more, in force at once. Raise InvalidRequest, Conflict."""
        made = self._added.add(asked, actor)
        self.config = self._added.apply(self._merge(self._changed))
        return made

    def remove_rule(self, rule_id: str, actor: str) -> None:
        """One of run time less. Raise NotFound."""
        self._added.remove(rule_id, actor)
        self.config = self._added.apply(self._merge(self._changed))

    def patch(self, values: dict[str, Any], actor: str) -> dict[str, Any]:
        """Change keys (`section.key`; null takes a change back). Raise InvalidRequest, changing nothing, when one is wrong."""
        changed = dict(self._changed)
        for name, value in values.items():
            section, _, key = name.partition(".")
            if name in FROZEN:
                raise InvalidRequest(
                    f"{name!r} is set in the configuration file only: it says what is run, read or shown, or where to.",
                    code="unknown_setting",
                )
            if section not in CHANGEABLE or not key:
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
            self._store.append(service_events.SettingsChanged(values=values, by=actor))
        self._changed, self.config = changed, self._added.apply(config)
        for listener in self.listeners:
            listener()
        return self.view()

    def _usable(self, stored: str | None) -> dict[str, Any]:
        """Of what was stored, maybe under other bounds, what can still be used; the reasons for the rest are kept."""
        try:
            changed = msgspec.json.decode(stored, type=dict[str, Any]) if stored else {}
        except msgspec.DecodeError as error:
            self._unusable.append(str(error))
            return {}
        for name in list(changed):
            try:
                typed(self._tree({name: changed[name]}), f"settings: {name} is ignored")
            except InvalidRequest as error:
                self._unusable.append(error.message)
            except KeyError:
                self._unusable.append(f"settings: {name} is ignored: there is no such setting.")
            else:
                continue
            del changed[name]
        try:
            self._merge(changed)
        except InvalidRequest as error:
            self._unusable.append(error.message)
            return {}
        return changed

    def _tree(self, changed: dict[str, Any]) -> dict[str, Any]:
        tree: dict[str, Any] = msgspec.to_builtins(self._base)
        for name, value in changed.items():
            section, _, key = name.partition(".")
            tree[section][key] = value
        return tree

    def _merge(self, changed: dict[str, Any]) -> Config:
        return validate(self._tree(changed), "settings")
