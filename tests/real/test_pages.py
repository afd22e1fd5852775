"""The blocks of the manual's pages are run as they stand, one after the other, in two houses.

`tests/unit/test_blocks.py` says of every block where it is run, or why it is not.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import MakeHouse
from tests.harness import House, until
from tests.pages import blocks


@pytest.fixture
def lived_in(make_house: MakeHouse, one_cli: Path) -> House:
    """With its API, and `pilotlight` on the path of a person's shell."""
    made = make_house(one_cli)
    made.config["bus"] = {"tcp_host": "127.0.0.1", "tcp_request_port": 0, "tcp_event_port": 0}
    made.start_supervisor()
    made.start_api()
    (made.folder / "bin").mkdir()
    command = made.folder / "bin" / "pilotlight"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m cli "$@"\n')
    command.chmod(0o755)
    return made


def shell(house: House, script: str, program: str = "bash") -> str:
    """What it prints; a command of it that fails is a failure here."""
    environment = house.environment()
    environment["PATH"] = os.pathsep.join(
        [str(house.folder / "bin"), str(Path(sys.executable).parent), environment["PATH"]]
    )
    words = [program, "-euo", "pipefail", "-c", script] if program == "bash" else [program, "-c", script]
    made = subprocess.run(words, cwd=house.folder, env=environment, capture_output=True, text=True, timeout=100)
    assert made.returncode == 0, f"{script}\n{made.stdout}\n{made.stderr}"
    return made.stdout


def test_the_blocks_of_the_first_steps_do_what_they_say(lived_in: House) -> None:
    said = shell(lived_in, "\n".join(blocks("docs/first-steps.md", "sh")) + '\necho "$id"; echo "$url"\n')

    *_, session, url = said.split()
    assert said.count("BANANA") >= 5  # two replies, the history, the API's reply, and after its sleep
    assert "event: done" in said
    assert (lived_in.folder / "shop" / "made-by-claude").exists()
    assert lived_in.call("session.get", {"sessionId": session})["endReason"] == "killed"

    session = shell(lived_in, "pilotlight new ~/shop --trust").strip()
    (program,) = blocks("docs/first-steps.md", "python")
    shell(lived_in, f"url, session = {url!r}, {session!r}\n{program}", sys.executable)


def address(house: House) -> str:
    found = house.api_address()
    assert found is not None
    return "http://{}:{}".format(*found)


def test_the_blocks_of_the_other_pages_do_what_they_say(lived_in: House) -> None:
    """The emergency, there and back; the bus from elsewhere; the terminal from a program; a gateway."""
    house = lived_in
    session = shell(house, "pilotlight new ~/project --trust").strip()
    look, over, back = (block.replace(" ID", f" {session[:8]}") for block in blocks("docs/emergency.md", ""))
    assert session[:8] in shell(house, look)
    shell(house, over)
    assert house.until_state(session, "hibernated")["delivery"] == "per_message"
    assert shell(house, f"pilotlight send {session} 'Remember the word BANANA'")
    shell(house, back)
    assert "BANANA" in shell(house, f"pilotlight send {session} 'What word did I ask you to remember?'")

    terminal = only(blocks("docs/terminal.md", "python")).replace("127.0.0.1:3001", address(house).split("//")[1])
    with running(house, f"session, token = {session!r}, {house.token!r}\n{terminal}") as printed:
        until(lambda: "snapshot" in printed(), "the program sees the screen")
    bus_from_elsewhere(house, session)
    a_gateway(house)
    the_lines_of_the_server_before(house)


def bus_from_elsewhere(house: House, session: str) -> None:
    """The key that the page adds, and the program that uses it."""
    command, _, told = only(blocks("docs/bus.md", "")).partition("\n")
    made = json.loads(shell(house, command.removeprefix("$ ")))
    assert made.keys() == json.loads(told).keys()
    keys = {"PUBLIC_KEY": made["publicKey"], "SECRET_KEY": made["secretKey"], "SERVER_KEY": made["serverKey"]}
    told_tcp = json.loads(shell(house, "pilotlight status --json"))["bus"]["tcp"]
    program = blocks("docs/bus.md", "python")[-1].replace("tcp://mac-mini.local:3003", told_tcp["events"])
    given = "".join(f"{name} = {value.encode()!r}\n" for name, value in keys.items())
    with running(house, given + program) as printed:

        def heard() -> bool:
            house.call("session.update", {"sessionId": session, "title": "hello"})
            return session in printed()

        until(heard, "the program hears of the session")


