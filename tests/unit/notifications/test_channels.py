"""Every channel against a service on loopback that speaks its protocol: what is sent is checked as the receiver would, and what
the receiver says becomes the right outcome."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from time import time
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from supervisor.notifications.channels.apns import Apns, Provider
from supervisor.notifications.channels.contract import (
    Channel,
    Delivered,
    Gone,
    Note,
    Refused,
    Retry,
    attempt,
)
from supervisor.notifications.channels.destinations import Destinations
from supervisor.notifications.channels.encryption import decode, encode, public_bytes, public_key
from supervisor.notifications.channels.http import MAX_ANSWER_BYTES, Http, trust
from supervisor.notifications.channels.ntfy import Ntfy, sequence
from supervisor.notifications.channels.webhook import Webhook
from supervisor.notifications.channels.webpush import MAX_PLAINTEXT, Subscription, Vapid, WebPush
from tests.push_double import FLOOD, HANG, Answer, Double, Seen, push_service
from tests.unit.notifications.note import NOTE
from tests.unit.notifications.test_web_push import decrypt

LOOPBACK = Destinations(private_hosts=("localhost", "127.0.0.1"))
BROWSER = ec.generate_private_key(ec.SECP256R1())
SECRET = b"0123456789abcdef"
VAPID = Vapid(ec.generate_private_key(ec.SECP256R1()), "mailto:ada@example.org")
TEAM = ec.generate_private_key(ec.SECP256R1())


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Double]:
    async with push_service(tmp_path) as double:
        yield double


def subscription(url: str) -> Subscription:
    keys = {"p256dh": encode(public_bytes(BROWSER.public_key())), "auth": encode(SECRET)}
    return Subscription(endpoint=f"{url}/push/1", keys=keys)


def webhook(http: Http, url: str) -> Channel:
    return Webhook(http, f"{url}/hook", "whsec_" + base64.b64encode(b"k" * 24).decode())


def ntfy(http: Http, url: str) -> Channel:
    return Ntfy(http, url, "my topic", token="tk_secret")


def webpush(http: Http, url: str) -> Channel:
    return WebPush(http, subscription(url), VAPID, hosts=("localhost",))


def apns(http: Http, url: str) -> Channel:
    return Apns(http, Provider(TEAM, "KEY1", "TEAM1"), url, "org.example.app", "abcd1234")


@pytest_asyncio.fixture
async def client(service: Double) -> AsyncIterator[Callable[..., Http]]:
    """Makes clients that trust the service, and closes them."""
    made: list[Http] = []

    def make(http2: bool = False, destinations: Destinations = LOOPBACK, context: ssl.SSLContext | None = None) -> Http:
        made.append(Http(destinations, context or trust(service.ca_file), http2))
        return made[-1]

    yield make
    for http in made:
        await http.close()


@dataclass(frozen=True)
class Kind:
    """One channel, and what of its service's answers is particular to it."""

    make: Callable[[Http, str], Channel]
    gone: Answer
    http2: bool = False


KINDS = {
    "webhook": Kind(webhook, Answer(410)),
    "ntfy": Kind(ntfy, Answer(410)),
    "webpush": Kind(webpush, Answer(404)),
    "apns": Kind(apns, Answer(410, body=b'{"reason":"Unregistered","timestamp":1}'), http2=True),
}


@pytest_asyncio.fixture(params=sorted(KINDS))
async def one(request: pytest.FixtureRequest, service: Double, client: Any) -> tuple[Channel, Kind]:
    kind = KINDS[request.param]
    return kind.make(client(kind.http2), service.url), kind


async def test_what_is_taken_is_delivered_and_gone_is_gone(service: Double, one: tuple[Channel, Kind]) -> None:
    channel, kind = one

    assert isinstance(await attempt(channel, NOTE), Delivered)
    service.will(kind.gone)
    assert isinstance(await attempt(channel, NOTE), Gone)
    assert {seen.http for seen in service.seen} == {"2" if kind.http2 else "1.1"}


async def test_a_refusal_is_not_tried_again_and_a_redirect_is_not_followed(
    service: Double, one: tuple[Channel, Kind]
) -> None:
    channel, _ = one
    service.will(
        Answer(403, body=b'{"reason":"Forbidden"}'),
        Answer(302, {"location": f"{service.url}/elsewhere"}),
        Answer(400),
    )

    outcomes = [await attempt(channel, NOTE) for _ in range(3)]

    assert [type(outcome) for outcome in outcomes] == [Refused] * 3
    assert len(service.seen) == 3
    assert "/elsewhere" not in [seen.path for seen in service.seen]


