"""`python -m supervisor`: the supervisor in the foreground, for service managers."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser

from shared import paths
from supervisor.daemon import run_daemon

if __name__ == "__main__":
    ArgumentParser(
        "python -m supervisor",
        description=__doc__,
        epilog="It takes no arguments: PILOTLIGHT_HOME and config.yaml say where and how.",
    ).parse_args()
    sys.exit(run_daemon(paths.resolve(), os.environ))