def a_gateway(house: House) -> None:
    """A token at the node, the list of nodes, and the gateway; only the addresses are this house's."""
    add, start = blocks("docs/machines.md", "sh")
    secret = re.search(r"pl_\S+", shell(house, add))
    assert secret is not None
    home = house.folder / "gateway"
    home.mkdir(mode=0o700)
    (home / "mini1.token").write_text(secret[0])
    (home / "nodes.yaml").write_text(f'nodes: [{{name: mini1, url: "{address(house)}", token_file: mini1.token}}]')
    with running(house, f"import os; os.environ['PILOTLIGHT_PORT'] = '0'; os.execvp('sh', ['sh', '-c', {start!r}])"):
        until(lambda: " ok " in seen_from(house), "the gateway sees the node")


def seen_from(house: House) -> str:
    """What the gateway says of its nodes; nothing before it listens."""
    try:
        return shell(house, "PILOTLIGHT_HOME=~/gateway pilotlight nodes")
    except AssertionError:
        return ""


ORIGIN: tuple[tuple[str, ...], ...] = (
    ("status", "version", "aicliCodeAvailable", "timestamp"),
    ("status", "aicliCodeAvailable", "activeSessions", "sessionCount", "resources", "timestamp"),
    (
        "success",
        "message",
        "requestId",
        "sessionId",
        "projectPath",
        "timestamp",
        "deliveryMethod",
        "messageId",
        "queuePosition",
    ),
    ("success", "sessions", "stats"),
    ("success", "sessionId", "extended"),
    (
        *("success", "sessionId", "projectPath", "createdAt", "lastActivity", "messageCount", "expiresAt"),
        *("timeRemaining", "isExpired", "needsWarning", "pid", "active"),
    ),
    (),
    ("success", "message", "sessionId"),
)
"""What the clients of the server before decode, call by call of the block in docs/moving.md."""

LISTED = ("sessionId", "projectPath", "createdAt", "lastActivity", "messageCount", "expiresAt", "pid")
STATS = ("totalSessions", "maxSessions", "availableSlots", "memoryUsage")


def the_lines_of_the_server_before(house: House) -> None:
    """As its clients send them."""
    script = only(blocks("docs/moving.md", "sh")).replace("http://127.0.0.1:3001", address(house))
    text, answers = shell(house, script.replace("/home/ada/shop", str(house.project))), []
    while text := text.strip():
        answer, end = json.JSONDecoder().raw_decode(text)
        answers.append(answer)
        text = text[end:]
    assert len(answers) == len(ORIGIN)
    for answer, fields in zip(answers, ORIGIN, strict=True):
        assert set(fields) <= answer.keys(), answer
        assert answer.get("success", True) is True
    health, _, chat, active, extended, status, _, ended = answers
    assert (health["status"], health["aicliCodeAvailable"]) == ("healthy", True)
    assert (chat["requestId"], chat["message"]) == ("mine-1", "Claude replied.")
    (listed,) = (one for one in active["sessions"] if one["sessionId"] == chat["sessionId"])
    assert set(LISTED) <= listed.keys()
    assert set(STATS) <= active["stats"].keys()
    assert extended["extended"] is True
    assert (status["isExpired"], status["needsWarning"], status["active"]) == (False, False, True)
    assert ended["message"] == "Interactive session terminated"


def only(found: list[str]) -> str:
    """The one block."""
    (block,) = found
    return block


@contextmanager
def running(house: House, program: str) -> Iterator[Callable[[], str]]:
    """A program of a page that goes on for ever; what it has printed."""
    output = house.folder / "printed"
    environment = {**house.environment(), "PYTHONUNBUFFERED": "1"}
    environment["PATH"] = os.pathsep.join((str(house.folder / "bin"), environment["PATH"]))
    with output.open("wb") as file:
        child = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=house.folder,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield output.read_text
        assert child.poll() is None, output.read_text()
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
