"""Where everything lives, decided once so that supervisor, API and CLI always agree.

`PILOTLIGHT_HOME` puts all of it into one folder; without it the platform's own places are used. Sockets live in a run
directory whose name is short: the kernel allows 103 bytes for a Unix socket's path (macOS; Linux 107), so a long home
gets a 0700 directory of its own under the system's temporary directory, named after the home and not after the caller's
TMPDIR, or a command in another shell would look elsewhere. A run directory that belongs to another user, or that is a
link, is refused by everybody who uses it: whoever owns it would own the bus.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.private_folders import make_private, require_private

SOCKET_PATH_LIMIT = 103
_LONGEST_SOCKET_NAME = len("/h/0123456789ab.sock")
_LONGEST_TEMPORARY_DIR = 50
_DARWIN_USER_TEMP_DIR = 65537
"""_CS_DARWIN_USER_TEMP_DIR of confstr(3)."""


@dataclass(frozen=True)
class Paths:
    """Every file and folder of one installation (all absolute)."""

    home: Path
    config_file: Path
    run_dir: Path
    log_dir: Path

    @property
    def token_file(self) -> Path:
        """The default bearer token, 0600."""
        return self.home / "token"

    @property
    def tokens_file(self) -> Path:
        """Names, scopes and hashes of the other bearer tokens, 0600."""
        return self.home / "tokens.json"

    @property
    def devices_file(self) -> Path:
        """Browsers that are signed in: names, scopes and hashes, 0600."""
        return self.home / "devices.json"

    @property
    def invitations_file(self) -> Path:
        """Hashes of the links and codes with which a browser may sign in, 0600."""
        return self.home / "invitations.json"

    @property
    def push_key(self) -> Path:
        """The key that signs web pushes, 0600."""
        return self.home / "push-key.pem"

    @property
    def database(self) -> Path:
        """SQLite, written by the supervisor only."""
        return self.home / "pilotlight.db"

    @property
    def sessions_dir(self) -> Path:
        """One folder a session: spawn.json, ring, hooks.log, attachments."""
        return self.home / "sessions"

    @property
    def moves_dir(self) -> Path:
        """What of sessions is on its way from or to another node."""
        return self.home / "moves"

    @property
    def request_address(self) -> str:
        """ZeroMQ address of the supervisor's ROUTER."""
        return f"ipc://{self.run_dir}/bus.sock"

    @property
    def event_address(self) -> str:
        """ZeroMQ address of the supervisor's XPUB."""
        return f"ipc://{self.run_dir}/events.sock"

    @property
    def terminal_socket(self) -> Path:
        """Unix socket of the supervisor for those who look at a terminal (shared/bus/terminal_protocol.py)."""
        return self.run_dir / "terminal.sock"

    @property
    def supervisor_lock(self) -> Path:
        """Held with flock by the one supervisor; its content says who."""
        return self.run_dir / "supervisor.lock"

    @property
    def api_lock(self) -> Path:
        """Held with flock by the API of this home; its content says who, and at which address."""
        return self.run_dir / "api.lock"

    def further_api_lock(self, port: int) -> Path:
        """The same of an API that runs beside it, on another port."""
        return self.run_dir / f"api-{port}.lock"

    def session_dir(self, session_id: str) -> Path:
        """The folder of one session."""
        return self.sessions_dir / session_id

    def temporary_dir(self, session_id: str) -> Path:
        """TMPDIR of one session's processes: short, since the CLI puts a socket there."""
        return self.run_dir / "t" / hashlib.sha256(session_id.encode()).hexdigest()[:8]

    def holder_socket(self, session_id: str, generation: int) -> Path:
        """The Unix socket of one holder: short, and new for each process of a session."""
        name = hashlib.sha256(f"{session_id}/{generation}".encode()).hexdigest()[:12]
        return self.run_dir / "h" / f"{name}.sock"

    def prepare(self) -> None:
        """Make the private directories (0700). Raise Unavailable when one is not ours, StorageFailed when it cannot be."""
        for folder in (self.home, self.sessions_dir, self.moves_dir, self.log_dir, self.run_dir, self.run_dir / "h"):
            make_private(folder)

    def restore(self) -> bool:
        """Make the run directory anew if somebody deleted it, and say whether: what binds sockets needs it. Raise Unavailable
        when another user has made it meanwhile."""
        self.check_run_dir()
        if (self.run_dir / "h").is_dir():
            return False
        self.prepare()
        return True

    def check_run_dir(self) -> None:
        """Before anything in it is read, connected to or signalled. Raise Unavailable when it may be somebody else's."""
        for folder in (self.run_dir, self.run_dir / "h"):
            require_private(folder)


def resolve(environment: Mapping[str, str] | None = None) -> Paths:
    """The paths for this environment (default: the process's own)."""
    env = os.environ if environment is None else environment
    override = env.get("PILOTLIGHT_HOME")
    if override:
        home = Path(override).expanduser().absolute()
        return Paths(home=home, config_file=home / "config.yaml", run_dir=_run_dir(home), log_dir=home / "logs")
    user = Path(env.get("HOME") or Path.home())
    if sys.platform == "darwin":
        home = user / "Library" / "Application Support" / "pilotlight"
        logs = user / "Library" / "Logs" / "pilotlight"
        return Paths(home=home, config_file=home / "config.yaml", run_dir=_run_dir(home), log_dir=logs)
    home = Path(env.get("XDG_DATA_HOME") or user / ".local" / "share") / "pilotlight"
    config = Path(env.get("XDG_CONFIG_HOME") or user / ".config") / "pilotlight" / "config.yaml"
    logs = Path(env.get("XDG_STATE_HOME") or user / ".local" / "state") / "pilotlight" / "logs"
    return Paths(home=home, config_file=config, run_dir=_run_dir(home), log_dir=logs)


def _run_dir(home: Path) -> Path:
    candidate = home / "run"
    if len(os.fsencode(str(candidate))) + _LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT:
        return candidate
    digest = hashlib.sha256(os.fsencode(str(home))).hexdigest()[:10]
    return _temporary_dir() / f"pl-{os.getuid()}-{digest}"


def _temporary_dir() -> Path:
    """The system's own, whatever the environment says; on macOS that of the user, which nobody else can write to."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, ValueError):
            own = Path(os.confstr(_DARWIN_USER_TEMP_DIR) or "/tmp")
            if len(os.fsencode(str(own))) < _LONGEST_TEMPORARY_DIR:
                return own
    return Path("/tmp")
