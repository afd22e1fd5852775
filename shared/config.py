"""Configuration: one typed tree, read from YAML, overridden by environment variables, refused when it is wrong.

`config/default.yaml` documents every key and must equal these defaults (a test compares them). Unknown keys and wrong
types are refused with the path of the key; limits are checked here and nowhere else. Every number has a lower and an upper
one: what is computed from it must stay a number that SQLite, the clock and the loop can take.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct, field

from shared.bus.notifications import Rules
from shared.errors import InvalidRequest
from shared.foreign_file import SMALL, read_foreign

Port = Annotated[int, Meta(ge=0, le=65535)]
Hours = Annotated[float, Meta(ge=0.00001, le=1_000_000)]
Days = Annotated[float, Meta(ge=0.000001, le=36_500)]
Megabytes = Annotated[float, Meta(ge=0.001, le=1_000_000)]


class NodeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What this pilotlight is called among others; None: like its host."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\A[^\x00-\x1f\x7f]+\Z")] | None = None


class ClaudeConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which `claude`, and how it is started."""

    command: str | None = None
    args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    pass_env: list[str] = field(default_factory=list)
    start_timeout_seconds: Annotated[float, Meta(ge=0.1, le=3600)] = 30.0
    cross_session: Literal["refuse", "hold", "ask", "accept"] = "refuse"
    agent_view: bool = False


class ApiConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The HTTP server."""

    host: str = "127.0.0.1"
    port: Port = 3001
    threads: Annotated[int, Meta(ge=4, le=1000)] = 64
    wait_seconds: Annotated[float, Meta(ge=0, le=3600)] = 120.0
    rate_per_minute: Annotated[int, Meta(ge=0, le=1_000_000)] = 600
    allowed_hosts: list[str] = field(default_factory=list)
    allowed_origins: list[str] = field(default_factory=list)
    tls_cert: str | None = None
    tls_key: str | None = None


class BusConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The bus over TCP, for other machines: off without a host, and never without CURVE keys."""

    tcp_host: str | None = None
    tcp_request_port: Port = 3002
    tcp_event_port: Port = 3003


class SessionsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lifetime and number of sessions."""

    max_concurrent: Annotated[int, Meta(ge=1, le=10_000)] = 10
    draining: bool = False
    timeout_hours: Hours = 24.0
    warning_hours: Hours = 20.0
    columns: Annotated[int, Meta(ge=20, le=500)] = 120
    rows: Annotated[int, Meta(ge=5, le=200)] = 40
    max_queue: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    project_path: str | None = None
    browse_roots: list[str] = field(default_factory=lambda: ["~"])
    auto_keep_alive: bool = False
    auto_keep_alive_max_hours: Hours = 168.0
    recording: bool = False
    recording_max_mb: Megabytes = 20.0
    recording_days: Days = 7.0


class LimitsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Resources; docs/operations.md says what happens at each limit."""

    memory_per_session_mb: Annotated[float, Meta(ge=64, le=10_000_000)] = 500.0
    memory_total_gb: Annotated[float, Meta(ge=0.001, le=1_000_000)] = 2.0
    memory_free_percent: Annotated[float, Meta(ge=0, lt=100)] = 5.0
    cpu_percent: Annotated[float, Meta(ge=0.001, le=100)] = 80.0


class HealthConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The periodic pass."""

    interval_seconds: Annotated[float, Meta(ge=0.05, le=86_400)] = 30.0
    stuck_minutes: Annotated[float, Meta(ge=0.001, le=1_000_000)] = 15.0
    restart_seconds: Annotated[float, Meta(ge=0.001, le=3600)] = 1.0
    restart_limit: Annotated[int, Meta(ge=1, le=1000)] = 10


class EventsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much of the journal is kept."""

    keep_days: Days = 14.0
    keep_count: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 200_000
    keep_mb: Megabytes = 200.0


class LogConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Structured logs (JSON lines), rotated by size."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    max_mb: Megabytes = 10.0
    keep_files: Annotated[int, Meta(ge=1, le=1000)] = 5


class ApnsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Apple's push service, for apps of one's own. `url`: another service that speaks its protocol."""

    key_file: str
    key_id: str
    team_id: str
    topic: str
    environment: Literal["production", "sandbox"] = "production"
    url: str | None = None


class NotifyChannel(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One channel of the configuration. Which of the addresses it needs depends on its kind; see config/default.yaml."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
    kind: Literal["ntfy", "webhook", "apprise"]
    server: str | None = None
    topic: str | None = None
    token: str | None = None
    url: str | None = None
    secret: str | None = None
    form: Literal["json", "slack", "teams"] = "json"
    address: str | None = None
    rules: Rules = field(default_factory=Rules)


class NotifyConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who is told what: a command that is run with one event as JSON on its standard input, and channels."""

    command: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=lambda: ["warning", "waiting", "ended"])
    channels: list[NotifyChannel] = field(default_factory=list)
    contact: str | None = None
    url: str | None = None
    answered_seconds: Annotated[float, Meta(ge=0, le=86_400)] = 30.0
    private_hosts: list[str] = field(default_factory=list)
    push_hosts: list[str] = field(default_factory=list)
    ca_file: str | None = None
    apns: ApnsConfig | None = None


