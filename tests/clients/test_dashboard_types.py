"""The dashboard's own code against the types of our own API: checked by `tsc`, which nothing else of the dashboard needs.

The types are made of the OpenAPI document (`openapi-typescript`), and what each call answers is found by its path
(`dashboard/calls.d.ts`). So a member that the API does not have is an error here, not an `undefined` on somebody's screen.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from api.web.assets import STATIC
from cli.setup import generators
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.clients.test_generated import SECONDS, TSC, environment, run

TYPES = Path(__file__).parent / "dashboard"

WRONG = """
import {{ get }} from "./api.js";
import {{ sessions }} from "./store.js";
import {{ titleOf }} from "./words.js";
export async function look(id) {{
  for (const one of sessions.value.values()) titleOf(one);
  const page = await get(`/api/sessions/${{id}}/history?limit=5`);
  return page.entries.map((entry) => {expression});
}}
"""
"""A module as the dashboard's are, with room for a fault."""

FAULTS = {
    "entry.role": None,
    "entry.speaker": "Property 'speaker' does not exist",
    "sessions.value.get(id).projectPaht": "Property 'projectPaht' does not exist",
    "sessions.value.get(id).state === 'asleep'": "no overlap",
    "titleOf(entry)": "TS2740",  # properties of a session are missing
    "get('/api/nothing').then((answer) => answer.sessions)": "does not exist on type 'never'",
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dashboard's code beside the types, and beside modules with one fault each."""
    tools = generators.folder()
    assert (tools / "installed").is_file(), f"{tools} is missing; ./test installs it"
    folder = tmp_path_factory.mktemp("types")
    (folder / "node_modules").symlink_to(tools / "node_modules")
    shutil.copytree(STATIC / "app", folder / "static" / "app")
    shutil.copytree(TYPES, folder / "types", ignore=shutil.ignore_patterns("vendor"))
    shutil.copytree(TYPES / "vendor", folder / "static" / "vendor")
    (folder / "types" / "tsconfig.json").rename(folder / "tsconfig.json")
    ask = Caller(tmp_path_factory.mktemp("home"), FakeSupervisor())
    (folder / "openapi.json").write_bytes(ask("GET", "/api/openapi.json", headers={"Authorization": None}).data)
    generate = ("node_modules/.bin/openapi-typescript", "openapi.json", "--empty-objects-unknown")
    run(folder, "node", *generate, "-o", "types/schema.d.ts")
    for number, expression in enumerate(FAULTS):
        (folder / "static" / "app" / f"fault{number}.js").write_text(WRONG.format(expression=expression))
    return folder


def test_the_dashboard_names_nothing_that_the_api_does_not_have(checked: Path) -> None:
    command = [*TSC, "-p", ".", "--pretty", "false"]
    done = subprocess.run(
        command, cwd=checked, env=environment(checked), capture_output=True, text=True, timeout=SECONDS
    )
    said = [line for line in done.stdout.splitlines() if line.startswith("static/")]

    assert [line for line in said if "/fault" not in line] == []
    for number, (expression, complaint) in enumerate(FAULTS.items()):
        about = [line for line in said if f"/fault{number}.js" in line]
        assert about == [] if complaint is None else any(complaint in line for line in about), (expression, about)
