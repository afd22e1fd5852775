"""What is in an archive that somebody else has made, and where that leads to."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from shared.errors import InvalidRequest, StorageFailed
from supervisor import archive, backup
from supervisor.moving import bundle


def link(member: tarfile.TarInfo) -> None:
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"


def folder(member: tarfile.TarInfo) -> None:
    member.type = tarfile.DIRTYPE


def sparse(member: tarfile.TarInfo) -> None:
    member.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(10**12), "GNU.sparse.numblocks": "1"}


def named(name: str) -> object:
    return lambda member: setattr(member, "name", name)


ODD = [
    pytest.param(named("transcripts//etc/passwd"), id="joins as an absolute path"),
    pytest.param(named("/etc/passwd"), id="absolute"),
    pytest.param(named("home/../../x"), id="upwards"),
    pytest.param(named("home/./x"), id="another spelling"),
    pytest.param(link, id="link"),
    pytest.param(folder, id="folder"),
    pytest.param(sparse, id="a terabyte of nothing"),
]


def made(path: Path, mode: str, spoil: object) -> Path:
    with tarfile.open(path, mode) as into:
        member = tarfile.TarInfo("home/x")
        spoil(member)  # type: ignore[operator]
        into.addfile(member, io.BytesIO())
    return path


@pytest.mark.parametrize("spoil", ODD)
def test_nothing_leads_out_of_where_it_is_put_and_nothing_is_longer_than_what_came(
    tmp_path: Path, spoil: object
) -> None:
    with pytest.raises(InvalidRequest, match="never put there"):
        bundle.verify(made(tmp_path / "bundle.tar", "w", spoil))
    with pytest.raises(StorageFailed, match="never put there"):
        backup.verify(made(tmp_path / "backup.tar.gz", "w:gz", spoil))


def test_what_we_put_there_is_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as into:
        into.addfile(tarfile.TarInfo("transcripts/a/subagents/agent 1..jsonl"), io.BytesIO())
    with tarfile.open(tmp_path / "x.tar", "r|") as opened:
        assert [name for name, _ in archive.members(opened)] == ["transcripts/a/subagents/agent 1..jsonl"]
