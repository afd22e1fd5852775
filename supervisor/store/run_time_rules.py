"""Answers given in advance that were added at run time, beside those of the configuration file.

What must not regress: they are in force at once and after a restart; the file's own are never changed here; who added one is kept
with it; what cannot be read any more is in force for nobody, rather than half of it for everybody.
"""

from __future__ import annotations

import secrets

import msgspec
from msgspec.structs import replace

from shared.bus import service_events
from shared.bus.messages import RuleView
from shared.bus.service_requests import AddRule
from shared.config import Config, PermissionRule
from shared.errors import Conflict, InvalidRequest, NotFound
from supervisor.store.store import Store, now_ms

MOST = 200
MOST_CHARACTERS = 2000
JOURNAL = 5000
"""How many of the last answers are looked at for how often each was used."""

_KEY = "rules"


class RunTimeRules:
    """Kept in the database; `apply` puts them behind the file's."""

    def __init__(self, store: Store) -> None:
        self._store = store
        try:
            self._rules = msgspec.json.decode(store.meta(_KEY) or "[]", type=list[RuleView])
        except msgspec.DecodeError:
            self._rules = []

    def apply(self, config: Config) -> Config:
        """The configuration with these in it."""
        if not self._rules:
            return config
        return replace(
            config, permissions=replace(config.permissions, rules=[*config.permissions.rules, *map(_rule, self._rules)])
        )

    async def view(self, config: Config) -> list[RuleView]:
        """The file's, then those of run time; `config` is the one without them."""
        used = await self._used()
        said = [
            RuleView(tool=r.tool, answer=r.answer, pattern=r.pattern, message=r.message)
            for r in config.permissions.rules
        ]
        return [replace(rule, used=used.get((rule.tool, rule.pattern), 0)) for rule in [*said, *self._rules]]

    def add(self, asked: AddRule, actor: str) -> RuleView:
        """One more. Raise InvalidRequest for one that says nothing, Conflict when there is the same already, or too many."""
        for name, text in (("tool", asked.tool), ("pattern", asked.pattern)):
            if not text.strip() or len(text) > MOST_CHARACTERS:
                raise InvalidRequest(
                    f"`{name}` must be a text of 1 to {MOST_CHARACTERS} characters.", code="invalid_rule"
                )
        wanted = (asked.tool, asked.pattern, asked.answer)
        if any((rule.tool, rule.pattern, rule.answer) == wanted for rule in self._rules):
            raise Conflict("There is this very rule already.", code="rule_exists")
        if len(self._rules) >= MOST:
            raise Conflict(
                f"There are {MOST} rules already: remove some, or put them into the file.", code="too_many_rules"
            )
        made = RuleView(
            tool=asked.tool, answer=asked.answer, pattern=asked.pattern, message=asked.message,
            id=f"r_{secrets.token_hex(4)}", by=actor, at=now_ms(),
        )  # fmt: skip
        self._save([*self._rules, made], made, "added", actor)
        return made

    def remove(self, rule_id: str, actor: str) -> None:
        """One less. Raise NotFound; the file's have no id."""
        gone = next((rule for rule in self._rules if rule.id == rule_id), None)
        if gone is None:
            raise NotFound(
                f"There is no rule {rule_id!r} that was added at run time; those of the file are changed there.",
                code="rule_not_found",
            )
        self._save([rule for rule in self._rules if rule is not gone], gone, "removed", actor)

    def _save(self, rules: list[RuleView], rule: RuleView, what: str, actor: str) -> None:
        said = {"what": what, "id": rule.id, "tool": rule.tool, "pattern": rule.pattern, "answer": rule.answer}
        with self._store.transaction(durable=True):
            self._store.set_meta(_KEY, msgspec.json.encode(rules).decode())
            self._store.append(service_events.SettingsChanged(values={"permissions.rules": said}, by=actor))
        self._rules = rules

    async def _used(self) -> dict[tuple[str, str], int]:
        counts: dict[tuple[str, str], int] = {}
        for event in await self._store.find_events_before(None, JOURNAL, None, ["answered"], "policy"):
            rule = event.data.get("rule") or {}
            name = (str(rule.get("tool")), str(rule.get("pattern")))
            counts[name] = counts.get(name, 0) + 1
        return counts


def _rule(view: RuleView) -> PermissionRule:
    return PermissionRule(tool=view.tool, answer=view.answer, pattern=view.pattern, message=view.message)
