"""What is well and what is not, each check by name, with a sentence that says what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from shared.claude_names import NO_LOGIN_NEEDED
from shared.config import LimitsConfig, NotifyConfig
from shared.errors import PilotlightError
from supervisor.claude import command_line, release
from supervisor.claude.settings import keybindings, login, set_up
from supervisor.delivery.prompt_box import ADVICE, EDITOR_TAKEN
from supervisor.lifecycle.launch import other_home
from supervisor.pool import resources
from supervisor.pool.pool import Pool
from supervisor.session.view import wants_login
from supervisor.state.states import State

LOW_DISK_BYTES = 500 * 1024 * 1024
NO_DISK_BYTES = 20 * 1024 * 1024


def check(name: str, status: str, detail: str) -> dict[str, str]:
    """One finding; `status` is ok, warn or fail."""
    return {"name": name, "status": status, "detail": detail}


def run_checks(pool: Pool, memory_total: int, facts: dict[str, Any]) -> dict[str, Any]:
    """All findings; `healthy` when all are ok, `unhealthy` when one failed, else `degraded`."""
    config = pool.services.config()
    checks = [
        check("supervisor", "ok", f"pid {os.getpid()}"),
        _bus(pool, facts.get("busTcp")),
        _cli(facts),
        _login(pool),
        _disk(pool),
        _database(pool),
        _memory(memory_total, config.limits),
        _holders(pool),
        *_hooks(pool),
        *_editors(pool),
        *_files(pool),
        *_conversations(pool),
        *_keys(pool),
        *_state(pool),
        *_notify(config.notify, facts.get("notifyError"), facts.get("notifyFailing") or []),
    ]
    worst = {c["status"] for c in checks}
    live = pool.live()
    return {
        "status": "unhealthy" if "fail" in worst else "degraded" if "warn" in worst else "healthy",
        "checks": checks,
        "node": facts.get("node"),
        "epoch": facts.get("epoch"),
        "aicliCodeAvailable": facts.get("claudeError") is None,
        "claudeVersion": facts.get("claudeVersion"),
        "activeSessions": len(live),
        "sessionCount": sum(1 for s in pool.sessions() if s.state is not State.ENDED),
        "resources": {
            "system": {
                "memoryTotalBytes": _machine_memory(),
                "diskFreeBytes": resources.free_disk(pool.services.paths.home),
                "supervisorBytes": resources.own_memory(),
            },
            "sessions": {
                "memoryBytes": memory_total,
                "memoryLimitBytes": int(config.limits.memory_total_gb * 1024**3),
                "live": len(live),
                "limit": config.sessions.max_concurrent,
            },
        },
    }


def _bus(pool: Pool, tcp: dict[str, Any] | None) -> dict[str, str]:
    paths = pool.services.paths
    try:
        paths.check_run_dir()
    except PilotlightError as error:
        return check("bus", "fail", error.message)
    missing = [a for a in (paths.request_address, paths.event_address) if not Path(a.removeprefix("ipc://")).exists()]
    if missing:
        return check("bus", "warn", f"{missing[0]} was deleted: nobody new can connect until the next health pass.")
    if tcp is not None and tcp["error"]:
        return check("bus", "warn", tcp["error"])
    return check("bus", "ok", f"answers, and listens at {tcp['requests']}" if tcp else "answers")


def _machine_memory() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def _cli(facts: dict[str, Any]) -> dict[str, str]:
    if facts.get("claudeError"):
        return check("cli", "fail", str(facts["claudeError"]))
    version = facts.get("claudeVersion")
    return check("cli", "ok", f"{facts.get('claudeCommand')}, version {version or 'not known yet'}")


def _login(pool: Pool) -> dict[str, str]:
    without = [session.id for session in pool.sessions() if wants_login(session.record, session.waiting)]
    if without:
        said = "Claude is not logged in, or its service does not accept the login any more"
        return check("login", "fail", f"{said} ({', '.join(without)}): run `claude` on this machine and use /login.")
    services = pool.services
    if services.demo:
        return check("login", "ok", NO_LOGIN_NEEDED)
    if login.is_there(services.config().claude, services.environment, services.claude_home):
        return check("login", "ok", "found")
    return check("login", "warn", "No login was found in files or environment; on macOS it may be in the keychain.")


def _disk(pool: Pool) -> dict[str, str]:
    free = resources.free_disk(pool.services.paths.home)
    status = "fail" if free < NO_DISK_BYTES else "warn" if free < LOW_DISK_BYTES else "ok"
    return check("disk", status, f"{free // 1024**2} MB free where {pool.services.paths.home} is")


def _database(pool: Pool) -> dict[str, str]:
    if pool.store.refusal is not None:
        return check("database", "fail", pool.store.refusal.message)
    try:
        pool.store.set_meta("last_check", "ok")
    except PilotlightError as error:
        return check("database", "fail", error.message)
    if pool.store.wal.held is not None:
        return check("database", "warn", pool.store.wal.held)
    return check("database", "ok", f"{pool.store.head()} events")


def _memory(used: int, limits: LimitsConfig) -> dict[str, str]:
    limit, free = limits.memory_total_gb * 1024**3, resources.free_memory_percent()
    if free < limits.memory_free_percent:
        return check("memory", "warn", f"Only {free:.1f} % of the machine's memory are free: idle sessions sleep.")
    detail = f"{used / 1024**2:.0f} of {limit / 1024**2:.0f} MB used by sessions"
    return check("memory", "warn" if used > limit else "ok", detail)


def _notify(config: NotifyConfig, error: str | None, failing: list[tuple[str, str]]) -> list[dict[str, str]]:
    found = []
    if config.command:
        found.append(check("notify", "warn" if error else "ok", error or f"{config.command[0]} is run for events"))
    return [*found, *(check("notify", "warn", f"{name}: {why}") for name, why in failing)]


def _holders(pool: Pool) -> dict[str, str]:
    silent = [s.id for s in pool.sessions() if "unresponsive" in s.health]
    if silent:
        return check("holders", "warn", f"{len(silent)} do not answer: {', '.join(silent)}")
    return check("holders", "ok", f"{len(pool.live())} answer")


def _hooks(pool: Pool) -> list[dict[str, str]]:
    """Only when there is something to be said."""
    silent = [session.id for session in pool.sessions() if "no_hooks" in session.health]
    if not silent:
        return []
    said = (
        f"Hooks are off in {', '.join(silent)}: managed settings or claude.args switch them off. `permissions.rules` is not "
        "asked there; Claude refuses by itself what it can (docs/security.md)."
    )
    return [check("hooks", "warn", said)]


def _editors(pool: Pool) -> list[dict[str, str]]:
    """Only when there is something to be said."""
    found = [session.id for session in pool.sessions() if EDITOR_TAKEN in session.health]
    return [check("editor", "fail", f"In {', '.join(found)} Claude opens another editor: {ADVICE}")] if found else []


def _files(pool: Pool) -> list[dict[str, str]]:
    """Only when there is something to be said."""
    found = [(session.id, path, why) for session in pool.sessions() for path, why in session.logs.unreadable.present()]
    if not found:
        return []
    session, path, why = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return [check("files", "warn", f"Session {session}: {path} cannot be read, since {why}. Put it right.{more}")]


def _conversations(pool: Pool) -> list[dict[str, str]]:
    """Conversations that cannot go on where they are; only when there is something to be said."""
    asleep = [session for session in pool.sessions() if session.state is State.HIBERNATED]
    elsewhere = [(session.id, why) for session in asleep if (why := other_home(session)) is not None]
    gone = [
        (session.id, f"Its project folder {session.record.project_path} is gone: bring it back, or end the session.")
        for session in asleep
        if not Path(session.record.project_path).is_dir()
    ]
    found = []
    for name, sessions in (("claude_home", elsewhere), ("projects", gone)):
        if sessions:
            more = f" (and {len(sessions) - 1} more)" if len(sessions) > 1 else ""
            found.append(check(name, "warn", f"Session {sessions[0][0]}: {sessions[0][1]}{more}"))
    return found


def _state(pool: Pool) -> list[dict[str, str]]:
    """Only when there is something to be said."""
    why = set_up.broken_state(command_line.environment(pool.services.config().claude, pool.services.environment))
    return [] if why is None else [check("claude_state", "fail", why)]


def _keys(pool: Pool) -> list[dict[str, str]]:
    """Only when there is something to be said."""
    why = keybindings.trouble(pool.services.claude_home)
    return [] if why is None else [check("keybindings", "fail", why)]


async def claude_version(pool: Pool) -> str | None:
    """What `claude --version` says now, in a clean environment; None when it does not say it in time."""
    try:
        return await command_line.learn_release(pool.services.config().claude, pool.services.environment, again=True)
    except PilotlightError:
        return None


def claude_facts(pool: Pool) -> dict[str, Any]:
    """Which CLI would be started, or why none can be."""
    try:
        program = command_line.find(pool.services.config().claude, pool.services.environment)
        release.refuse_old(program)
        return {"claudeCommand": program, "claudeError": None}
    except PilotlightError as error:
        return {"claudeCommand": None, "claudeError": error.message}
