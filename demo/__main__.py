"""`python -m demo [--port N] [--home DIR]`: the demo model in the foreground, until Ctrl+C or SIGTERM."""

from __future__ import annotations

import argparse
import shlex
import signal
import threading
from pathlib import Path

from demo.home import demo_environment, prepare_home
from demo.server import DemoModel


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m demo", description="A scripted Messages API on loopback.")
    parser.add_argument("--port", type=int, default=0, help="default: any free port")
    parser.add_argument("--home", type=Path, help="prepare this throw-away HOME and print the command to use it")
    arguments = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    with DemoModel(port=arguments.port) as model:
        print(model.url, flush=True)
        if arguments.home is not None:
            home = arguments.home.absolute()
            prepare_home(home, trusted=[Path.cwd()])
            variables = " ".join(
                f"{name}={shlex.quote(value)}" for name, value in demo_environment(home, model.url).items()
            )
            print(f'env -i PATH="$PATH" TERM="$TERM" {variables} claude', flush=True)
        done.wait()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