async def test_too_many_names_a_pause_which_is_kept_within_bounds(service: Double, one: tuple[Channel, Kind]) -> None:
    channel, _ = one
    service.will(
        Answer(429, {"retry-after": "17"}),
        Answer(429, {"retry-after": "999999999"}),
        Answer(503, {"retry-after": formatdate(time() + 60, usegmt=True)}),
        Answer(429, {"retry-after": "nan"}),
        Answer(500),
        Answer(429, {"retry-after": "soon"}),
    )

    pauses = []
    for _ in range(6):
        outcome = await attempt(channel, NOTE)
        assert isinstance(outcome, Retry)
        pauses.append(outcome.after)

    assert pauses[0] == 17
    assert pauses[1] == 3600
    assert pauses[2] is not None
    assert 50 < pauses[2] < 61
    assert pauses[3:] == [1, None, None]


async def test_silence_ends_at_its_time_and_a_flood_is_read_to_a_bound(
    service: Double, one: tuple[Channel, Kind]
) -> None:
    channel, _ = one
    service.will(HANG, FLOOD)

    silent = await attempt(channel, NOTE, seconds=1.5)
    flooded = await attempt(channel, NOTE, seconds=10)

    assert isinstance(silent, Retry)
    assert "within 1.5 s" in silent.why
    assert isinstance(flooded, Delivered)
    await asyncio.sleep(0)
    assert service.flooded < 400 * MAX_ANSWER_BYTES


async def test_nobody_there_is_tried_again(one: tuple[Channel, Kind], service: Double, client: Any) -> None:
    _, kind = one
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    http = client(kind.http2)
    outcome = await attempt(kind.make(http, f"https://localhost:{port}"), NOTE)
    strange = client(kind.http2, context=ssl.create_default_context())
    unproven = await attempt(kind.make(strange, service.url), NOTE)

    assert isinstance(outcome, Retry)
    assert isinstance(unproven, Retry)
    assert "certificate" in unproven.why.lower()
    assert service.seen == []


async def test_private_addresses_are_for_the_configuration_only(
    one: tuple[Channel, Kind], service: Double, client: Any
) -> None:
    _, kind = one
    http = client(kind.http2, Destinations())

    by_name = await attempt(kind.make(http, service.url), NOTE)
    by_address = await attempt(kind.make(http, service.url.replace("localhost", "127.0.0.1")), NOTE)
    plain = await attempt(kind.make(client(), service.url.replace("https:", "ftp:")), NOTE)

    assert [type(outcome) for outcome in (by_name, by_address, plain)] == [Refused] * 3
    assert service.seen == []


async def test_a_webhook_is_signed_over_its_id_and_time(service: Double, client: Any) -> None:
    await attempt(webhook(client(), service.url), NOTE)

    (seen,) = service.seen
    signed = f"{NOTE.key}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    expected = base64.b64encode(hmac.new(b"k" * 24, signed, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-signature"] == f"v1,{expected}"
    assert seen.headers["webhook-id"] == NOTE.key
    assert abs(int(seen.headers["webhook-timestamp"]) - time()) < 60
    told = json.loads(seen.body)
    assert (told["title"], told["waiting"], told["choices"][0]["id"]) == (NOTE.title, "w1", "allow")


@pytest.mark.parametrize(("form", "words"), [("slack", ["text"]), ("teams", ["attachments", "type"])])
async def test_a_webhook_speaks_as_slack_and_teams_want_it(
    service: Double, form: Any, words: list[str], client: Any
) -> None:
    channel = Webhook(client(), service.url, None, form)

    await attempt(channel, NOTE)

    told = json.loads(service.seen[0].body)
    assert sorted(told) == words
    assert "make test" in service.seen[0].body.decode()
    assert "webhook-signature" not in service.seen[0].headers


async def test_ntfy_gets_buttons_and_a_name_to_replace_and_remove(service: Double, client: Any) -> None:
    channel = ntfy(client(), service.url)

    await attempt(channel, NOTE)
    await attempt(channel, Note(**{**_fields(NOTE), "withdrawn": True}))
    service.will(Answer(405), Answer(200))  # an older server
    await attempt(channel, Note(**{**_fields(NOTE), "withdrawn": True, "title": "Answered"}))

    post, removal, _, words = service.seen
    told = json.loads(post.body)
    button = {"action": "http", "label": "Allow", "url": "https://here.example.org/a/1", "method": "POST"}
    assert told["actions"] == [{**button, "clear": True}]
    assert (told["topic"], told["sequence_id"], told["priority"]) == ("my topic", sequence("s1"), 4)
    assert post.headers["authorization"] == "Bearer tk_secret"
    assert (removal.method, removal.path) == ("DELETE", f"/my topic/{sequence('s1')}")
    assert json.loads(words.body)["title"] == "Answered"
    assert "actions" not in json.loads(words.body)


