"""`pilotlight.client`: as its page says, typed as the document says, and unmoved by an API that is killed in mid-turn."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from api.reference import client_shapes
from cli.setup import golang
from pilotlight.client import AsyncClient, Client, NotFound, Unauthorized, Unreachable
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor
from tests.harness import ROOT, House, until


def test_the_shapes_are_those_of_the_document(tmp_path: Path) -> None:
    """To mend: `python -m api.reference.client_shapes` makes them anew, and `ruff format` lays them out."""
    document = Caller(tmp_path, FakeSupervisor())("GET", "/api/openapi.json", headers={"Authorization": None}).json
    kept = (ROOT / "pilotlight" / "client" / "shapes.py").read_text()
    assert ast.dump(ast.parse(client_shapes.module(document))) == ast.dump(ast.parse(kept))


def test_nobody_is_unreachable_and_an_address_is_looked_at() -> None:
    with pytest.raises(Unreachable):
        Client("http://127.0.0.1:9", "token", patience=0.0).session("x")
    with pytest.raises(ValueError, match="is no address"):
        Client("127.0.0.1:3001", "token")


def url(house: House) -> str:
    address = house.api_address()
    assert address is not None
    return f"http://{address[0]}:{address[1]}"


def test_the_examples_of_the_page_run(served: House) -> None:
    code = "".join(re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(), re.DOTALL))
    code = code.replace("http://127.0.0.1:3001", url(served)).replace('"/tmp"', repr(str(served.project)))
    environment = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "PILOTLIGHT_TOKEN": served.token}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ["BANANA", "session_not_found", "one two three"]
    assert "user Remember the word BANANA" in lines
    assert lines[-1] == "['a', 'b']"
    with pytest.raises(Unauthorized):
        Client(url(served), "wrong").session("x")


def talks(command: list[str], environment: dict[str, str]) -> None:
    """The program of an example: it is answered, and told the events from the first to the last."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "BANANA"
    assert lines[1].endswith(" created")
    assert lines[-1].endswith(" message")


def test_the_example_in_javascript_runs(served: House) -> None:
    program = ROOT / "docs" / "examples" / "talk.mjs"
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "PILOTLIGHT_URL": url(served),
        "PILOTLIGHT_TOKEN": served.token,
    }
    command = ["node", str(program), str(served.project)]
    talks(command, environment)


def test_the_example_in_go_runs(served: House, tmp_path: Path) -> None:
    go = golang.find()
    assert go is not None, f"Go is missing: ./test fetches it, or {golang.VARIABLE} names one."
    environment = {
        **{"PATH": os.defpath, "HOME": str(tmp_path), "GOCACHE": str(golang.CACHE), "CGO_ENABLED": "0"},
        **{"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOTELEMETRY": "off", "GOGC": "off"},
        "PILOTLIGHT_URL": url(served),
        "PILOTLIGHT_TOKEN": served.token,
    }
    program = tmp_path / "talk"
    # Compiling the standard library is what takes the time: neither optimized nor with what only a debugger reads.
    quick = ("-gcflags=all=-N -l -dwarf=false", "-ldflags=-s -w", "-tags=nethttpomithttp2,netgo")
    build = [go, "build", *quick, "-o", str(program), str(ROOT / "docs" / "examples" / "talk.go")]
    made = subprocess.run(build, env=environment, capture_output=True, text=True, timeout=110)
    assert made.returncode == 0, made.stderr
    command = [str(program), str(served.project)]
    talks(command, environment)


def test_an_api_that_is_killed_in_mid_turn_costs_no_reply_and_doubles_none(served: House) -> None:
    client = Client(url(served), served.token)
    session = client.create(str(served.project), wait=30)["id"]
    replies: list[str] = []
    texts: list[str] = []

    def streamed() -> None:
        for event in client.stream(
            "[[slow 1]] [[stream 1.5]] echo: streamed words, each of them once", session=session
        ):
            if "kind" in event and event["kind"] == "text":
                texts.append(event["data"]["delta"])
            elif "reply" in event:
                replies.append(str(event["reply"]))

    async def asked() -> None:
        answer = await AsyncClient(url(served), served.token).chat("[[slow 0.5]] echo: asked", session=session)
        replies.append(str(answer.get("reply")))

    first = threading.Thread(target=streamed)
    first.start()
    until(lambda: served.session(session)["state"] == "busy", "the turn has begun")
    second = threading.Thread(target=lambda: asyncio.run(asked()))
    second.start()
    until(lambda: served.session(session)["queueLength"] == 1, "the second message waits")
    served.kill_api()
    served.start_api()
    first.join(90)
    second.join(90)
    assert replies == ["streamed words, each of them once", "asked"]
    assert "".join(texts) == "streamed words, each of them once"
    messages = served.call("message.list", {"sessionId": session})["messages"]
    assert [message["state"] for message in messages] == ["answered"] * 2
    assert [entry["role"] for entry in client.history(session)] == ["assistant", "user"] * 2
    with pytest.raises(NotFound):
        client.message("m_none")
