"""How `claude` is found and started: its command line, its settings with our hooks, its clean environment.

A child gets an allow-listed environment: variables such as `CI`, `CLAUDECODE`, `CLAUDE_CODE_*` and `ANTHROPIC_*` change
how the CLI behaves, so the supervisor's own are never passed through. What a user wants passed is named in
`claude.pass_env` or set in `claude.env`.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import releases
from shared.claude_names import CONFIG_DIR, HOME_FOLDER
from shared.config import ClaudeConfig
from shared.errors import StartFailed
from shared.foreign_file import SMALL, read_foreign
from supervisor.claude import private_arguments, release
from supervisor.claude.hooks import ASKING_EVENTS, ASYNC_EVENTS, NEWER_EVENTS, SESSION_END, TOOL_EVENTS
from supervisor.claude.settings import protection, set_up
from supervisor.claude.settings.set_up import EDITOR_NAME

RESUME_QUESTION = ("CLAUDE_CODE_RESUME_THRESHOLD_MINUTES", "CLAUDE_CODE_RESUME_TOKEN_THRESHOLD")
NEVER = "1000000000"
"""From which age and size on the CLI asks "Resume from summary?" before it goes on: it is our sleeping that makes a
conversation old, so nobody is asked, unless `claude.env` or `claude.pass_env` sets them."""

HERE = Path(__file__).resolve().parent
HOOK_PROGRAM = HERE / "hook.sh"
EDITOR_PROGRAM = HERE / "editor.sh"
PASSED = (
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "TMPDIR",
    "TZ",
    "SSH_AUTH_SOCK",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
)
"""The allow-list."""

USUAL_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
PATH_ADDITIONS = ("~/.local/bin", "~/.claude/local", "/opt/homebrew/bin", "/usr/local/bin")
"""Where `claude` usually is; launchd and systemd start us with a bare PATH."""

ANSWER_PATIENCE_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Launch:
    """One start of the CLI."""

    argv: list[str]
    env: dict[str, str]
    cwd: str


@dataclass(frozen=True)
class Options:
    """What a session was created with, as far as the command line is concerned."""

    model: str | None = None
    permission_mode: str | None = None
    effort: str | None = None
    add_dirs: tuple[str, ...] = ()
    mcp_config: str | None = None
    append_system_prompt: str | None = None


def environment(config: ClaudeConfig, own: Mapping[str, str]) -> dict[str, str]:
    """The child's environment, less what belongs to one session."""
    env = {name: own[name] for name in (*PASSED, *config.pass_env) if name in own}
    env.setdefault("HOME", str(Path.home()))
    path = [*env.get("PATH", USUAL_PATH).split(":")]
    home = config.env.get("HOME", env["HOME"])
    for extra in PATH_ADDITIONS:
        folder = extra.replace("~", home, 1)
        if folder not in path and Path(folder).is_dir():
            path.append(folder)
    env.update(PATH=":".join(path), TERM="xterm-256color", COLORTERM="truecolor", LANG="C.UTF-8")
    if "UTF-8" in own.get("LANG", "").upper():
        env["LANG"] = own["LANG"]
    env["DISABLE_AUTOUPDATER"] = "1"
    env.update({name: NEVER for name in RESUME_QUESTION if name not in env})
    env.update(config.env)
    if env.get(CONFIG_DIR, "").startswith("~"):  # no shell has seen it: the CLI would make a folder of that name
        env[CONFIG_DIR] = env[CONFIG_DIR].replace("~", env["HOME"], 1)
    return env


def find(config: ClaudeConfig, own: Mapping[str, str]) -> str:
    """The absolute path of the CLI. Raise StartFailed that says where it was looked for, or that its home is nowhere."""
    home = environment(config, own).get(CONFIG_DIR)
    if home and not Path(home).is_absolute():
        raise StartFailed(
            f"{CONFIG_DIR} is {home!r}, which is another folder in each project. Make it an absolute path (claude.env).",
            code="invalid_claude_home",
        )
    wanted = config.command or own.get("PILOTLIGHT_CLAUDE")
    path = environment(config, own)["PATH"]
    if wanted:
        wanted = os.path.expanduser(wanted)
        if "/" not in wanted:
            found = shutil.which(wanted, path=path)
            if found:
                return found
            raise StartFailed(
                f"`{wanted}` (claude.command) is not on PATH. Set claude.command to its absolute path.",
                code="claude_not_found",
            )
        if not Path(wanted).exists():
            raise StartFailed(
                f"{wanted} does not exist. Set claude.command in config.yaml to where `claude` is.",
                code="claude_not_found",
            )
        if Path(wanted).is_dir() or not os.access(wanted, os.X_OK):
            raise StartFailed(
                f"{wanted} is not executable. Run `chmod +x {shlex.quote(wanted)}` or set claude.command.",
                code="claude_not_executable",
            )
        return wanted
    found = shutil.which("claude", path=path)
    if found:
        return found
    raise StartFailed(
        "`claude` was not found on PATH. Install it with `npm install -g @anthropic-ai/claude-code`, or set "
        "claude.command in config.yaml to its absolute path.",
        code="claude_not_found",
    )


