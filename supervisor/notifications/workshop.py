"""Channels made from registrations and configuration, on the courier's thread: what is costly is made once and kept.

The libraries of the `push` extra are loaded here, when the first channel needs them: a supervisor that notifies nobody does
not carry them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from shared.config import ApnsConfig, NotifyConfig
from supervisor.notifications.channels.contract import Barred, Channel
from supervisor.notifications.channels.destinations import Destinations
from supervisor.notifications.recipient import Recipient

if TYPE_CHECKING:
    from supervisor.notifications.channels.apns import Provider
    from supervisor.notifications.channels.apprise import Threads
    from supervisor.notifications.channels.http import Http
    from supervisor.notifications.channels.webpush import Vapid


class Workshop:
    """Makes channels. `key_file` is where the key for Web Push is."""

    def __init__(self, key_file: Path) -> None:
        self._key_file = key_file
        self._clients: dict[Any, Http] = {}
        self._providers: dict[ApnsConfig, Provider] = {}
        self._vapid: Vapid | None = None
        self._threads: Threads | None = None

    def make(self, recipient: Recipient, config: NotifyConfig) -> Channel:
        """The way to this recipient. Raise Barred, with what to do, when there is none."""
        try:
            return self._make(recipient, config)
        except ImportError as error:
            raise Barred(f"{error.name} is not installed: pip install 'pilotlight[push]'.") from None
        except msgspec.ValidationError as error:
            raise Barred(f"The registration is not complete: {error}.") from None
        except KeyError as error:
            raise Barred(f"The registration is not complete: {error} is missing.") from None

    def public_key(self, config: NotifyConfig) -> str:
        """What a browser subscribes with. Raise Barred."""
        try:
            return self._our_key(config).public
        except ImportError as error:
            raise Barred(f"{error.name} is not installed: pip install 'pilotlight[push]'.") from None

    def check(self, recipient: Recipient, config: NotifyConfig) -> None:
        """Raise Barred when nothing could ever be sent there."""
        self.make(recipient, config)
        destinations = Destinations(tuple(config.private_hosts))
        if recipient.kind == "webpush":
            from supervisor.notifications.channels.webpush import Subscription, check_subscription

            subscription = msgspec.convert(recipient.target, Subscription)
            check_subscription(subscription, tuple(config.push_hosts), destinations)
        elif recipient.kind in ("ntfy", "webhook"):
            from supervisor.notifications.secrets import reveal

            destinations.check(reveal(recipient.target["server" if recipient.kind == "ntfy" else "url"]))

    async def close(self) -> None:
        """Let go of all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()

    def _make(self, recipient: Recipient, config: NotifyConfig) -> Channel:
        target = recipient.target
        if recipient.kind == "command":
            from supervisor.notifications.channels.command import Command

            return Command(list(config.command))
        from supervisor.notifications.secrets import reveal, signing_key

        def secret(name: str) -> str | None:
            return reveal(target[name]) if target.get(name) else None

        if recipient.kind == "apprise":
            from supervisor.notifications.channels.apprise import Apprise, Threads

            self._threads = self._threads or Threads()
            return Apprise(reveal(target["address"]), self._threads)
        if recipient.kind == "apns":
            from supervisor.notifications.channels.apns import HOSTS, Apns, Provider

            apns = config.apns
            if apns is None:
                raise Barred("notify.apns is not configured.")
            provider = self._providers.get(apns)
            if provider is None:
                key = signing_key(Path(apns.key_file))
                provider = self._providers[apns] = Provider(key, apns.key_id, apns.team_id)
            host = apns.url or HOSTS[target.get("environment") or apns.environment]
            return Apns(self._client(config, http2=True), provider, host, apns.topic, str(target["token"]))
        client = self._client(config)
        if recipient.kind == "webpush":
            from supervisor.notifications.channels.webpush import Subscription, WebPush

            subscription = msgspec.convert(target, Subscription)
            return WebPush(client, subscription, self._our_key(config), tuple(config.push_hosts))
        if recipient.kind == "ntfy":
            from supervisor.notifications.channels.ntfy import Ntfy

            return Ntfy(client, reveal(target["server"]), str(target["topic"]), secret("token"))
        from supervisor.notifications.channels.webhook import Webhook

        return Webhook(client, reveal(target["url"]), secret("secret"), target.get("form") or "json")

    def _our_key(self, config: NotifyConfig) -> Vapid:
        from supervisor.notifications.channels.webpush import Vapid, check_subject
        from supervisor.notifications.secrets import own_key

        if config.contact is None:
            raise Barred("notify.contact is not set: push services want a mailto: or https: address of whoever sends.")
        check_subject(config.contact)
        if self._vapid is None or self._vapid.subject != config.contact:
            self._vapid = Vapid(own_key(self._key_file), config.contact)
        return self._vapid

    def _client(self, config: NotifyConfig, http2: bool = False) -> Http:
        from supervisor.notifications.channels.http import Http, trust

        key = (tuple(config.private_hosts), config.ca_file, http2)
        if key not in self._clients:
            destinations = Destinations(tuple(config.private_hosts))
            try:
                context = trust(config.ca_file)
            except OSError as error:
                raise Barred(f"notify.ca_file cannot be used: {error}.") from None
            self._clients[key] = Http(destinations, context, http2)
        return self._clients[key]
