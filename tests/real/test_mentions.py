"""`@path` in messages: which forms the real CLI expands, and that none of them reads what its sender may not."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from shared.access.tokens import Keyring
from shared.errors import Forbidden
from supervisor.claude.texts import mentions
from tests.conftest import MakeHouse
from tests.harness import House
from tests.shared_houses import SharedHouse


class Marks:
    """Files that can be told from each other in what the model was sent."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.outside = house.folder / "outside"
        self._count = 0

    def make(self, path: Path) -> str:
        self._count += 1
        mark = f"MARK-{self._count}-{time.monotonic_ns()}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"one\ntwo\n{mark}\nfour\n")
        return mark

    def read(self, mark: str) -> bool:
        return any(mark.encode() in body for body in self.house.model.bodies())


def test_the_cli_expands_the_forms_that_we_know_and_no_others(house: House, warm: str) -> None:
    marks = Marks(house)
    (house.project / "link").symlink_to(marks.outside)
    o, expanded, plain = marks.outside, {}, {}
    for form, file in {
        f"see @{o}/a, x": o / "a",
        f'@"{o}/b c"': o / "b c",
        f'@" {o}/d"': o / "d",
        f"@{o}/e#L2-4": o / "e",
        f"@{o}/f#x#y": o / "f#x#y",
        f"你好。@{o}/g": o / "g",
        f"？@{o}/hé": o / "h",
        f"x\xa0@{o}/i": o / "i",
        "@../outside/j": o / "j",
        "@none/../../outside/k": o / "k",
        "@link/l": o / "l",
        "@~/m": house.claude_home / "m",
        "@inside": house.project / "inside",
    }.items():
        expanded[form] = marks.make(file)
    for form, file in {
        f"(@{o}/n)": o / "n",
        f"`@{o}/o`": o / "o",
        f"x:@{o}/p": o / "p",
        f"@@{o}/q": o / "q",
        f"@file://{o}/r": o / "r",
        f"@'{o}/s'": o / "s",
        f'@"{o}/t': o / "t",
        f"{o}/u": o / "u",
        f"@[{o}/v]": o / "v",
    }.items():
        plain[form] = marks.make(file)
    # The open quote last: it would close at the next one.
    text = "\n".join([*expanded, *sorted(plain, key=lambda form: form.count('"'))])
    house.ask("echo: " + text, warm)
    assert {form: marks.read(mark) for form, mark in expanded.items()} == dict.fromkeys(expanded, True)
    assert {form: marks.read(mark) for form, mark in plain.items()} == dict.fromkeys(plain, False)
    for form in expanded:
        assert list(mentions.names(form)), form


@pytest.mark.turns
def test_a_link_that_was_made_while_the_message_waited_is_not_followed(house: House, warm: str) -> None:
    marks = Marks(house)
    mark = marks.make(marks.outside / "a")
    session = warm
    house.send("[[gate g]] echo: one", session, wait=0)
    assert house.model.wait_for_gate("g", 30)
    later = house.send("echo: @link", session, wait=0, confined=True)["message"]["id"]
    (house.project / "link").symlink_to(marks.outside / "a")
    house.model.release("g")
    failed = house.message(later, wait=60)
    assert failed["state"] == "failed", failed
    assert failed["error"]["code"] == "mention_outside"
    assert house.ask("echo: and on", session)[0] == "and on"
    assert not marks.read(mark)


@pytest.mark.turns
def test_the_configuration_may_keep_mentions_inside_for_all_or_let_all_out(make_house: MakeHouse, cli: Path) -> None:
    house = make_house(cli)
    marks = Marks(house)
    mark = marks.make(marks.outside / "a")
    house.config["chat"] = {"mentions": "refuse"}
    house.start_supervisor()
    with pytest.raises(Forbidden, match=r"chat\.mentions: refuse"):
        house.send("echo: @../outside/a")
    house.kill_supervisor()
    house.config["chat"] = {"mentions": "anywhere"}
    house.start_supervisor()
    house.ask("echo: @../outside/a", confined=True)
    assert marks.read(mark)


@pytest.fixture
def open_house(house: SharedHouse) -> House:
    house.alone()
    house.start_api()
    return house


@pytest.mark.turns
def test_a_chat_token_reads_nothing_outside_by_a_mention_and_an_answer_token_may(open_house: House) -> None:
    house, marks = open_house, Marks(open_house)
    keys = Keyring(house.paths).named
    chat, answer = keys.add("phone", "chat"), keys.add("desk", "answer")
    mark, inside = marks.make(marks.outside / "a"), marks.make(house.project / "in.txt")

    def post(text: str, token: str, session: str | None = None) -> tuple[int, dict[str, object]]:
        where = {"sessionId": session} if session else {"projectPath": str(house.project)}
        status, answer = house.http("POST", "/api/chat", {"message": text, "wait": 60, **where}, token=token)
        assert isinstance(answer, dict)
        return status, answer

    for token in (chat, answer, house.token):
        status, refused = post(f"echo: @{house.paths.token_file}", token)
        assert (status, refused["code"]) == (403, "mention_of_secret")
    status, refused = post("echo: @../outside/a", chat)
    assert (status, refused["code"]) == (403, "mention_outside")
    assert "@../outside/a" in str(refused["detail"])
    assert house.call("session.list")["sessions"] == []  # nothing was opened for it

    body: dict[str, object] = {"message": "echo: @in.txt", "wait": 60, "projectPath": str(house.project)}
    body["attachments"] = [{"name": "a.txt", "data": "QVRUQUNIRUQ="}]
    sent = house.http("POST", "/api/chat", body, token=chat)
    assert sent[0] == 200, sent
    session, own = sent[1]["sessionId"], house.message(sent[1]["messageId"])["attachments"][0]["path"]
    assert marks.read(inside)
    status, _ = post(f"echo: @{own}", chat, session)
    assert status == 200
    assert any(b"ATTACHED" in body for body in house.model.bodies())
    assert not marks.read(mark)
    assert post("echo: @../outside/a", answer, session)[0] == 200
    assert marks.read(mark)