def hook_command(session_dir: Path, event: str) -> str:
    """What Claude runs for an event of one session, as it stands in its settings and, for Stop, in its transcript. Claude gives
    it to a shell, which reads the program itself: another shell for it was a third of what a hook costs beside Claude. Where the
    program has gone, nothing is said: a shell that cannot find a file ends with 2, which Claude takes for a refusal."""
    program = shlex.quote(str(HOOK_PROGRAM))
    return f"set -- {shlex.quote(str(session_dir))} {event}; [ ! -r {program} ] || . {program}"


def events_of(version: str | None) -> tuple[str, ...]:
    """The hook events that are asked for of this release; None: it is not known."""
    release = releases.parse(version)
    newer = [event for event, first in NEWER_EVENTS.items() if release is not None and release >= first]
    return (*ASYNC_EVENTS, *newer, *ASKING_EVENTS)


def settings(
    session_dir: Path, config: ClaudeConfig, denied: Sequence[str] = (), version: str | None = None
) -> dict[str, Any]:
    """The `--settings` of one session: the classic renderer, our hooks, leave to read what was attached, and what is closed:
    hooks that a project or person would switch off (and the owner's rules with them: ours wins, measured), what `denied` names,
    messages of other sessions, and the agent view, which would move the session to a process of Claude's own.

    `--add-dir` would ask for trust on 2.1.330, so attachments are granted by a permission rule (`//` is an absolute path).
    """
    hooks: dict[str, Any] = {}
    for event in events_of(version):
        entry: dict[str, Any] = {"type": "command", "command": hook_command(session_dir, event)}
        if event in ASKING_EVENTS:
            entry["timeout"] = ANSWER_PATIENCE_SECONDS
        elif event != SESSION_END:
            entry["async"] = True
        group: dict[str, Any] = {"hooks": [entry]}
        if event in TOOL_EVENTS:
            group["matcher"] = "*"
        hooks[event] = [group]
    closed: dict[str, Any] = {} if config.agent_view else {"disableAgentView": True}
    if config.cross_session != "ask":  # by itself Claude asks about some; whatever is set, it does not ask
        closed["crossSessionInbound"] = config.cross_session
    return {
        "tui": "default",
        "env": set_up.editor_settings(session_dir),
        "hooks": hooks,
        "disableAllHooks": False,
        "permissions": {"allow": protection.readable(session_dir), "deny": list(denied)},
        **closed,
    }


async def learn_release(config: ClaudeConfig, own: Mapping[str, str], again: bool = False) -> str | None:
    """Find out the version of the CLI that `launch` would start; None when it does not say it. Raise StartFailed when
    there is none."""
    return await release.learn(find(config, own), environment(config, own), again)


