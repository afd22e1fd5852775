"""Folders with spaces, quotes and letters of other alphabets: home, project and everything below."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import MakeHouse


def test_awkward_folder_names_do_not_matter(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli, name='it\'s a "test" ünd 漢')
    house.start_supervisor()
    assert house.ask("echo: fine")[0] == "fine"
