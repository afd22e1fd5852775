"""The API of a home, and any more of them on other ports: a lock that says who and where, and a listening socket of our own.

The socket is bound here and not by gunicorn, which would retry for five seconds in the words of a library. The lock is
the kernel's (flock), so nothing is stale after a SIGKILL; the content is for people and `pilotlight status`. What must not
regress: the lock is made anew when somebody deleted it, alone or with its folder, or no command would find an API that serves.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from shared import instance
from shared.certificate import Certificate
from shared.config import ApiConfig
from shared.errors import Conflict, PilotlightError, Unavailable
from shared.paths import Paths

BACKLOG = 512
RESTORE_SECONDS = 1.0
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_log = logging.getLogger("pilotlight.api")


class Lock:
    """The lock of one API of this home, held until the process ends. Raise Conflict with the other's `url`, if it is known."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = _take(path)
        self._content = b""
        self._busy = threading.Lock()
        self._released = False

    def announce(self, url: str) -> None:
        """Write who holds the lock and where it listens."""
        with self._busy:
            self._content = instance.this(int(time.time() * 1000), url)
            os.pwrite(self._fd, self._content, 0)

    def restore(self, elsewhere: Path) -> bool:
        """Take it anew if the file is gone; `elsewhere` when another API has come meanwhile. Whether it had to be done. Raise
        Conflict or OSError when it cannot be."""
        with self._busy:
            if self._released or not self._content or self._stands():
                return False
            try:
                fresh = _take(self._path)
            except Conflict:
                fresh, self._path = _take(elsewhere), elsewhere
            os.pwrite(fresh, self._content, 0)
            before, self._fd = self._fd, fresh
            os.close(before)
            return True

    def release(self) -> None:
        """Say that nobody is here any more."""
        with self._busy:
            self._released = True
            os.ftruncate(self._fd, 0)
            os.close(self._fd)

    def _stands(self) -> bool:
        try:
            seen, ours = os.stat(self._path), os.fstat(self._fd)
        except FileNotFoundError:
            return False
        return (seen.st_dev, seen.st_ino) == (ours.st_dev, ours.st_ino)


def _take(path: Path) -> int:
    """An open, locked and empty lock file. Raise Conflict with the other's `url`, if it is known."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        content = os.pread(descriptor, 4096, 0)
        os.close(descriptor)
        raise _taken(content) from None
    os.ftruncate(descriptor, 0)
    return descriptor


def claim(paths: Paths, port: int) -> tuple[Lock, str]:
    """The lock of the home's API, or of one more when that runs on another port, and the name of its log. Raise Conflict."""
    try:
        return Lock(paths.api_lock), "api"
    except Conflict as error:
        url = error.data.get("url")
        if url is None or port in (0, urlsplit(url).port):
            raise
    return Lock(paths.further_api_lock(port)), f"api-{port}"


def keep(lock: Lock, paths: Paths, port: int) -> None:
    """From now on, and on a thread of its own, make the lock anew when it was deleted, with the run directory if need be."""
    threading.Thread(target=_keep, args=(lock, paths, port), name="pilotlight-lock", daemon=True).start()


def _keep(lock: Lock, paths: Paths, port: int) -> None:
    trouble = ""
    while True:
        time.sleep(RESTORE_SECONDS)
        try:
            paths.restore()
            if lock.restore(paths.further_api_lock(port)):
                _log.warning("lock_renewed")
            trouble = ""
        except (PilotlightError, OSError) as error:
            if str(error) != trouble:  # once, not every second
                trouble = str(error)
                _log.warning("lock_not_renewed", extra={"fields": {"why": trouble}})


def listen(config: ApiConfig, paths: Paths, certificate: Certificate | None = None) -> tuple[socket.socket, str]:
    """A listening socket and its URL. Raise Unavailable with the fix when the address cannot be had."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise Unavailable(
            f"api.host `{config.host}` is not an address of this machine ({error}). Change it in {paths.config_file}.",
            code="bad_host",
        ) from None
    sock = socket.socket(family, kind, proto)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise Unavailable(_refused(error, config, paths), code="cannot_listen") from None
    return sock, _url(config, sock.getsockname()[1], certificate)


def _url(config: ApiConfig, port: int, certificate: Certificate | None) -> str:
    """Where people find it: with TLS under a name that the certificate is for, if it has one that is served here."""
    host = config.host
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    if certificate is None:
        return f"http://{name}:{port}"
    known = (name, "localhost", *config.allowed_hosts) if name in LOOPBACK else (name, *config.allowed_hosts)
    return f"https://{next((one for one in known if certificate.covers(one)), name)}:{port}"


def _refused(error: OSError, config: ApiConfig, paths: Paths) -> str:
    fix = f"Choose another one: PILOTLIGHT_PORT={config.port + 1 if config.port < 65535 else 3001}, or api.port in "
    if error.errno == errno.EADDRINUSE:
        return f"Port {config.port} on {config.host} is in use by another program. {fix}{paths.config_file}."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {config.port} needs rights that you do not have. {fix}{paths.config_file}."
    return (
        f"Cannot listen on {config.host} port {config.port}: {error.strerror}. Check api.host in {paths.config_file}."
    )


def _taken(content: bytes) -> Conflict:
    """By the API that has written this into its lock, if it has got that far."""
    other = instance.read(content)
    if other is None or other.url is None:
        return Conflict(
            "The API of this home is just being started by another process. `pilotlight status` shows it.",
            code="already_running",
        )
    return Conflict(
        f"The API of this home runs already: pid {other.pid}, {other.url}. `pilotlight down` stops it; "
        "PILOTLIGHT_PORT runs one more beside it, PILOTLIGHT_HOME chooses another home.",
        code="already_running",
        data={"url": other.url},
    )
