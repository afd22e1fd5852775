"""Another user of this machine, as a process: what it can read, write, list, connect to, or signal of what it is shown.

Only root can become somebody else; without root, the same questions are asked of the modes (`by_modes`).
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

NOBODY = 65534

_PROBE = """
import json, os, socket, stat, sys
paths, pids = json.load(sys.stdin)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
done = []
def attempt(what, name, act):
    try:
        act()
    except OSError:
        return
    done.append([what, name])
def connect(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(5)
        sock.connect(path)
for path, kind in paths:
    attempt("stat", path, lambda: os.stat(path))
    if kind == "socket":
        attempt("connect", path, lambda: connect(path))
    elif kind == "folder":
        attempt("list", path, lambda: os.listdir(path))
        attempt("create in", path, lambda: os.close(os.open(path + "/x", os.O_WRONLY | os.O_CREAT)))
    else:
        attempt("read", path, lambda: os.close(os.open(path, os.O_RDONLY)))
        attempt("write", path, lambda: os.close(os.open(path, os.O_WRONLY)))
        attempt("remove", path, lambda: os.unlink(path))
for pid in pids:
    attempt("signal", str(pid), lambda: os.kill(pid, 0))
    for name in ("environ", "mem"):
        attempt("read " + name, str(pid), lambda: os.close(os.open("/proc/%d/%s" % (pid, name), os.O_RDONLY)))
json.dump(done, sys.stdout)
"""


def below(home: Path) -> set[Path]:
    """A folder and everything in it but links, less what goes while this looks: what hooks have told comes and goes."""
    found = {home}
    for folder, folders, files in os.walk(home):
        found |= {Path(folder, name) for name in (*folders, *files)}
    return {path for path in found if kind_of(path) not in ("link", "gone")}


def kind_of(path: Path) -> str:
    """`socket`, `folder`, `link` or `file`; `gone` when there is none any more."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return "gone"
    kinds = (("socket", stat.S_ISSOCK), ("folder", stat.S_ISDIR), ("link", stat.S_ISLNK))
    return next((kind for kind, fits in kinds if fits(mode)), "file")


def tried(paths: Collection[Path], pids: Collection[int]) -> set[tuple[str, str]]:
    """What another user managed to do: (deed, path or pid). As root only."""
    shown = [(str(path), kind_of(path)) for path in paths]
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _PROBE],
        input=json.dumps([shown, sorted(pids)]),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return {(deed, name) for deed, name in json.loads(done.stdout)}


def by_modes(paths: Collection[Path]) -> set[tuple[str, str]]:
    """What the modes would let another user do, folders above included; the same form as `tried`."""
    return {
        ("stat", str(path))
        for path in paths
        if kind_of(path) != "gone"
        and all(folder.lstat().st_mode & 0o001 for folder in path.parents)
        and (path.lstat().st_mode & 0o007 or not path.parent.lstat().st_mode & 0o1000)
    }


def can_become_another() -> bool:
    """Whether the probe can be a real one."""
    return os.geteuid() == 0