async def test_a_web_push_can_be_read_with_the_subscribers_key_and_its_sender_is_proven(
    service: Double, client: Any
) -> None:
    await attempt(webpush(client(), service.url), NOTE)

    (seen,) = service.seen
    note = json.loads(decrypt(seen.body, BROWSER, SECRET))
    assert (note["title"], note["waiting"], note["badge"]) == (NOTE.title, "w1", 2)
    proof = seen.headers["authorization"]
    assert proof.startswith("vapid t=")
    token, key = (part.partition("=")[2] for part in proof.removeprefix("vapid ").split(", "))
    claims = verified(token, public_key(decode(key)))
    assert claims["aud"] == service.url
    assert claims["sub"] == "mailto:ada@example.org"
    assert 0 < claims["exp"] - time() <= 24 * 3600
    assert (seen.headers["ttl"], seen.headers["urgency"]) == ("86400", "high")
    assert 0 < len(seen.headers["topic"]) <= 32
    assert seen.headers["content-encoding"] == "aes128gcm"


async def test_a_long_web_push_is_cut_to_what_a_push_may_carry(service: Double, client: Any) -> None:
    long = Note(**{**_fields(NOTE), "title": "T" * 3000, "body": 'ü€😀\n"\\' * 2000})

    await attempt(webpush(client(), service.url), long)

    (seen,) = service.seen
    assert len(seen.body) <= 4096
    text = decrypt(seen.body, BROWSER, SECRET)
    assert len(text) <= MAX_PLAINTEXT
    assert json.loads(text)["body"].endswith("…")
    assert json.loads(text)["choices"]


async def test_apple_gets_a_signed_token_over_http2_and_a_new_one_when_it_is_stale(
    service: Double, client: Any
) -> None:
    clock = [1_800_000_000.0]
    provider = Provider(TEAM, "KEY1", "TEAM1", now=lambda: clock[0])
    http = client(True)
    channel = Apns(http, provider, service.url, "org.example.app", "abcd1234")

    await attempt(channel, NOTE)
    await attempt(channel, NOTE)
    clock[0] += 46 * 60
    service.will(Answer(403, body=b'{"reason":"ExpiredProviderToken"}'), Answer(200, {"apns-id": "A-1"}))
    outcome = await attempt(channel, NOTE)

    assert outcome == Delivered("A-1")
    first, second, third, fourth = service.seen
    assert [seen.path for seen in service.seen] == ["/3/device/abcd1234"] * 4
    token = _bearer(first)
    assert verified(token, TEAM.public_key()) == {"iss": "TEAM1", "iat": 1_800_000_000}
    assert json.loads(decode(token.split(".")[0])) == {"alg": "ES256", "kid": "KEY1"}
    assert _bearer(second) == token
    assert _bearer(third) != token
    assert verified(_bearer(fourth), TEAM.public_key())["iat"] == 1_800_000_000 + 46 * 60
    assert first.headers["apns-topic"] == "org.example.app"
    assert (first.headers["apns-push-type"], first.headers["apns-priority"]) == ("alert", "10")
    assert first.headers["apns-id"] == second.headers["apns-id"]
    assert first.headers["apns-collapse-id"] == "s1"
    body = json.loads(first.body)
    assert body["aps"]["alert"] == {"title": NOTE.title, "body": NOTE.body}
    assert (body["aps"]["badge"], body["pilotlight"]["waitingId"]) == (2, "w1")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(400, body=b'{"reason":"BadDeviceToken"}'), Gone),
        (Answer(400, body=b'{"reason":"DeviceTokenNotForTopic"}'), Gone),
        (Answer(400, body=b'{"reason":"BadTopic"}'), Refused),
        (Answer(403, body=b'{"reason":"InvalidProviderToken"}'), Refused),
        (Answer(404, body=b'{"reason":"BadPath"}'), Refused),
        (Answer(429, body=b'{"reason":"TooManyRequests"}'), Retry),
        (Answer(400, body=b"\xff not json"), Refused),
    ],
)
async def test_apple_forgets_a_device_for_no_other_reason(
    service: Double, answer: Answer, outcome: type[Any], client: Any
) -> None:
    service.will(answer)

    assert isinstance(await attempt(apns(client(True), service.url), NOTE), outcome)


def _fields(note: Note) -> dict[str, Any]:
    return {name: getattr(note, name) for name in note.__struct_fields__}


def _bearer(seen: Seen) -> str:
    return seen.headers["authorization"].removeprefix("bearer ")


def verified(token: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
    """The claims of a token, when its signature is right."""
    head, claims, signature = token.split(".")
    raw = decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    key.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
    found: dict[str, Any] = json.loads(decode(claims))
    return found
