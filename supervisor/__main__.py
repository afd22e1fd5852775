"""`python -m supervisor`: the supervisor in the foreground, for service managers."""

from __future__ import annotations

import os
import sys

from shared import paths
from supervisor.daemon import run_daemon

if __name__ == "__main__":
    sys.exit(run_daemon(paths.resolve(), os.environ))
