"""The arguments of the operations on the supervisor itself: events, samples, settings, rules, and whom it notifies.

`shared.bus.operations` says who may ask for which, `docs/bus.md` explains them. What must not regress: an unknown field is
refused; a field is added, never given another meaning.
"""

from __future__ import annotations

from typing import Any, Literal

from shared.bus.messages import Wire
from shared.bus.notifications import Rules


class EventsSince(Wire, frozen=True, forbid_unknown_fields=True):
    """`events.since` -> {epoch, head, oldest, events, gap}; `gap` is true when `seq + 1` is no longer kept."""

    seq: int = 0
    limit: int = 500
    session_id: str | None = None
    kinds: list[str] | None = None


class EventsPage(Wire, frozen=True, forbid_unknown_fields=True):
    """`events.page` -> {events, next, epoch}: the journal backwards, newest first. `next` is the `before` of the page behind
    it; null at its end. `actor`: what this one did, as in `device:Ada's phone`."""

    before: int | None = None
    limit: int = 100
    session_id: str | None = None
    kinds: list[str] | None = None
    actor: str | None = None


class SamplesRequest(Wire, frozen=True, forbid_unknown_fields=True):
    """`samples` -> {span, total: [Sample], sessions: {id: [Sample]}}: what was measured, oldest first. `sessions` has each live
    session's last hour when `each` is true."""

    span: Literal["hour", "day", "fortnight"] = "hour"
    each: bool = False


class ListFolders(Wire, frozen=True, forbid_unknown_fields=True):
    """`folders.list` -> {path, parent, folders: [{path, name, kind}], roots}: where a session may be opened. Without a path the
    recent and the trusted ones; with one what begins like it, within `roots`."""

    path: str | None = None
    limit: int = 50


class AddRule(Wire, frozen=True, forbid_unknown_fields=True):
    """`rule.add` -> RuleView: an answer given in advance from now on, beside those of the configuration file
    (`permissions.rules`). One that refuses wins over one that allows."""

    tool: str
    answer: Literal["allow", "deny"]
    pattern: str = "*"
    message: str | None = None


class RuleRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`rule.remove` -> {}: one that was added at run time counts no more."""

    rule_id: str


class Nothing(Wire, frozen=True, forbid_unknown_fields=True):
    """No arguments: `ping`, `status`, `health`, `metrics`, `settings.get`; `rule.list` -> {rules: [RuleView]};
    `recipient.list` -> {recipients: [RecipientView]}; `notification.key` -> {publicKey}: what a browser subscribes with."""


class RefusedCall(Wire, frozen=True, forbid_unknown_fields=True):
    """`audit.refused` -> {}: the API has refused a call whose token has too small a scope. On this machine only."""

    call: str
    needed: str
    scope: str
    session_id: str | None = None


class Shutdown(Wire, frozen=True, forbid_unknown_fields=True):
    """`shutdown` -> {stopped}: end the supervisor, and with `sessions` every process tree first."""

    sessions: bool = False


class SettingsPatch(Wire, frozen=True, forbid_unknown_fields=True):
    """`settings.patch` -> the settings in force; keys as in the configuration file, `section.key: value`."""

    values: dict[str, Any]


class AddRecipient(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.add` -> RecipientView: a browser, a phone or a service that is told from now on; the same `target` again
    is the same recipient, and keeps its rules unless others are given.

    `target`: of `webpush` what `PushSubscription.toJSON()` gives; of `ntfy` {server, topic, token?}; of `webhook` {url, secret?,
    form?: json | slack | teams}; of `apns` {token, environment?}. It is not shown again.
    """

    kind: Literal["webpush", "ntfy", "webhook", "apns"]
    name: str
    target: dict[str, Any]
    rules: Rules | None = None


class UpdateRecipient(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.update` -> RecipientView: another name, or other rules (all of them)."""

    recipient_id: str
    name: str | None = None
    rules: Rules | None = None
    own: bool = False


class RecipientRef(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.test` -> TestResult: one notification, past all rules. `recipient.remove` -> {}. `own`, here and where it stands
    beside: only when whoever asks has registered it, as for everybody below the scope `admin`."""

    recipient_id: str
    own: bool = False


class SetPresence(Wire, frozen=True, forbid_unknown_fields=True):
    """`recipient.presence` -> RecipientView: somebody looks at this device (believed for 75 s), or does not any more."""

    recipient_id: str
    present: bool
    own: bool = False


class ListNotices(Wire, frozen=True, forbid_unknown_fields=True):
    """`notification.log` -> {notices: [NoticeView]}: what was told, and what was not and why, newest first."""

    limit: int = 100
    recipient_id: str | None = None


class NoticeReceipt(Wire, frozen=True, forbid_unknown_fields=True):
    """`notification.receipt` -> {}: the device has received, or shown, the notification with this `key`."""

    recipient_id: str
    key: str
    step: Literal["received", "shown"]
    own: bool = False


class UseLink(Wire, frozen=True, forbid_unknown_fields=True):
    """`notification.link` -> {done, sessionId}: what the link of a notification's button stands for. Once."""

    token: str
