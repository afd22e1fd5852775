"""Encryption for Web Push (RFC 8291 over RFC 8188, `aes128gcm`) and its sender's proof (VAPID, RFC 8292), on `cryptography`.

Ours, because it is short and fixed by two documents with test vectors, which the tests hold it to. What must not regress: a
fresh key pair and salt for every message; the signature is the raw one that JOSE wants, not DER.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD_BYTES = 4096
OVERHEAD = 16 + 4 + 1 + 65 + 1 + 16
"""Salt, record size, length of the key and the key; the end of the padding, and the tag of the cipher."""

MAX_PLAINTEXT = 4096 - OVERHEAD
"""What push services take is 4,096 bytes, encrypted."""


def encode(data: bytes) -> str:
    """Base64url without padding, as all of this is written."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """The bytes of it. Raise ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def public_key(point: bytes) -> ec.EllipticCurvePublicKey:
    """The key of 65 bytes. Raise ValueError when it is no point of the curve."""
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)


@dataclass(frozen=True)
class Recipient:
    """A subscription's keys: its public one, and the secret that it shares with whoever may send."""

    key: ec.EllipticCurvePublicKey
    secret: bytes

    @classmethod
    def of(cls, p256dh: str, auth: str) -> Recipient:
        """From what a browser gives. Raise ValueError."""
        secret = decode(auth)
        if len(secret) != 16:
            raise ValueError("`auth` must be 16 bytes")
        return cls(public_key(decode(p256dh)), secret)


def encrypt(
    plaintext: bytes,
    recipient: Recipient,
    sender: ec.EllipticCurvePrivateKey | None = None,
    salt: bytes | None = None,
) -> bytes:
    """One record, header and all. `sender` and `salt` are given by the tests of the RFC only."""
    sender = sender or ec.generate_private_key(ec.SECP256R1())
    salt = salt or os.urandom(16)
    ours, theirs = public_bytes(sender.public_key()), public_bytes(recipient.key)
    shared = sender.exchange(ec.ECDH(), recipient.key)
    material = _hkdf(recipient.secret, b"WebPush: info\0" + theirs + ours, 32, shared)
    key = _hkdf(salt, b"Content-Encoding: aes128gcm\0", 16, material)
    nonce = _hkdf(salt, b"Content-Encoding: nonce\0", 12, material)
    header = salt + RECORD_BYTES.to_bytes(4, "big") + bytes([len(ours)]) + ours
    return header + AESGCM(key).encrypt(nonce, plaintext + b"\x02", None)


def _hkdf(salt: bytes, info: bytes, length: int, material: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(material)


def signed_token(header: dict[str, Any], claims: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """A JSON web token, ES256."""
    parts = (encode(msgspec.json.encode({"alg": "ES256", **header})), encode(msgspec.json.encode(claims)))
    signed = ".".join(parts)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(SHA256())))
    return f"{signed}.{encode(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
