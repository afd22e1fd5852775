"""A conversation with the real CLI: it remembers, it is exact, it is in order."""

from __future__ import annotations

import asyncio
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from supervisor.terminal.holder_client import HolderClient
from tests.conftest import MakeHouse
from tests.faults.pausing import Pauses
from tests.harness import PATIENCE, House, until

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
def test_remembers_within_a_session(house: House, cli: Path) -> None:
    _, session = house.ask("Remember the word BANANA")
    pid = house.session(session)["pid"]
    told = subprocess.run([cli, "--version"], capture_output=True, text=True, check=True).stdout
    assert house.session(session)["claudeVersion"] == told.split()[0]
    reply, _ = house.ask("What word did I ask you to remember?", session)
    assert reply == "BANANA"
    for number in range(5):
        reply, _ = house.ask(f"echo: number {number}", session)
        assert reply == f"number {number}"
    assert house.session(session)["pid"] == pid


def test_prompt_and_reply_are_exact(house: House) -> None:
    _, session = house.ask("echo: warm")
    wanted = ["echo: warm"]
    for size in (1, 1_000, 17_000, 99_000):
        prompt = sized(size)
        sent = house.send(prompt, session)
        assert sent["message"]["state"] == "answered"
        assert house.ask("echo: " + prompt, session)[0] == prompt
        wanted += [prompt, "echo: " + prompt]
        assert [turn.prompt for turn in house.model.turns() if turn.attempt == 1] == wanted


@pytest.mark.turns
def test_parallel_requests_share_one_process_in_order(house: House) -> None:
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    with ThreadPoolExecutor(20) as crowd:
        sent = list(crowd.map(lambda n: house.send(f"echo: question {n}", session, wait=90), range(20)))
    assert [item["message"]["reply"] for item in sent] == [f"question {n}" for n in range(20)]
    accepted = sorted(
        sent, key=lambda item: house.call("message.get", {"messageId": item["message"]["id"]})["steps"]["submitted"]
    )
    turns = [turn.prompt for turn in house.model.turns() if turn.attempt == 1]
    assert turns == [item["message"]["text"] for item in accepted]
    assert len({item["session"]["pid"] for item in sent if item["session"]["pid"]}) == 1


def type_behind_our_back(house: House, data: bytes) -> None:
    """Into the one terminal of the house, past everything that keeps people and messages apart."""

    async def typed() -> None:
        def nothing(*_: object) -> None: ...

        (socket,) = house.paths.run_dir.glob("h/*.sock")
        client = await HolderClient.connect(socket, nothing, nothing, nothing, nothing, PATIENCE)
        await client.write(f"behind our back: {data!r}", data, PATIENCE)
        await client.close()

    asyncio.run(typed())


def test_prompt_that_claude_queues_behind_a_persons_turn_gets_its_own_reply(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    pauses = Pauses(house)
    house.start_supervisor()
    _, session = house.ask("echo: warm")
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
    assert prompts == ["echo: warm", "[[gate person]] echo: typed by hand", "echo: from the api"]


def test_prompt_that_claude_is_given_in_the_midst_of_a_persons_turn_is_answered_by_it(
    make_house: MakeHouse, cli: Path
) -> None:
    house = make_house(cli)
    pauses = Pauses(house)
    house.start_supervisor()
    _, session = house.ask("echo: warm")
    (house.project / "notes").write_text("nothing")
    pauses.hold("armed")
    message = house.send("echo: from the api", session, wait=0)["message"]["id"]
    pauses.reached("armed")
    call = json.dumps({"file_path": str(house.project / "notes")})
    type_behind_our_back(house, f"[[gate person]] [[tool Read {call}]] echo: typed by hand".encode())
    until(lambda: "typed by hand" in house.call("session.screen", {"sessionId": session})["text"], "it is in the box")
    type_behind_our_back(house, b"\r")
    assert house.model.wait_for_gate("person", 30)
    pauses.hold("entered")
    pauses.release("armed")
    pauses.reached("entered")
    house.model.release("person")
    pauses.release("entered")
    settled = house.message(message, wait=30)
    assert (settled["state"], settled["reply"]) == ("answered", "from the api")
