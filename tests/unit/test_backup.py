"""Which files of a home a backup takes."""

from __future__ import annotations

from pathlib import Path

from shared import paths
from supervisor.backup import _home_files


def test_what_a_person_has_attached_is_in_it_whatever_it_is_called(tmp_path: Path) -> None:
    places = paths.resolve({"PILOTLIGHT_HOME": str(tmp_path)})
    session = places.session_dir("s")
    kept = [f"attachments/m_1/{name}" for name in ("inventory.db", "notes.tmp", "ring", "exit.json", "photo.png")]
    for name in (*kept, "ring", "exit.json", "outbox/m.new", "spool/x.answer", "settings.json"):
        (session / name).parent.mkdir(parents=True, exist_ok=True)
        (session / name).touch()
    for name in ("pilotlight.db", "pilotlight.db-wal", "search.db", "config.yaml"):
        (tmp_path / name).touch()

    found = {name.removeprefix(f"{session.relative_to(tmp_path)}/") for _, name in _home_files(places)}

    assert found == {*kept, "settings.json", "config.yaml"}
