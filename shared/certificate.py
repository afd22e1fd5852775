"""The certificate of the API, where it speaks TLS itself (`api.tls_cert`, `api.tls_key`): read, checked, trusted by our commands.

What must not regress: files that cannot serve are refused before anything listens, in a sentence that names file and option;
a key with a passphrase never makes a daemon ask for it; our own commands trust this certificate and no other.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.config import ApiConfig
from shared.errors import InvalidRequest
from shared.foreign_file import read_foreign

MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Certificate:
    """A certificate with its chain, and where its key is. `names` are those that it is for, `ends` is when it is good no more."""

    chain: Path
    key: Path
    names: tuple[str, ...]
    begins: datetime
    ends: datetime

    def covers(self, name: str) -> bool:
        """Whether a browser that asks for `name` is content: exactly this one, or one label in the place of a `*`."""
        name = name.strip("[]").lower().rstrip(".")
        return any(
            name == known or (known.startswith("*.") and name.partition(".")[2] == known[2:]) for known in self.names
        )

    def for_server(self) -> ssl.SSLContext:
        """What the API serves with. Raise InvalidRequest when the two files do not go together."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Serve with it from the next connection on. Raise InvalidRequest."""
        try:
            context.load_cert_chain(self.chain, self.key, password=_no_passphrase)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise _unfit(f"api.tls_key: {self.key} {_why(error)}") from None

    def for_client(self) -> ssl.SSLContext:
        """What our own commands ask with: they trust this very certificate, under whatever name or address they come."""
        context = ssl.create_default_context(cafile=str(self.chain))
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
        return context


def configured(config: ApiConfig) -> Certificate | None:
    """The one of the configuration; None when the API is to speak plain HTTP. Raise InvalidRequest with what is wrong."""
    if config.tls_cert is None or config.tls_key is None:
        return None
    from cryptography import x509

    chain, key = Path(config.tls_cert).expanduser(), Path(config.tls_key).expanduser()
    raw = _content(chain, "tls_cert")
    _content(key, "tls_key")
    try:
        first = x509.load_pem_x509_certificates(raw)[0]
        found = Certificate(chain, key, _names(first), first.not_valid_before_utc, first.not_valid_after_utc)
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise _unfit(f"api.tls_cert: {chain} holds no certificate in PEM.") from None
    found.for_server()
    return found


def _names(certificate: object) -> tuple[str, ...]:
    from cryptography import x509

    assert isinstance(certificate, x509.Certificate)
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = alternatives.get_values_for_type(x509.IPAddress)
    return (*(name.lower() for name in alternatives.get_values_for_type(x509.DNSName)), *map(str, addresses))


def _content(path: Path, name: str) -> bytes:
    if not path.is_absolute():
        raise _unfit(f"api.{name} must be an absolute path, or begin with ~; it is {str(path)!r}.")
    try:
        return read_foreign(path, MOST_BYTES, follow=True)
    except OSError as error:
        raise _unfit(f"api.{name}: {path} cannot be read: {error.strerror or error}.") from None


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return "is not the key of the certificate in api.tls_cert."
    if isinstance(error, _Passphrase) or "BAD_DECRYPT" in reason or "BAD_PASSWORD" in reason:
        return "is locked with a passphrase, which nobody can type for a service. Keep it without one, in a file of mode 0600."
    return f"cannot be used as its key ({reason or error})."


class _Passphrase(ValueError):
    """Asked for where nobody is."""


def _no_passphrase() -> str:
    raise _Passphrase("locked")


def _unfit(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="invalid_config")
