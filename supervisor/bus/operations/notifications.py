"""The operations of notifications: recipients, their tests and rules, the log, the links of buttons."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from shared.bus import service_requests
from shared.bus.messages import VERSION, Request
from shared.bus.notifications import Rules
from shared.config import NotifyConfig
from shared.errors import Conflict, InvalidRequest, NotFound, PilotlightError, Unavailable
from supervisor.bus.operations.table import Row
from supervisor.notifications.channels.contract import Barred
from supervisor.notifications.links import EXTEND, Link
from supervisor.notifications.recipient import Recipient
from supervisor.notifications.recipients import id_of
from supervisor.notifications.service import Notifications

MAX_NOTICES = 1000
MAX_TARGET_BYTES = 8192
_OfRecipient = (
    service_requests.UpdateRecipient
    | service_requests.RecipientRef
    | service_requests.SetPresence
    | service_requests.NoticeReceipt
)
_SILENT = Rules(kinds=[])
"""A recipient that gets replies to its own messages, and nothing else."""


class NotificationOps:
    """The handlers. `handle` answers what a link stands for."""

    def __init__(
        self, service: Notifications, config: Callable[[], NotifyConfig], handle: Callable[[Request], Awaitable[Any]]
    ) -> None:
        self._service, self._config, self._handle = service, config, handle

    def rows(self) -> list[Row]:
        """What it answers."""
        return [
            ("recipient.list", service_requests.Nothing, self._list),
            ("recipient.add", service_requests.AddRecipient, self._add),
            ("recipient.update", service_requests.UpdateRecipient, self._update),
            ("recipient.remove", service_requests.RecipientRef, self._remove),
            ("recipient.test", service_requests.RecipientRef, self._test),
            ("recipient.presence", service_requests.SetPresence, self._presence),
            ("notification.key", service_requests.Nothing, self._key),
            ("notification.log", service_requests.ListNotices, self._log),
            ("notification.receipt", service_requests.NoticeReceipt, self._receipt),
            ("notification.link", service_requests.UseLink, self._link),
        ]

    # -- recipients ---------------------------------------------------------------------------------------------------

    async def _list(self, _: Any, __: Request) -> Any:
        return {"recipients": self._service.views()}

    async def _add(self, arguments: service_requests.AddRecipient, request: Request) -> Any:
        if len(msgspec.json.encode(arguments.target)) > MAX_TARGET_BYTES:
            raise InvalidRequest("`target` is too long.", code="invalid_target")
        if any(str(value).startswith("file:") for value in arguments.target.values()):
            raise InvalidRequest("Files are for channels of the configuration.", code="invalid_target")
        probe = Recipient(
            id=id_of(arguments.kind, arguments.target), kind=arguments.kind, name="", target=arguments.target
        )
        try:
            await self._service.courier.ask(lambda workshop: workshop.check(probe, self._config()))
        except Barred as error:
            raise InvalidRequest(str(error), code="destination_refused") from None
        except TimeoutError:
            raise _no_answer() from None
        recipient = self._service.recipients.register(
            arguments.kind, arguments.name, arguments.target, arguments.rules, request.actor
        )
        self._service.changed(recipient)
        return self._service.recipient_view(recipient)

    async def _update(self, arguments: service_requests.UpdateRecipient, request: Request) -> Any:
        self._check_owner(arguments, request)
        recipient = self._service.recipients.change(arguments.recipient_id, arguments.name, arguments.rules)
        self._service.changed(recipient)
        return self._service.recipient_view(recipient)

    async def _remove(self, arguments: service_requests.RecipientRef, request: Request) -> Any:
        self._check_owner(arguments, request)
        self._service.removed(self._service.recipients.remove(arguments.recipient_id))
        return {}

    async def _test(self, arguments: service_requests.RecipientRef, request: Request) -> Any:
        self._check_owner(arguments, request)
        return await self._service.test(self._service.recipients.get(arguments.recipient_id))

    async def _presence(self, arguments: service_requests.SetPresence, request: Request) -> Any:
        self._check_owner(arguments, request)
        recipient = self._service.recipients.seen(arguments.recipient_id)
        self._service.present(recipient, arguments.present)
        return self._service.recipient_view(recipient)

    def _check_owner(self, arguments: _OfRecipient, request: Request) -> None:
        if arguments.own:
            self._service.recipients.owned(arguments.recipient_id, request.actor)

    # -- what was told ---------------------------------------------------------------------------------------------

    async def _key(self, _: Any, __: Request) -> Any:
        try:
            return {"publicKey": await self._service.courier.ask(lambda shop: shop.public_key(self._config()))}
        except Barred as error:
            raise Conflict(str(error), code="web_push_not_configured") from None
        except TimeoutError:
            raise _no_answer() from None

    async def _log(self, arguments: service_requests.ListNotices, _: Request) -> Any:
        if not 1 <= arguments.limit <= MAX_NOTICES:
            raise InvalidRequest(f"`limit` must be between 1 and {MAX_NOTICES}.", code="invalid_limit")
        return {"notices": self._service.log(arguments.limit, arguments.recipient_id)}

    async def _receipt(self, arguments: service_requests.NoticeReceipt, request: Request) -> Any:
        self._check_owner(arguments, request)
        recipient = self._service.recipients.get(arguments.recipient_id)
        if self._service.received(recipient, arguments.key, arguments.step) is None:
            raise NotFound("This recipient was sent no such notification.", code="notice_not_found")
        return {}

    # -- answers and replies ---------------------------------------------------------------------------------------

    async def _link(self, arguments: service_requests.UseLink, request: Request) -> Any:
        link = self._service.links.redeem(arguments.token)
        recipient = self._service.recipients.find(link.recipient)
        order = msgspec.structs.replace(_order(link), actor=f"link:{recipient.name if recipient else 'removed'}")
        order = msgspec.structs.replace(order, deadline=request.deadline)
        try:
            await self._handle(order)
        except Conflict:
            who = self._service.links.who_answered(link.session, link.waiting)
            raise Conflict(
                f"It was answered already, by {who}." if who else "It does not wait for this any more.",
                code="answered_already",
                data={"by": who},
            ) from None
        except PilotlightError as error:
            if error.retryable:
                self._service.links.restore(arguments.token, link)
            raise
        return {"done": link.label or link.choice, "sessionId": link.session}

    def push_reply(self, message: str, token: str) -> bool:
        """Have what becomes of a message told to the device with this token. Whether it can be."""
        if self._config().apns is None:
            return False
        known = self._service.recipients.find(id_of("apns", {"token": token}))
        recipient = known or self._service.recipients.register(
            "apns", "A client's recipient", {"token": token}, _SILENT
        )
        self._service.wish_reply(message, recipient)
        return True


def _order(link: Link) -> Request:
    op, arguments = "session.answer", {"sessionId": link.session, "waitingId": link.waiting, "choice": link.choice}
    if link.choice == EXTEND:
        op, arguments = "session.keep_alive", {"sessionId": link.session}
    return Request(v=VERSION, id=uuid.uuid4().hex, op=op, args=arguments)


def _no_answer() -> Unavailable:
    return Unavailable("The channels do not answer: try again.", code="channels_busy")
