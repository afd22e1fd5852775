"""A connection to the API of this home: to where it listens, under whatever name, and trusting its certificate and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cli.context import App
from shared.errors import PilotlightError

if TYPE_CHECKING:
    import http.client

_UNSPECIFIED = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}


def connect(url: str, app: App, seconds: float) -> http.client.HTTPConnection:
    """To the API that says it is at `url`; nothing is sent yet. Raise InvalidRequest when the configured certificate is none."""
    import http.client
    import ssl

    from shared.certificate import configured

    parts = urlsplit(url)
    if parts.scheme != "https":
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=seconds)
    config = app.config.api
    certificate = configured(config)
    trusted = certificate.for_client() if certificate is not None else ssl.create_default_context()
    host = _UNSPECIFIED.get(config.host, config.host)
    return http.client.HTTPSConnection(host, parts.port, timeout=seconds, context=trusted)


def healthy(url: str, app: App, seconds: float) -> bool:
    """Whether it answers, and is well."""
    import http.client

    try:
        connection = connect(url, app, seconds)
    except PilotlightError:
        return False
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
