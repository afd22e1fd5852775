"""Clients that others generate from our OpenAPI document: made without a warning, compiled strictly, and talked through.

Making and compiling takes most of the time, so what was made is kept in the ignored folder of this checkout for as long as the
document, the programs here and the generators are the same.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.setup import generators
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.harness import ROOT, House

HERE = Path(__file__).parent
PROGRAMS = (
    "talk.py",
    "fetched.ts",
    "hey.ts",
    "mypy.ini",
    "openapi-python-client.yaml",
    "openapi-ts.config.mjs",
    "tsconfig.json",
)
SECONDS = 110
TSC = ("node", "node_modules/typescript-native/bin/tsc", "--singleThreaded")
"""The compiler in Go: a tenth of the time of the one in JavaScript, which the generators are written against."""

KEPT = 3
"""How many of the documents of late are kept with their clients."""

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all three clients, made and compiled."""
    ask = Caller(tmp_path_factory.mktemp("home"), FakeSupervisor())
    document = ask("GET", "/api/openapi.json", headers={"Authorization": None}).data
    tools = generators.folder()
    assert (tools / "installed").is_file(), f"{tools} is missing; ./test installs it"
    parts = [document, tools.name.encode(), *((HERE / name).read_bytes() for name in PROGRAMS)]
    parts.append((ROOT / "requirements-test.lock").read_bytes())
    base = ROOT / ".state" / "generated"
    folder = base / hashlib.sha256(b"".join(parts)).hexdigest()[:16]
    with one_at_a_time(base):
        if not (folder / "compiled").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder, document, tools)
            (folder / "compiled").touch()
        for old in sorted(base.glob("*/"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            shutil.rmtree(old)
    return folder


@contextmanager
def one_at_a_time(base: Path) -> Iterator[None]:
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(folder: Path, document: bytes, tools: Path) -> None:
    """Generate and compile, the two languages side by side."""
    (folder / "openapi.json").write_bytes(document)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(tools / "node_modules")
    for name in PROGRAMS:
        shutil.copy(HERE / name, folder / name)

    def python() -> None:
        config = ("--meta", "none", "--config", "openapi-python-client.yaml", "--fail-on-warning")
        generator = (
            "openapi_python_client",
            "generate",
            "--path",
            "openapi.json",
            "--output-path",
            "generated",
            *config,
        )
        run(folder, sys.executable, "-m", *generator)
        strictly = ("--config-file", "mypy.ini", "--cache-dir", os.devnull)  # nobody looks at it again
        run(folder, sys.executable, "-m", "mypy", *strictly, "talk.py", "generated")

    def typescript() -> None:
        run(folder, "node", "node_modules/.bin/openapi-typescript", "openapi.json", "-o", "schema.ts")
        run(folder, "node", "node_modules/.bin/openapi-ts", "-f", "openapi-ts.config.mjs")
        run(folder, *TSC, "-p", ".")

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(python), threads.submit(typescript)]:
            done.result()


def run(folder: Path, *command: str) -> str:
    """What the command said; it must not fail."""
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
    return done.stdout


def environment(folder: Path) -> dict[str, str]:
    """As little as they need."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "NO_COLOR": "1"}


def test_clients_made_by_three_generators_compile_strictly_and_talk(made: Path, served: House) -> None:
    address = served.api_address()
    assert address is not None
    arguments = (f"http://{address[0]}:{address[1]}", served.token, str(served.project))
    # One process of Claude for all three: the first client opens the session, and the others go on in it.
    expected = {"reply": "BANANA", "roles": ["user", "assistant"] * 2, "refused": "session_not_found"}
    told = talk(made, sys.executable, "talk.py", *arguments)
    session = told.pop("session")
    assert told == expected
    assert talk(made, "node", "built/fetched.js", *arguments, session) == expected
    assert talk(made, "node", "built/hey.js", *arguments, session) == expected | {"streamed": True}


def talk(folder: Path, *program: str) -> Any:
    """What a program says of its conversation."""
    return json.loads(run(folder, *program).splitlines()[-1])
