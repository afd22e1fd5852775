"""A terminal between the holder and the CLI that writes down every byte typed: `tap.py LOG CLAUDE ARGUMENT ...`.

It is how a test proves that nothing was typed into a dialog. What a terminal is asked at the start, and answers, is not typed: it
is left out, once. `TAP_WITHOUT` names a top-level key to drop from `--settings`, so that a dialog appears which our own settings
prevent.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
import termios
import tty

ANSWER = b"\x1b[?62;22c"


def main() -> int:
    log, argv = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), sys.argv[2:]
    if dropped := os.environ.get("TAP_WITHOUT"):
        at = argv.index("--settings") + 1
        with open(argv[at]) as settings:
            argv[at] = json.dumps({key: value for key, value in json.load(settings).items() if key != dropped})
    size = fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8)
    tty.setraw(0)
    child, master = os.forkpty()
    if child == 0:
        os.execv(argv[0], argv)
    fcntl.ioctl(master, termios.TIOCSWINSZ, size)

    def resized(*_: object) -> None:
        fcntl.ioctl(master, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))

    signal.signal(signal.SIGWINCH, resized)
    asked = True
    while True:
        ready, _, _ = select.select([0, master], [], [])
        try:
            if master in ready:
                data = os.read(master, 65536)
                if not data:
                    break
                while data:
                    data = data[os.write(1, data) :]
            if 0 in ready:
                typed = os.read(0, 65536)
                os.write(log, typed.replace(ANSWER, b"", 1) if asked else typed)
                asked = asked and ANSWER not in typed
                os.write(master, typed)
        except OSError:
            break
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(max(0, main()))
