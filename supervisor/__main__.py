"""`python -m supervisor`: the supervisor in the foreground, for service managers; and what works on its home without it."""

from __future__ import annotations

import gc
import os
import sys
from argparse import ArgumentParser

import msgspec

from shared import paths
from shared.bus.messages import ErrorBody
from shared.errors import PilotlightError


def main() -> int:
    parser = ArgumentParser(
        "python -m supervisor",
        description=__doc__,
        epilog="Without arguments it serves: PILOTLIGHT_HOME and config.yaml say where and how.",
    )
    what = parser.add_subparsers(dest="what", title="instead of serving (`pilotlight backup` and `restore` call these)")
    making = what.add_parser("backup", help="write all that the home holds into FILE")
    making.add_argument("file", metavar="FILE")
    making.add_argument("--transcripts", action="store_true", help="with Claude's transcripts of its sessions")
    what.add_parser("restore", help="put it back into an empty home").add_argument("file", metavar="FILE")
    arguments = parser.parse_args()
    if arguments.what is None:
        gc.disable()  # nothing of what is imported is garbage: looking for it took a tenth of the start
        from supervisor.daemon import run_daemon  # the others do not need all that

        gc.enable()
        return run_daemon(paths.resolve(), os.environ)
    from supervisor import backup

    try:
        told = backup.run(arguments, paths.resolve(), os.environ)
    except PilotlightError as error:
        told = {"error": ErrorBody.of(error)}
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    return 1 if "error" in told else 0


if __name__ == "__main__":
    sys.exit(main())
