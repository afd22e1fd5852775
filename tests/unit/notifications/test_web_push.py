"""Web Push encryption and its sender's proof, held to the vectors of RFC 8291 and RFC 8292."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from supervisor.notifications.channels.contract import Barred
from supervisor.notifications.channels.encryption import (
    MAX_PLAINTEXT,
    Recipient,
    decode,
    encrypt,
    public_bytes,
    public_key,
)
from supervisor.notifications.channels.webpush import Vapid, check_subject

# RFC 8291, section 5 and appendix A
PLAINTEXT = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
RECEIVER_PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
RESULT = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95"
    "bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)

# RFC 8292, section 2.4
TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6Im1ha"
    "Wx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9OkSSHzvoD1oA"
)
KEY = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"


def private_key(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(decode(text), "big"), ec.SECP256R1())


def decrypt(body: bytes, receiver: ec.EllipticCurvePrivateKey, secret: bytes) -> bytes:
    """What a browser does with a push: written from the RFC, not from what it tests."""
    salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
    assert size == 4096
    point, record = body[21 : 21 + length], body[21 + length :]
    shared = receiver.exchange(ec.ECDH(), public_key(point))
    info = b"WebPush: info\x00" + public_bytes(receiver.public_key()) + point
    material = HKDF(SHA256(), 32, secret, info).derive(shared)
    key = HKDF(SHA256(), 16, salt, b"Content-Encoding: aes128gcm\x00").derive(material)
    nonce = HKDF(SHA256(), 12, salt, b"Content-Encoding: nonce\x00").derive(material)
    text, end, padding = AESGCM(key).decrypt(nonce, record, None).rpartition(b"\x02")
    assert end == b"\x02"
    assert not padding.strip(b"\x00")
    return text


def test_the_vector_of_rfc_8291() -> None:
    body = encrypt(PLAINTEXT, Recipient.of(RECEIVER_PUBLIC, AUTH), private_key(SENDER), decode(SALT))

    assert body == decode(RESULT)
    assert decrypt(body, private_key(RECEIVER), decode(AUTH)) == PLAINTEXT


def test_no_two_messages_share_key_or_salt() -> None:
    recipient = Recipient.of(RECEIVER_PUBLIC, AUTH)
    one, two = encrypt(PLAINTEXT, recipient), encrypt(PLAINTEXT, recipient)

    assert one[:16] != two[:16]
    assert one[21:86] != two[21:86]
    assert decrypt(two, private_key(RECEIVER), decode(AUTH)) == PLAINTEXT
    assert len(encrypt(b"x" * MAX_PLAINTEXT, recipient)) == 4096


def test_our_proof_has_the_form_of_rfc_8292_and_its_own_example_verifies() -> None:
    def check(token: str, key: str) -> tuple[dict[str, object], dict[str, object]]:
        head, claims, signature = token.split(".")
        raw = decode(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        public_key(decode(key)).verify(der, f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
        return json.loads(decode(head)), json.loads(decode(claims))

    theirs = check(TOKEN, KEY)
    header = Vapid(private_key(SENDER), "mailto:push@example.com").header(
        "https://push.example.net", 1453523768 - 43200
    )
    token, key = (part.partition("=")[2] for part in header.removeprefix("vapid ").split(", "))
    ours = check(token, key)

    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [("", AUTH), (RECEIVER_PUBLIC[:-4], AUTH), ("A" * 87, AUTH), (RECEIVER_PUBLIC, "short"), ("%%%", AUTH)],
)
def test_keys_that_are_none_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(ValueError):
        Recipient.of(p256dh, auth)


@pytest.mark.parametrize(
    "subject", ["", "ada@example.org", "mailto:ada@localhost", "https://mac.local", "http://a.org"]
)
def test_a_contact_that_nobody_could_reach_is_refused(subject: str) -> None:
    with pytest.raises(Barred):
        check_subject(subject)


def test_a_real_contact_is_taken() -> None:
    check_subject("mailto:ada@example.org")
    check_subject("https://example.org/contact")
