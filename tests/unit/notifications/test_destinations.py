"""Where notifications may go: nothing that a client names leads into the machine or its network."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from supervisor.notifications.channels.contract import Barred
from supervisor.notifications.channels.destinations import Destinations, check_push_endpoint, is_public
from supervisor.notifications.channels.http import Http, trust

BARRED = [
    "http://example.org/",
    "ftp://example.org/",
    "file:///etc/passwd",
    "https://127.0.0.1/",
    "https://[::1]:8443/",
    "https://10.1.2.3/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/",
    "https://[::ffff:10.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://user:secret@example.org/",
    "https://exa mple.org/",
    "https://example.org:99999/",
    "https:///path",
    "https://" + "a" * 3000 + ".org/",
    "javascript:alert(1)",
    "",
]


@pytest.mark.parametrize("url", BARRED)
def test_what_is_not_sent_to(url: str) -> None:
    with pytest.raises(Barred):
        Destinations().check(url)


def test_public_addresses_and_what_the_configuration_names() -> None:
    named = Destinations(private_hosts=("ntfy.lan", "10.1.0.0/16", "127.0.0.1"))

    Destinations().check("https://ntfy.sh/topic")
    Destinations().check("https://8.8.8.8/")
    named.check("http://ntfy.lan/")
    named.check("https://10.1.2.3:8443/")
    named.check("http://127.0.0.1:8080/")
    with pytest.raises(Barred):
        named.check("https://10.2.0.1/")
    assert named.admits("ntfy.lan", ipaddress.ip_address("192.168.7.7"))
    assert not named.admits("other.lan", ipaddress.ip_address("192.168.7.7"))
    assert named.admits("other.lan", ipaddress.ip_address("10.1.0.9"))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://fcm.googleapis.com/fcm/send/abc",
        "https://web.push.apple.com/abc",
        "https://updates.push.services.mozilla.com/wpush/v2/abc",
        "https://wns2-par02p.notify.windows.com/w/?token=abc",
        "https://push.example.org/x",
    ],
)
def test_endpoints_of_push_services(url: str) -> None:
    check_push_endpoint(url, ("push.example.org",), Destinations())


@pytest.mark.parametrize(
    "url",
    [
        "https://fcm.googleapis.com.evil.org/x",
        "https://evil.org/fcm.googleapis.com",
        "https://evilpush.apple.com.org/",
        "https://xpush.apple.com/",
        "https://push.example.org/x",
        "http://fcm.googleapis.com/x",
    ],
)
def test_endpoints_of_nobody(url: str) -> None:
    with pytest.raises(Barred):
        check_push_endpoint(url, (), Destinations())


async def test_a_name_that_leads_to_another_address_is_caught_where_the_connection_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The name looks public when it is checked, and is resolved once: to what is connected to."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Barred):
        await Http(Destinations(), trust(None)).request("POST", "https://rebound.example.org/", {})
    assert asked == ["rebound.example.org"]
