"""A conversation with the real CLI: it remembers, it is exact, it is in order."""

from __future__ import annotations

import asyncio
import json
import subprocess
import uuid
from pathlib import Path

import pytest

from supervisor.terminal.holder_client import HolderClient
from tests.faults.pausing import Pauses
from tests.harness import PATIENCE, House, until
from tests.shared_houses import SharedHouse

PARAGRAPH = (
    "# Title 標題\n\n```python\nprint('hé 😀 👩\u200d👩\u200d👧')\n```\n- item *one* \\ `two`\n\ttab\t| a | b |\n"
    "!bang /slash #hash @at &amp; <b>\n\n"
)


def sized(size: int) -> str:
    """Markdown, code, emoji and CJK of exactly `size` bytes, without white space at its ends."""
    text = PARAGRAPH
    while len(text.encode()) < size:
        text += f"line {len(text)}: " + PARAGRAPH
    cut = text.encode()[: size - 1].decode("utf-8", "ignore").rstrip()
    return cut + "x" * (size - len(cut.encode()))


@pytest.mark.turns
def test_remembers_within_a_session(house: House, warm: str, cli: Path) -> None:
    _, session = house.ask("Remember the word BANANA", warm)
    pid = house.session(session)["pid"]
    told = subprocess.run([cli, "--version"], capture_output=True, text=True, check=True).stdout
    assert house.session(session)["claudeVersion"] == told.split()[0]
    reply, _ = house.ask("What word did I ask you to remember?", session)
    assert reply == "BANANA"
    for number in range(2):
        reply, _ = house.ask(f"echo: number {number}", session)
        assert reply == f"number {number}"
    assert house.session(session)["pid"] == pid


@pytest.mark.turns
def test_prompt_and_reply_are_exact(house: SharedHouse, warm: str) -> None:
    session, wanted = warm, list[str]()
    house.cool()  # by half a megabyte
    for size in (1_000, 17_000, 99_000):
        prompt = sized(size)
        sent = house.send(prompt, session)
        assert sent["message"]["state"] == "answered"
        assert house.ask("echo: " + prompt, session)[0] == prompt
        wanted += [prompt, "echo: " + prompt]
        assert [turn.prompt for turn in house.model.turns() if turn.attempt == 1] == wanted


def type_behind_our_back(house: House, data: bytes) -> None:
    """Into the one terminal of the house, past everything that keeps people and messages apart."""

    async def typed() -> None:
        def nothing(*_: object) -> None: ...

        (socket,) = house.paths.run_dir.glob("h/*.sock")
        client = await HolderClient.connect(socket, nothing, nothing, nothing, nothing, PATIENCE)
        await client.write(f"behind our back: {uuid.uuid4()}", data, PATIENCE)
        await client.close()

    asyncio.run(typed())


def test_prompt_that_claude_queues_behind_a_persons_turn_gets_its_own_reply(house: House, warm: str) -> None:
    pauses, session = Pauses(house), warm
    pauses.hold("armed")
    message = house.send("echo: from the api", session, wait=0)["message"]["id"]
    pauses.reached("armed")
    type_behind_our_back(house, b"[[gate person]] echo: typed by hand")
    until(lambda: "typed by hand" in house.call("session.screen", {"sessionId": session})["text"], "it is in the box")
    type_behind_our_back(house, b"\r")
    assert house.model.wait_for_gate("person", 30)
    pauses.release("armed")
    until(lambda: "from the api" in house.call("session.screen", {"sessionId": session})["text"], "it is typed")
    house.model.release("person")
    settled = house.message(message, wait=30)
    assert (settled["state"], settled["reply"]) == ("answered", "from the api")
    prompts = [turn.prompt for turn in house.model.turns()]
    assert prompts == ["[[gate person]] echo: typed by hand", "echo: from the api"]


def test_prompt_that_claude_is_given_in_the_midst_of_a_persons_turn_is_answered_by_it(house: House, warm: str) -> None:
    pauses, session = Pauses(house), warm
    (house.project / "notes").write_text("nothing")
    pauses.hold("armed")
    message = house.send("echo: sent in the midst", session, wait=0)["message"]["id"]
    pauses.reached("armed")
    call = json.dumps({"file_path": str(house.project / "notes")})
    type_behind_our_back(house, f"[[gate person]] [[tool Read {call}]] echo: typed in the midst".encode())
    until(
        lambda: "typed in the midst" in house.call("session.screen", {"sessionId": session})["text"], "it is in the box"
    )
    type_behind_our_back(house, b"\r")
    assert house.model.wait_for_gate("person", 30)
    pauses.hold("entered")
    pauses.release("armed")
    pauses.reached("entered")
    house.model.release("person")
    pauses.release("entered")
    settled = house.message(message, wait=30)
    assert (settled["state"], settled["reply"]) == ("answered", "sent in the midst")
