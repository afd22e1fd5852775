"""`pilotlight mcp` by the SDK's own client, over both ways in, and by the real `claude`: tools, receipts, scopes, refusals."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from demo.home import demo_environment
from tests.harness import ROOT, House, claude_binary, releases, until

if TYPE_CHECKING:
    from mcp import Client

TOOLS = {
    *("list_sessions", "open_session", "send", "receipt", "what_waits", "answer", "interrupt", "read_history"),
}
COMMAND = ["-m", "cli", "mcp"]


@pytest.fixture
def door(served: House) -> Iterator[str]:
    """The address of a server over HTTP."""
    words = [sys.executable, *COMMAND, "--http", "0"]
    child = subprocess.Popen(words, env=served.environment(), cwd=served.folder, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    yield child.stdout.readline().strip()
    child.terminate()
    child.communicate(timeout=20)


@asynccontextmanager
async def over_http(url: str, token: str) -> AsyncIterator[Client]:
    from mcp import Client  # not at the top: every worker reads this file, and the SDK takes it a second
    from mcp.client.streamable_http import streamable_http_client

    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        yield client


def over_stdio(served: House, **environment: str) -> Client:
    """As `claude` starts it, and with the handshake that `claude` has."""
    from mcp import Client, StdioServerParameters

    started = StdioServerParameters(
        command=sys.executable, args=COMMAND, env={**served.environment(), **environment}, cwd=served.folder
    )
    return Client(started, mode="legacy")


async def called(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    answer = result.structured_content
    assert answer is not None
    return answer


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error, result
    return str(getattr(result.content[0], "text", ""))


async def conversation(client: Client, project: Path) -> str:
    """BANANA, once under each key, and a permission answered."""
    assert {tool.name for tool in (await client.list_tools()).tools} == TOOLS
    session = (await called(client, "open_session", project=str(project), key=f"open-{id(client)}"))["id"]
    assert (await called(client, "open_session", project=str(project), key=f"open-{id(client)}"))["id"] == session
    word = {"session": session, "text": "Remember the word BANANA", "key": f"word-{session}"}
    first = await called(client, "send", **word)
    assert first["state"] == "answered"
    assert (await called(client, "send", **word))["messageId"] == first["messageId"]
    asked = await called(client, "send", session=session, text="What word did I ask you to remember?")
    assert asked["reply"] == "BANANA"

    tool = await called(client, "send", session=session, text='[[tool Bash {"command": "touch made-over-mcp"}]]')
    assert tool["waiting"]["for"] == "permission"
    (waiting,) = [one for one in (await called(client, "what_waits"))["waiting"] if one["session"] == session]
    assert waiting["id"] == tool["waiting"]["id"]
    await called(client, "answer", session=session, choice="allow", waiting=waiting["id"])
    receipt = await called(client, "receipt", message=tool["messageId"])
    assert receipt["state"] == "answered"
    assert (project / "made-over-mcp").exists()

    page = await called(client, "read_history", session=session, limit=4)
    assert [entry["role"] for entry in page["entries"]][-1] == "assistant"
    assert page["next"]
    listed = (await called(client, "list_sessions"))["sessions"]
    assert session in [view["id"] for view in listed]
    assert "nothing_runs" in await refused(client, "interrupt", session=session)
    assert "message_not_found" in await refused(client, "receipt", message="m_none", wait=0)
    return session


def named_token(served: House, scope: str) -> str:
    words = [sys.executable, "-m", "cli", "tokens", "add", f"mcp-{scope}", "--scope", scope, "--json"]
    made = subprocess.run(
        words, env=served.environment(), cwd=served.folder, capture_output=True, text=True, check=True
    )
    return str(json.loads(made.stdout)["token"])


def test_a_conversation_over_standard_input_and_output(served: House) -> None:
    async def talk() -> None:
        async with over_stdio(served) as client:
            session = await conversation(client, served.project)
            endless = await called(client, "send", session=session, text="[[slow 60]] echo: never", wait=0)
            until(lambda: served.session(session)["state"] == "busy", "the turn has begun")
            assert (await called(client, "interrupt", session=session))["id"] == session
            assert (await called(client, "receipt", message=endless["messageId"]))["state"] == "interrupted"
        async with over_stdio(served, PILOTLIGHT_TOKEN=named_token(served, "read")) as client:
            assert "sessions" in await called(client, "list_sessions")
            assert "insufficient_scope" in await refused(client, "open_session", project=str(served.project))
        async with over_stdio(served, PILOTLIGHT_HOME=str(served.folder / "another")) as client:
            assert "`pilotlight up`" in await refused(client, "list_sessions")

    asyncio.run(talk())


def test_a_conversation_over_http_with_the_token_of_each_request(served: House, door: str) -> None:
    async def talk() -> None:
        async with over_http(door, named_token(served, "answer")) as client:
            await conversation(client, served.project)

    asyncio.run(talk())
    (served.project / "made-over-mcp").unlink()
    ask = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    own = {"Authorization": f"Bearer {served.token}", "Accept": "application/json, text/event-stream"}
    assert httpx2.post(door, json=ask, headers={**own, "Authorization": "Bearer wrong"}).status_code == 401
    assert "tokens add" in httpx2.post(door, json=ask).json()["error"]
    assert httpx2.post(door, json=ask, headers={**own, "Origin": "https://example.org"}).status_code == 403
    assert httpx2.post(door, json=ask, headers={**own, "Host": "example.org"}).status_code == 421


def test_claude_itself_connects_as_the_page_says(served: House, door: str) -> None:
    """In a home of its own, so that nobody's settings are touched."""
    page = (ROOT / "docs" / "mcp.md").read_text()
    lines = "\n".join(re.findall(r"^```sh\n(claude .*?)^```", page, re.MULTILINE | re.DOTALL))
    programs = served.folder / "programs"
    programs.mkdir()
    (programs / "pilotlight").write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    (programs / "pilotlight").chmod(0o755)
    (programs / "claude").symlink_to(claude_binary(releases("claude mcp")[0]))
    environment = {
        **served.environment(),
        **demo_environment(served.folder / "another home", served.model.url),
        "PATH": os.pathsep.join((str(programs), os.environ["PATH"])),
    }
    script = lines.replace("http://127.0.0.1:3010/mcp", door)
    done = subprocess.run(
        ["bash", "-euc", script], env=environment, cwd=served.folder, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^pilotlight\S*: .*Connected", done.stdout, re.MULTILINE)) == 2, done.stdout


def test_without_the_library_a_sentence_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "mcp.py").write_text("raise ModuleNotFoundError(\"No module named 'mcp'\", name='mcp')\n")
    environment = {"PATH": os.defpath, "PYTHONPATH": f"{tmp_path}:{ROOT}", "PILOTLIGHT_HOME": str(tmp_path / "home")}
    words = [sys.executable, "-P", *COMMAND]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "pip install 'mcp" in done.stderr
