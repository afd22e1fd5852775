"""A file of a message's is a download, whatever it says it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.http.files import download
from shared.errors import NotFound


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n...", "image/png"),
        ("photo.webp", b"RIFF....WEBP", "image/webp"),
        ("lies.png", b"<script>alert(1)</script>", "application/octet-stream"),
        ("page.html", b"<!doctype html>", "application/octet-stream"),
        ("picture.svg", b"<svg onload='x'/>", "application/octet-stream"),
    ],
)
def test_its_type_is_what_its_bytes_say_and_it_is_never_a_page(
    tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(data)
    response = download([{"path": str(tmp_path / name)}], 0)
    assert (response.data, response.content_type) == (data, kind)
    assert response.headers["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("number", [-1, 1])
def test_one_that_is_not_there_is_not_found(tmp_path: Path, number: int) -> None:
    with pytest.raises(NotFound):
        download([{"path": str(tmp_path / "gone")}], number)
    with pytest.raises(NotFound):
        download([{"path": str(tmp_path / "gone")}], 0)
