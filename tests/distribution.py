"""Wheel and sdist of this tree, built as a packager builds them, without a network."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.harness import ROOT

PACKAGES = ("api", "cli", "config", "demo", "launchd", "pilotlight", "shared", "supervisor", "systemd")
_BUILD = "import sys; from setuptools import build_meta; getattr(build_meta, sys.argv[1])(sys.argv[2])"


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the sdist, made from a copy of the tree in `folder`."""
    out = _made(folder, "build_wheel", "build_sdist")
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def build_wheel(folder: Path) -> Path:
    """The wheel alone."""
    (wheel,) = _made(folder, "build_wheel").glob("*.whl")
    return wheel


def _made(folder: Path, *hooks: str) -> Path:
    tree, out = folder / "tree", folder / "dist"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "node_modules")
    shutil.copytree(ROOT, tree, ignore=ignored)
    for hook in hooks:
        made = subprocess.run([sys.executable, "-c", _BUILD, hook, str(out)], cwd=tree, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-2000:]
    return out
