"""Files sent with a message: Claude finds and reads them without asking, and they go with the session."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from shared.errors import TooLarge
from tests.harness import House, until
from tests.shared_houses import SharedHouse

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_claude_is_told_of_files_and_reads_them_without_asking(house: House) -> None:
    files = [
        {"data": encoded(b"the secret is PAPAYA"), "name": "../../note.txt"},
        {"data": encoded(PNG), "name": "dot.HEIC", "mimeType": "text/plain"},
    ]
    sent = house.send("echo: look at these", attachments=files)
    message, session = sent["message"], sent["session"]["id"]
    assert message["state"] == "answered"
    assert message["text"] == "echo: look at these"
    assert [(item["name"], item["mimeType"]) for item in message["attachments"]] == [
        ("note.txt", "text/plain"),
        ("dot.HEIC.png", "image/png"),
    ]
    prompt = house.model.turns()[-1].prompt
    for item in message["attachments"]:
        path = Path(item["path"])
        assert path.is_relative_to(house.paths.session_dir(session) / "attachments" / message["id"])
        assert path.stat().st_mode & 0o777 == 0o600
        assert f"{path} ({item['mimeType']}" in prompt
        reply, _ = house.ask(f"[[tool Read {json.dumps({'file_path': str(path)})}]]", session)
        assert "PAPAYA" in reply or b'"media_type":"image/png"' in house.model.bodies()[-1]
    # The same as a form, as curl -F and phones send it, under names that lead elsewhere.
    house.start_api()
    names = ("../../../etc/cron.d/x", "..\\..\\保存.png", "/etc/passwd", ".bashrc")
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\nthe word is KIWI\r\n'
        for name in names
    )
    form = f'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\necho: form\r\n{parts}--b--\r\n'
    path = f"/api/sessions/{session}/messages?"
    kind = {"Content-Type": "multipart/form-data; boundary=b"}
    status, posted = house.http("POST", path, form.encode(), headers=kind)
    assert status == 202
    receipt = house.message(posted["messageId"], wait=60)
    folder = house.paths.session_dir(session) / "attachments" / posted["messageId"]
    assert sorted(item["name"] for item in receipt["attachments"]) == sorted(file.name for file in folder.iterdir())
    assert [Path(item["path"]).parent for item in receipt["attachments"]] == [folder] * len(names)
    assert all(not item["name"].startswith(".") for item in receipt["attachments"])
    saved = next(item for item in receipt["attachments"] if "保存" in item["name"])
    assert (saved["name"], saved["mimeType"]) == ("保存.png.txt", "text/plain"), "what it is called is not what it is"
    for item in receipt["attachments"][:2]:
        assert "KIWI" in house.ask(f"[[tool Read {json.dumps({'file_path': item['path']})}]]", session)[0]

    def tools() -> list[str]:
        return sorted(event["data"]["phase"] for event in house.events(session=session) if event["kind"] == "tool")

    # Hooks run side by side: those of a tool may be heard after the reply.
    until(lambda: len(tools()) >= 8, "every tool has told of its beginning and its end")
    assert tools() == ["finished"] * 4 + ["started"] * 4
    assert not [event for event in house.events(session=session) if event["kind"] == "waiting"]

    house.call("session.hibernate", {"sessionId": session})
    assert Path(message["attachments"][0]["path"]).exists()
    house.call("session.kill", {"sessionId": session})
    assert not (house.paths.session_dir(session) / "attachments").exists()


def test_a_refused_file_accepts_nothing(house: SharedHouse) -> None:
    house.alone()
    big = {"data": encoded(b"x" * (10 * 1024 * 1024 + 1)), "name": "big.bin"}
    with pytest.raises(TooLarge):
        house.send("echo: never", attachments=[big])
    assert house.call("session.list")["sessions"] == []
    assert house.model.turns() == []
    assert list((house.home / "incoming").glob("*")) == []


def test_a_repeated_request_keeps_one_set_of_files(house: House) -> None:
    files = [{"data": encoded(b"once"), "name": "a.txt"}]
    first = house.send("echo: once", key="files", attachments=files)
    again = house.send("echo: once", key="files", attachments=files)
    assert again["duplicate"]
    assert again["message"]["id"] == first["message"]["id"]
    folder = house.paths.session_dir(first["session"]["id"]) / "attachments"
    assert [path.name for path in folder.iterdir()] == [first["message"]["id"]]
