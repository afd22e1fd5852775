"""`pilotlight`: the command. This module is the edge at which every error becomes one sentence and an exit code.

It imports every command at each call, so none of them imports at its top what only it needs and what takes its time (the
network, asyncio, the metadata of the libraries): a person waits for that at each of their commands.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from cli import completion
from cli.access import bus_keys, devices, tokens
from cli.commands import (
    attention,
    backup,
    chat,
    conversations,
    doctor,
    down,
    drain,
    events,
    history,
    logs,
    manage,
    mcp,
    nodes,
    notify,
    rules,
    screen,
    service,
    sessions,
    status,
    up,
)
from cli.context import App
from cli.output import DONE, emit, report
from cli.setup.progress import StepFailed
from cli.terminal import attach
from shared import __version__
from shared.bus.messages import ErrorBody
from shared.errors import InternalError, InvalidRequest, PilotlightError, StartFailed

INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="pilotlight")
def cli() -> None:
    """Keeps interactive Claude Code sessions alive and reachable.

    Session ids may be shortened to a unique beginning. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 pilotlight is not
    running, 4 not found, 5 refused.
    """


_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

for command in (
    up.up,
    down.down,
    down.restart,
    logs.logs,
    status.status,
    status.token,
    tokens.tokens,
    notify.notify,
    rules.rules,
    bus_keys.bus_keys,
    devices.open_dashboard,
    devices.devices,
    sessions.new,
    sessions.ls,
    sessions.send,
    chat.chat,
    sessions.show,
    sessions.kill,
    attach.attach,
    attach.watch,
    attention.attention,
    attention.answer,
    events.events,
    mcp.mcp,
    doctor.doctor,
    service.service,
    backup.backup,
    backup.restore,
    sessions.message,
    *history.COMMANDS,
    conversations.import_,
    *manage.COMMANDS,
    *screen.COMMANDS,
    *nodes.COMMANDS,
    drain.drain,
    completion.completion,
):
    cli.add_command(command)

for command in (down.restart, logs.logs):
    service.service.add_command(command)


def run(arguments: Sequence[str], app: App | None = None) -> int:
    """Run one command line; return its exit code."""
    app = app or App()
    as_json = "--json" in arguments
    try:
        code = cli.main(list(arguments), prog_name="pilotlight", standalone_mode=False, obj=app)
        return code if isinstance(code, int) else DONE
    except click.ClickException as error:
        if as_json:
            emit({"error": ErrorBody(code="usage", message=error.format_message(), status=400)})
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except StepFailed as error:
        return report(StartFailed(str(error), code="setup_failed"), as_json)
    except PilotlightError as error:
        return report(error, as_json)
    except BrokenPipeError:
        # The reader (`| head`) has left; what Python would still flush has nowhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return DONE
    except OSError as error:
        if error.filename is not None:
            told = f"{os.fsdecode(error.filename)}: {error.strerror}."
        elif error.errno in _UNWRITABLE:
            told = f"What is written or printed here has no room: {error.strerror}."
        else:
            return _bug(app, error, as_json)
        return report(InvalidRequest(told, code="file_error"), as_json)
    except UnicodeError as error:
        if isinstance(error, UnicodeEncodeError) and error.reason != "surrogates not allowed":
            return _bug(app, error, as_json)
        # A terminal or a file that speaks Latin-1; Python hands on what it cannot read as half a surrogate pair.
        return report(InvalidRequest("The text that was given is not UTF-8.", code="not_utf8"), as_json)
    except Exception as error:  # the edge: a person gets a sentence, the log gets the trace
        return _bug(app, error, as_json)
    finally:
        app.close()


def _bug(app: App, error: Exception, as_json: bool) -> int:
    return report(InternalError(f"A bug in pilotlight: {error!r}.{_keep_trace(app)}"), as_json)


def main() -> None:
    """The entry point of the `pilotlight` command."""
    if sys.stdin is None:  # closed by whoever started us: there is nothing to read
        sys.stdin = open(os.devnull)  # noqa: SIM115 - it stays as long as the process
    sys.exit(run(sys.argv[1:]))


def _keep_trace(app: App) -> str:
    import traceback

    try:
        app.paths.log_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
        log = app.paths.log_dir / "cli.log"
        with log.open("a") as file:
            traceback.print_exc(file=file)
    except (OSError, PilotlightError):
        return ""
    return f" The trace is in {log}."


if __name__ == "__main__":
    main()
