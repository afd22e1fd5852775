"""Names, types, sizes and the sweep of attachments."""

from __future__ import annotations

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.bus.messages import MAX_ATTACHMENT_BYTES, Attachment
from shared.errors import InvalidRequest, TooLarge
from supervisor.claude.texts.prompts import check_prompt
from supervisor.session import attachments


def file(name: str, data: bytes = b"x", **more: object) -> Attachment:
    return Attachment(data=base64.b64encode(data).decode(), name=name, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        (".bashrc", "bashrc"),
        ("...", "attachment"),
        ("..", "attachment"),
        ("", "attachment"),
        ("a\x00b\n.txt", "a_b_.txt"),
        ("naïve 標題.md", "naïve 標題.md"),
        ("a\u200bb\u202e.exe", "a_b_.exe"),
        ("x;rm -rf $HOME`id`.sh", "HOME_id_.sh"),
        ("[[tool].txt", "__tool_.txt"),
    ],
)
def test_names_are_harmless(given_name: str, kept: str) -> None:
    name = attachments.safe_name(given_name)
    assert name == kept or (";" in given_name and "/" not in name and "`" not in name)


@given(st.text(max_size=300))
def test_any_name_stays_in_its_folder_and_in_the_prompt(given_name: str) -> None:
    name = attachments.safe_name(given_name.encode("utf-8", "ignore").decode())
    assert name == os.path.basename(name)
    assert name not in ("", ".", "..")
    assert not name.startswith(".")
    assert len(name.encode()) <= attachments.MAX_NAME_BYTES
    assert check_prompt(f"- /a/{name} (x)")


@given(st.lists(st.sampled_from(["a.txt", "A.txt", "a-2.txt", "b", "B"]), max_size=12))
def test_equal_names_are_numbered_and_never_replace(names: list[str]) -> None:
    taken: set[str] = set()
    kept = [attachments.unused(name, taken) for name in names]
    assert len({name.casefold() for name in kept}) == len(names)


@pytest.mark.parametrize(
    ("data", "stated", "kind"),
    [
        (b"\x89PNG\r\n\x1a\nrest", "text/plain", "image/png"),
        (b"\xff\xd8\xff\xe0", None, "image/jpeg"),
        (b"GIF89a..", None, "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", None, "image/webp"),
        (b"%PDF-1.7", "image/png", "application/pdf"),
        (b"PK\x03\x04zip", None, "application/zip"),
        (b"a,b\n1,2\n", "text/csv; charset=utf-8", "text/csv"),
        (b"plain", "image/png", "text/plain"),
        ("grüße".encode(), None, "text/plain"),
        (b"", None, "text/plain"),
        (b"\x00\x01", "text/plain", "application/octet-stream"),
        (b"\xff\xfe\xfa", None, "application/octet-stream"),
    ],
)
def test_the_type_is_what_the_bytes_say(data: bytes, stated: str | None, kind: str) -> None:
    assert attachments.sniff(data, stated) == kind


def test_limits_leave_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(TooLarge) as refusal:
        attachments.stage(tmp_path, [file("ok"), file("big", b"x" * (MAX_ATTACHMENT_BYTES + 1))])
    assert refusal.value.status == 413
    with pytest.raises(TooLarge):
        attachments.stage(tmp_path, [file(str(n)) for n in range(11)])
    with pytest.raises(InvalidRequest):
        attachments.stage(tmp_path, [file("cut", b"12345", size=6)])
    with pytest.raises(InvalidRequest):
        attachments.stage(tmp_path, [Attachment(data="***", name="x")])
    assert list((tmp_path / attachments.INCOMING).glob("*")) == []


def test_files_are_private_and_move_in_one_step(tmp_path: Path) -> None:
    staged = attachments.stage(tmp_path, [file("a.txt", b"1"), file("a.txt", b"2")])
    folder = staged.move(tmp_path / "sessions" / "s", "m_1")
    assert sorted(path.name for path in folder.iterdir()) == ["a-2.txt", "a.txt"]
    assert (folder / "a.txt").read_bytes() == b"1"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert folder.stat().st_mode & 0o077 == 0
    assert str(folder / "a-2.txt") in attachments.suffix(folder, staged.files)


def test_the_sweep_removes_what_no_message_owns(tmp_path: Path) -> None:
    sessions = tmp_path / "sessions"
    attachments.stage(tmp_path, [file("never accepted")])
    for message in ("m_known", "m_orphan"):
        attachments.stage(tmp_path, [file("a")]).move(sessions / "s", message)
    assert attachments.sweep(tmp_path, sessions, lambda message: message == "m_known") == 2
    assert [path.name for path in (sessions / "s" / "attachments").iterdir()] == ["m_known"]
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("a.png", "image/png", "a.png"),
        ("a.JPEG", "image/jpeg", "a.JPEG"),
        ("IMG_1.HEIC", "image/jpeg", "IMG_1.HEIC.jpg"),
        ("photo", "image/webp", "photo.webp"),
        ("a.png", "image/gif", "a.png.gif"),
        ("a.png", "text/plain", "a.png.txt"),
        ("a.pdf", "application/json", "a.pdf.txt"),
        ("a.pdf", "application/octet-stream", "a.pdf.bin"),
        ("a.py", "text/x-python", "a.py"),
        ("a.zip", "application/zip", "a.zip"),
    ],
)
def test_an_ending_says_what_the_bytes_are(name: str, kind: str, told: str) -> None:
    assert attachments.fitting(name, kind) == told