def launch(
    *,
    config: ClaudeConfig,
    own: Mapping[str, str],
    session_dir: Path,
    temporary: Path | None = None,
    cwd: str,
    conversation_id: str,
    resume: bool,
    fork_from: str | None = None,
    options: Options,
    denied: Sequence[str] = (),
    hooks: Callable[[dict[str, Any]], dict[str, Any]] = lambda hooks: hooks,
) -> Launch:
    """The command line for a new conversation (`--session-id`), an existing one (`--resume`), or a fork of one.

    `temporary` becomes TMPDIR, unless `claude.env` sets one: both releases keep task output there, 2.1.330 also its
    socket, and never remove all of it. `denied` are Claude's rules for what the session may not touch. What others must not
    read in `ps` is written into files of `session_dir`. `hooks` changes our hooks for another kind of process.
    """
    theirs, arguments = _take_settings(config.args)
    program = find(config, own)
    release.refuse_old(program)
    ours = settings(session_dir, config, denied, release.known(program))
    merged = _merge(theirs, {**ours, "hooks": hooks(ours["hooks"])})
    home, persons = claude_home(config, own), theirs.get("env") or {}
    persons = {**set_up.environment(home, Path(cwd)), **persons}
    if "PATH" in persons:
        merged["env"]["PATH"] = f"{persons['PATH']}:{session_dir / 'bin'}"
    argv = [program, *private_arguments.words(session_dir, "--settings", json.dumps(merged))]
    if fork_from:
        argv += ["--resume", fork_from, "--fork-session", "--session-id", conversation_id]
    else:
        argv += ["--resume" if resume else "--session-id", conversation_id]
    if options.permission_mode or "--permission-mode" not in config.args:
        argv += ["--permission-mode", options.permission_mode or "default"]
    for flag, value in (
        ("--model", options.model),
        ("--effort", options.effort),
    ):
        if value:
            argv += [flag, value]
    if options.mcp_config:
        inline = options.mcp_config.lstrip().startswith("{")
        argv += (
            private_arguments.words(session_dir, "--mcp-config", options.mcp_config)
            if inline
            else ["--mcp-config", options.mcp_config]
        )
    if options.append_system_prompt:
        argv += private_arguments.words(session_dir, "--append-system-prompt-file", options.append_system_prompt)
    for folder in options.add_dirs:
        argv += ["--add-dir", folder]
    argv += arguments
    env = environment(config, own)
    if temporary is not None and "TMPDIR" not in config.env:
        env["TMPDIR"] = str(temporary)
    person = set_up.editor(persons, env, own)
    env.update(
        **set_up.editor_settings(session_dir),
        PATH=f"{env['PATH']}:{session_dir / 'bin'}",
        PILOTLIGHT_EDITOR=person,
        PILOTLIGHT_SESSION_DIR=str(session_dir),
    )
    return Launch(argv=argv, env=env, cwd=cwd)


def _take_settings(arguments: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The `--settings` of `claude.args` (JSON or a file), and the arguments without it: a second one would replace ours,
    and with it the hooks (measured). Raise StartFailed when it cannot be read."""
    rest, texts = [], []
    words = iter(arguments)
    for word in words:
        if word == "--settings":
            texts.append(next(words, ""))
        elif word.startswith("--settings="):
            texts.append(word.partition("=")[2])
        else:
            rest.append(word)
    merged: dict[str, Any] = {}
    for text in texts:
        try:
            body = text if text.lstrip().startswith("{") else _settings_text(text)
            merged = _merge(merged, json.loads(body))
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise StartFailed(
                f"The --settings in claude.args cannot be read: {error}.", code="invalid_claude_args"
            ) from error
    return merged, rest


def _settings_text(name: str) -> str:
    return read_foreign(Path(name).expanduser(), SMALL, follow=True).decode()


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Both trees in one; lists are joined, and `above` wins otherwise."""
    merged = dict(below)
    for key, value in above.items():
        known = merged.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[key] = _merge(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            merged[key] = [*known, *value]
        else:
            merged[key] = value
    return merged


def link_editor(session_dir: Path) -> None:
    """Put the editor into the session's `bin`, which `launch` adds to PATH; an upgrade moves the link."""
    link = session_dir / "bin" / EDITOR_NAME
    link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = link.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(EDITOR_PROGRAM)
    fresh.rename(link)


def keep_temporary(folder: Path) -> None:
    """Make TMPDIR anew if something that tidies up has removed it, with the folder that both releases make in it once, at
    their start: without that they cannot call the editor (measured)."""
    (folder / f"claude-{os.getuid()}").mkdir(mode=0o700, parents=True, exist_ok=True)


def claude_home(config: ClaudeConfig, own: Mapping[str, str]) -> Path:
    """Where this CLI keeps transcripts and status files."""
    env = environment(config, own)
    custom = env.get(CONFIG_DIR)
    return Path(custom) if custom else Path(env["HOME"]) / HOME_FOLDER


def read_back(argv: list[str]) -> tuple[str | None, dict[str, Any]]:
    """The conversation and the options that a command line of `launch` stands for; (None, {}) when it is not one."""

    def behind(flag: str) -> str | None:
        at = argv.index(flag) + 1 if flag in argv else len(argv)
        return argv[at] if at < len(argv) else None

    conversation = behind("--session-id") or behind("--resume")
    if conversation is None:
        return None, {}
    flags = {
        "model": "--model",
        "effort": "--effort",
        "permission_mode": "--permission-mode",
    }
    options = {name: behind(flag) for name, flag in flags.items()}
    options["mcp_config"] = private_arguments.read(argv, "--mcp-config")
    options["append_system_prompt"] = private_arguments.read(argv, "--append-system-prompt-file")
    return conversation, {name: value for name, value in options.items() if value is not None}
