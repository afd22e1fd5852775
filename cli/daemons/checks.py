"""The checks of `pilotlight doctor`, each a function of the installation that returns what it found."""

from __future__ import annotations

import os
import platform
import resource
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import psutil

from cli.context import App
from cli.daemons.demo_model import DemoModel
from cli.daemons.report import look
from cli.setup import claude as cli_claude
from cli.setup import login as cli_login
from shared import __version__, database, releases
from shared.certificate import Certificate, configured
from shared.claude_names import NO_LOGIN_NEEDED
from shared.errors import PilotlightError
from shared.paths import SOCKET_PATH_LIMIT

LIBRARIES = ("pexpect", "pyzmq", "flask", "gunicorn", "psutil", "msgspec", "pyghostty", "click")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CLAUDE_SECONDS = 10
_HEALTH_SECONDS = 10
_LOOKED_AT_HERE = ("supervisor", "cli", "disk", "notify")
"""Checks of the supervisor's that have their own here."""

_NO_LOGIN = ("login", "warn")
"""It has found none in files; the check here looks into the keychain, too."""

_CERTIFICATE_WARNING = timedelta(days=14)
_FILES_WANTED = 1024
_PTYS_WANTED = 64
_MEMORY_PER_SESSION_MB = 400
_CLEAN_NAMES = ("HOME", "PATH", "TMPDIR", "USER")


class Finding(msgspec.Struct, frozen=True):
    """One line of the report; `fix` says what to do about a warning or a failure."""

    name: str
    level: Literal["ok", "warn", "fail"]
    text: str
    fix: str | None = None


def versions(_app: App) -> list[Finding]:
    """Python, pilotlight, libraries, the machine."""
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in LIBRARIES)
    return [
        Finding("pilotlight", "ok", f"{__version__} on Python {platform.python_version()} ({sys.executable})"),
        Finding("libraries", "ok", libraries),
        Finding("machine", "ok", f"{platform.system()} {platform.release()} {platform.machine()}"),
    ]


def configuration(app: App) -> list[Finding]:
    """The configuration file, read as the supervisor reads it."""
    try:
        _ = app.config
    except PilotlightError as error:
        return [
            Finding("config", "fail", error.message, f"Correct {app.paths.config_file} (config/default.yaml explains).")
        ]
    there = app.paths.config_file.exists()
    return [Finding("config", "ok", str(app.paths.config_file) if there else "defaults (no config.yaml)")]