class PermissionRule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer given in advance; `tool` and `pattern` take `*`, `?` and `[...]`. See config/default.yaml."""

    tool: Annotated[str, Meta(min_length=1)]
    answer: Literal["allow", "deny"]
    pattern: str = "*"
    message: str | None = None


class PermissionsConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is answered without a person."""

    rules: list[PermissionRule] = field(default_factory=list)


class ChatConfig(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How messages reach Claude, and what they may bring along."""

    mode: Literal["interactive", "per_message"] = "interactive"
    mentions: Literal["project", "anywhere", "refuse"] = "project"


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be configured."""

    node: NodeConfig = field(default_factory=NodeConfig)
    claude: ClaudeConfig = field(default_factory=ClaudeConfig)
    api: ApiConfig = field(default_factory=ApiConfig)
    bus: BusConfig = field(default_factory=BusConfig)
    sessions: SessionsConfig = field(default_factory=SessionsConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    events: EventsConfig = field(default_factory=EventsConfig)
    log: LogConfig = field(default_factory=LogConfig)
    notify: NotifyConfig = field(default_factory=NotifyConfig)
    permissions: PermissionsConfig = field(default_factory=PermissionsConfig)
    chat: ChatConfig = field(default_factory=ChatConfig)


ENVIRONMENT: dict[str, tuple[str, str]] = {
    "MAX_CONCURRENT_SESSIONS": ("sessions", "max_concurrent"),
    "SESSION_TIMEOUT_HOURS": ("sessions", "timeout_hours"),
    "SESSION_WARNING_HOURS": ("sessions", "warning_hours"),
    "MAX_MEMORY_PER_SESSION_MB": ("limits", "memory_per_session_mb"),
    "MAX_TOTAL_MEMORY_GB": ("limits", "memory_total_gb"),
    "CPU_USAGE_LIMIT_PERCENT": ("limits", "cpu_percent"),
    "PILOTLIGHT_PORT": ("api", "port"),
}


def load(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """Read the file (absent: defaults), then the environment; raise InvalidRequest with the path of a bad key."""
    env = os.environ if environment is None else environment
    tree: dict[str, Any] = {}
    if path is not None and path.exists():
        try:
            loaded = msgspec.yaml.decode(read_foreign(path, SMALL, follow=True))
        except (msgspec.DecodeError, OSError, UnicodeDecodeError) as error:
            raise InvalidRequest(f"{path} cannot be read as YAML: {error}", code="invalid_config") from error
        if loaded is not None and not isinstance(loaded, dict):
            raise InvalidRequest(f"{path} must hold a mapping of sections.", code="invalid_config")
        tree = loaded or {}
    for name, (section, key) in ENVIRONMENT.items():
        if env.get(name):
            part = tree.setdefault(section, {})
            if not isinstance(part, dict):
                raise InvalidRequest(f"{path}: `{section}` must be a mapping.", code="invalid_config")
            part[key] = _number(name, env[name])
    return validate(tree, str(path) if path else "the configuration")


def validate(tree: Mapping[str, Any], where: str) -> Config:
    """The typed configuration of a plain tree. Raise InvalidRequest when it does not fit."""
    config = typed(tree, where)
    if config.sessions.warning_hours >= config.sessions.timeout_hours:
        raise InvalidRequest(
            f"{where}: sessions.warning_hours ({config.sessions.warning_hours:g}) must be below "
            f"sessions.timeout_hours ({config.sessions.timeout_hours:g}).",
            code="invalid_config",
        )
    if (config.api.tls_cert is None) != (config.api.tls_key is None):
        there, missing = ("tls_cert", "tls_key") if config.api.tls_key is None else ("tls_key", "tls_cert")
        raise InvalidRequest(
            f"{where}: api.{there} is of no use without api.{missing}; set both, or none.", code="invalid_config"
        )
    return config


def typed(tree: Mapping[str, Any], where: str) -> Config:
    """The same, whether its values go together or not."""
    try:
        return msgspec.convert(tree, Config)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{where}: {error}", code="invalid_config") from error


def _number(name: str, text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise InvalidRequest(
            f"Environment variable {name} must be a number, not {text!r}.", code="invalid_config"
        ) from None
