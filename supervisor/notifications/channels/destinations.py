"""Where notifications may go: an address that a client names must not turn pilotlight into a way into its own network.

Only `https`, only public addresses, checked when the connection is made and for the address that it is made to, so that a
name which resolves to another one the second time gains nothing. What the configuration names (`notify.private_hosts`: names,
addresses or networks) may be private, and may be `http`. Redirects are never followed. Pure but for the configuration given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from supervisor.notifications.channels.contract import Barred

MAX_URL = 2048
PUSH_HOSTS = (
    "fcm.googleapis.com",
    "*.push.apple.com",
    "*.push.services.mozilla.com",
    "*.notify.windows.com",
)
"""The push services of the browsers."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Destinations:
    """The rules of one configuration."""

    private_hosts: tuple[str, ...] = ()

    def check(self, url: str) -> SplitResult:
        """The parts of an address that may be sent to. Raise Barred. Where its name leads is checked by `admits`."""
        parts = _split(url)
        named = self.names(parts.hostname or "")
        if parts.scheme != "https" and not (parts.scheme == "http" and named):
            raise Barred("Only https is sent to (http where notify.private_hosts names the host).")
        address = _address(parts.hostname or "")
        if address is not None and not self.admits(parts.hostname or "", address):
            raise Barred(f"{address} is a private address, and notify.private_hosts does not name it.")
        return parts

    def names(self, host: str) -> bool:
        """Whether the configuration names this host, or a network that it is an address of."""
        address = _address(host)
        return any(
            host.lower().rstrip(".") == entry.lower() or (address is not None and _within(address, entry))
            for entry in self.private_hosts
        )

    def admits(self, host: str, address: Address) -> bool:
        """Whether a connection for this host may go to this address."""
        return self.names(host) or is_public(address) or any(_within(address, e) for e in self.private_hosts)


def is_public(address: Address) -> bool:
    """Whether this is an address of the open Internet, also behind the translations of IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def check_push_endpoint(url: str, hosts: Iterable[str], destinations: Destinations) -> SplitResult:
    """The parts of a web push endpoint. Raise Barred when it is not one of a push service, or of what is configured."""
    parts = destinations.check(url)
    host = (parts.hostname or "").lower()
    if not any(_fits(host, pattern.lower()) for pattern in (*PUSH_HOSTS, *hosts)):
        raise Barred(f"{host} is no push service that pilotlight knows; notify.push_hosts may name it.")
    return parts


def _split(url: str) -> SplitResult:
    if len(url) > MAX_URL or any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise Barred("This is no address: it is too long, or has characters in it that no address has.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Barred(f"This is no address: {error}.") from None
    if not parts.hostname or port == 0:
        raise Barred("This is no address: a host is missing.")
    if parts.username is not None or parts.password is not None:
        raise Barred("An address with a name or password in it is not sent to: give a token beside it.")
    return parts


def _fits(host: str, pattern: str) -> bool:
    return host == pattern or (pattern.startswith("*.") and host.endswith(pattern[1:]) and len(host) > len(pattern) - 1)


def _address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _within(address: Address, entry: str) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