def claude(app: App) -> list[Finding]:
    """The CLI that sessions run, and whether it starts."""
    found = cli_claude.find(_command(app), app.environment)
    if found is None:
        fix = f"npm install -g {cli_claude.PACKAGE}, or set claude.command in {app.paths.config_file}."
        return [Finding("claude", "fail", "`claude` was not found.", fix)]
    environment = {name: app.environment[name] for name in _CLEAN_NAMES if name in app.environment}
    environment["DISABLE_AUTOUPDATER"] = "1"
    try:
        done = subprocess.run(
            [found.path, "--version"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CLAUDE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return [
            Finding(
                "claude",
                "fail",
                f"{found.path} does not start: {error}",
                "Install it again, or correct claude.command.",
            )
        ]
    if done.returncode:
        told = (done.stderr or done.stdout).strip()[:200]
        return [
            Finding("claude", "fail", f"{found.path} fails: {told}", "Install it again, or correct claude.command.")
        ]
    version = done.stdout.split()[0] if done.stdout.split() else "unknown"
    reason = releases.refusal(version)
    if reason is not None:
        fix = f"`claude update`, or npm install -g {cli_claude.PACKAGE}; claude.command names another one."
        return [Finding("claude", "fail", f"{found.path}: {reason}", fix)]
    if version not in releases.TESTED:
        tested = " and ".join(releases.TESTED)
        return [Finding("claude", "ok", f"{found.path} {version} (tested: {tested})")]
    return [Finding("claude", "ok", f"{found.path} {version}")]


def login(app: App) -> list[Finding]:
    """Whether the CLI has a login."""
    try:
        found = cli_login.find(app.config.claude, app.environment)
    except PilotlightError:
        return []
    if DemoModel(app).wanted():  # its sessions use no login that there may be
        return [Finding("login", "ok", NO_LOGIN_NEEDED)]
    if found.where is not None:
        return [Finding("login", "ok", found.where)]
    fix = found.hint or "Run `claude` and log in, or try everything with `pilotlight up --demo`."
    return [Finding("login", "warn", "No login found.", fix)]


def limits(app: App) -> list[Finding]:
    """Open files, ptys, memory and CPUs."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    findings = [
        Finding("open files", "ok", str(soft))
        if soft >= _FILES_WANTED or soft == resource.RLIM_INFINITY
        else Finding("open files", "warn", f"limit {soft}", f"ulimit -n {_FILES_WANTED} before `pilotlight up`.")
    ]
    ptys = _pty_limit()
    if ptys is not None:
        enough = ptys >= _PTYS_WANTED
        fix = None if enough else "Raise kernel.pty.max (Linux) or kern.tty.ptmx_max (macOS) with sysctl."
        findings.append(Finding("ptys", "ok" if enough else "warn", f"at most {ptys}", fix))
    memory = psutil.virtual_memory()
    text = f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB free"
    few = memory.available / 1e6 < 2 * _MEMORY_PER_SESSION_MB
    fix = f"A live session takes about {_MEMORY_PER_SESSION_MB} MB: fewer stay awake." if few else None
    findings.append(Finding("memory", "warn" if few else "ok", text, fix))
    findings.append(Finding("cpu", "ok", f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"))
    return findings


def directories(app: App) -> list[Finding]:
    """Ours, private, writable, on a disk with room, and short enough for sockets."""
    findings = []
    paths = app.paths
    for name, folder in (("home", paths.home), ("logs", paths.log_dir), ("run dir", paths.run_dir)):
        findings.append(_directory(name, folder))
    room = psutil.disk_usage(str(_existing(app.paths.home))).free / 1e9
    low = room < 1
    findings.append(Finding("disk", "warn" if low else "ok", f"{room:.1f} GB free", "Make room." if low else None))
    length = len(os.fsencode(app.paths.event_address.removeprefix("ipc://")))
    level: Literal["ok", "fail"] = "ok" if length <= SOCKET_PATH_LIMIT else "fail"
    fix = None if level == "ok" else "Set PILOTLIGHT_HOME to a shorter path."
    findings.append(Finding("socket path", level, f"{length} of {SOCKET_PATH_LIMIT} bytes", fix))
    return findings


def main_database(app: App) -> list[Finding]:
    """Whether this program knows the database's version; looked at from outside, so that nothing is changed."""
    path = app.paths.database
    try:
        version = database.read_version(path)
    except OSError as error:
        fix = f"Make {path} readable for you."
        return [Finding("database", "fail", f"{path} cannot be read: {error.strerror}.", fix)]
    if version is None:
        return [Finding("database", "ok", "none yet")] if not path.exists() else []
    if version > database.VERSION:
        return [Finding("database", "fail", f"{path} has version {version}.", database.too_new(path, version))]
    if version < database.VERSION:
        next_start = f"the next start makes version {database.VERSION} of it, and a copy before"
        return [Finding("database", "ok", f"version {version}; {next_start}")]
    return [Finding("database", "ok", f"version {version}")]


def running(app: App) -> list[Finding]:
    """The supervisor and the API."""
    try:
        report = look(app)
    except PilotlightError as error:
        return [Finding("running", "fail", error.message, "See above.")]
    supervisor, api = report["supervisor"], report["api"]
    start = "`pilotlight up` starts it."
    findings = []
    if supervisor["pid"] is None:
        findings.append(Finding("supervisor", "warn", "not running", start))
    elif not supervisor["responding"]:
        restart = f"Look into {app.paths.log_dir}; `pilotlight down`, then `pilotlight up` (live sessions stay)."
        findings.append(Finding("supervisor", "fail", f"pid {supervisor['pid']} does not answer", restart))
    else:
        count = len(report["sessions"])
        findings.append(
            Finding("supervisor", "ok", f"pid {supervisor['pid']}, {count} session{'' if count == 1 else 's'}")
        )
        if supervisor.get("claudeError"):
            findings.append(
                Finding("claude", "fail", str(supervisor["claudeError"]), "See above; then `pilotlight down`, `up`.")
            )
    if api["pid"] is None:
        findings.append(Finding("api", "warn", "not running", start))
    else:
        findings.append(Finding("api", "ok", f"pid {api['pid']}, {api['url']}"))
    return findings


def told(app: App) -> list[Finding]:
    """What a supervisor that runs knows to be wrong with Claude and its sessions; nothing when all is well there."""
    try:
        checks = app.call("health", timeout=_HEALTH_SECONDS)["checks"]
    except PilotlightError:
        return []
    return [
        Finding(check["name"], check["status"], check["detail"], "`pilotlight health` looks again.")
        for check in checks
        if check["status"] != "ok"
        and check["name"] not in _LOOKED_AT_HERE
        and (check["name"], check["status"]) != _NO_LOGIN
    ]


def notifications(app: App) -> list[Finding]:
    """Channels that fail; nothing when none runs, or all is well."""
    try:
        recipients = app.call("recipient.list")["recipients"]
    except PilotlightError:
        return []
    return [
        Finding(
            "notify",
            "warn",
            f"{recipient['name']}: {recipient['error']}",
            f"`pilotlight notify test {recipient['id']}`",
        )
        for recipient in recipients
        if recipient.get("error")
    ]


def reach(app: App) -> list[Finding]:
    """How other devices reach the dashboard; nothing when only this machine is to."""
    try:
        api, url = app.config.api, app.config.notify.url
    except PilotlightError:
        return []
    findings = []
    open_to_others = api.host not in LOOPBACK
    if open_to_others and not api.allowed_hosts:
        text = f"listens on {api.host}, and refuses every name but localhost"
        findings.append(Finding("reach", "warn", text, "Put the names that you use into api.allowed_hosts."))
    if url is not None and (name := urlsplit(url).hostname) and name not in (*api.allowed_hosts, api.host, *LOOPBACK):
        text = f"notifications lead to {name}, which is refused there"
        findings.append(Finding("reach", "warn", text, f"Add {name} to api.allowed_hosts."))
    secure = url is not None and urlsplit(url).scheme == "https"
    if (open_to_others or api.allowed_hosts) and not secure and api.tls_cert is None:
        text = "other devices come without HTTPS, as far as notify.url says: no push, no camera, no installed app there"
        fix = "Tailscale, Caddy or mkcert give it; then set notify.url. docs/dashboard.md says how."
        findings.append(Finding("reach", "warn", text, fix))
    if secure and not findings:
        findings.append(Finding("reach", "ok", f"{url}"))
    return findings


def certificate(app: App) -> list[Finding]:
    """The API's own certificate: whether it can be served, under which names, and until when; nothing without one."""
    try:
        api = app.config.api
    except PilotlightError:
        return []
    try:
        found = configured(api)
    except PilotlightError as error:
        return [
            Finding(
                "certificate", "fail", error.message, f"Correct {app.paths.config_file}; docs/dashboard.md says how."
            )
        ]
    if found is None:
        return []
    findings = []
    renew = f"Renew {found.chain}; the API takes the new one by itself."
    left = found.ends - datetime.now(UTC)
    if left <= timedelta():
        findings.append(Finding("certificate", "fail", f"expired on {found.ends:%Y-%m-%d}: browsers refuse it", renew))
    elif left < _CERTIFICATE_WARNING:
        findings.append(Finding("certificate", "warn", f"expires on {found.ends:%Y-%m-%d}", renew))
    if found.begins > datetime.now(UTC):
        text = f"is good from {found.begins:%Y-%m-%d %H:%M} UTC on only"
        findings.append(Finding("certificate", "fail", text, "Set the clock of this machine, or get another one."))
    if missing := [name for name in api.allowed_hosts if not found.covers(_hostname(name))]:
        text = f"is not for {', '.join(missing)}, which is in api.allowed_hosts"
        findings.append(
            Finding("certificate", "warn", text, f"Get one that names it; {found.chain} is for {_names(found)}.")
        )
    if found.key.stat().st_mode & 0o077:
        findings.append(Finding("certificate", "warn", f"others can read {found.key}", f"chmod 600 '{found.key}'"))
    return findings or [Finding("certificate", "ok", f"for {_names(found)}, until {found.ends:%Y-%m-%d}")]


def _hostname(allowed: str) -> str:
    return urlsplit(f"//{allowed}").hostname or allowed


def _names(found: Certificate) -> str:
    return ", ".join(found.names) or "no name at all"


CHECKS: tuple[Callable[[App], list[Finding]], ...] = (
    versions,
    configuration,
    claude,
    login,
    limits,
    directories,
    main_database,
    running,
    told,
    notifications,
    certificate,
    reach,
)


def _command(app: App) -> str | None:
    try:
        return app.config.claude.command
    except PilotlightError:
        return None


def _pty_limit() -> int | None:
    try:
        if sys.platform == "darwin":
            told = subprocess.run(["sysctl", "-n", "kern.tty.ptmx_max"], capture_output=True, text=True, timeout=5)
            return int(told.stdout)
        return int(Path("/proc/sys/kernel/pty/max").read_text())
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def _directory(name: str, folder: Path) -> Finding:
    if not folder.exists():
        near = _existing(folder)
        if os.access(near, os.W_OK):
            return Finding(name, "ok", f"{folder} (made at the first start)")
        return Finding(name, "fail", f"{folder} cannot be made in {near}", "Make it writable or set PILOTLIGHT_HOME.")
    seen = folder.stat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != os.getuid():
        return Finding(name, "fail", f"{folder} is not a directory of yours", "Remove it or set PILOTLIGHT_HOME.")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(name, "fail", f"{folder} cannot be written to", f"chmod 700 '{folder}'")
    if stat.S_IMODE(seen.st_mode) & 0o077:
        return Finding(name, "warn", f"{folder} can be entered by others", f"chmod 700 '{folder}'")
    return Finding(name, "ok", str(folder))


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())
