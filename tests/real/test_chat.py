"""`pilotlight chat` in a real terminal, against the real CLI."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest

from tests.harness import House
from tests.onlooker import Tmux


@pytest.fixture
def tmux(house: House) -> Iterator[Tmux]:
    """A window of 80 x 30 with a shell, in which `pl` is the command."""
    window = Tmux(house.folder, house.environment(), 80, 30)
    window.type(f'pl() {{ {sys.executable} -m cli "$@"; }}; clear')
    window.keys("Enter")
    window.until(lambda: "clear" not in window.text, "a clear window")
    yield window
    window.close()


def paste(tmux: Tmux, text: str) -> None:
    """As a terminal pastes: in brackets, if it was asked for them."""
    tmux("set-buffer", text)
    tmux("paste-buffer", "-p", "-t", "t")


def texts(house: House, session: str) -> list[str]:
    """What was sent."""
    return [message["text"] for message in house.call("message.list", {"sessionId": session})["messages"]]


def test_several_lines_streaming_questions_and_commands(house: House, tmux: Tmux) -> None:
    session = house.call("session.create", {"projectPath": str(house.project)})["id"]
    house.until_state(session, "idle")
    tmux.type(f"pl chat {session[:8]}")
    tmux.keys("Enter")
    tmux.until_shown("\n>")

    # What is pasted is one message, also while Claude works; and a line may be broken.
    tmux.type("[[gate turn]] [[say begun]] echo: a")
    tmux.keys("M-Enter")
    tmux.type("b")
    tmux.keys("Enter")
    assert house.model.wait_for_gate("turn", 30)
    paste(tmux, "echo: one\ntwo\nthree")
    tmux.keys("Enter")
    house.model.release("turn")
    tmux.until_shown("\none\ntwo\nthree\n")
    assert texts(house, session) == ["[[gate turn]] [[say begun]] echo: a\nb", "echo: one\ntwo\nthree"]
    assert tmux.text.count("\ntwo\n") == 1

    # Claude's words stand there before the turn is over.
    paste(tmux, "[[midgate half]] echo: the first half\n\nwith a second line\n\nand the second half\n\nwith its line")
    tmux.keys("Enter")
    assert house.model.wait_for_gate("half", 30)
    tmux.until(lambda: tmux.text.count("the first half") == 2, "the first half is shown")
    tmux.keys("C-c")
    tmux.until_shown("before Claude had finished")
    house.model.release("half")

    # The number that is shown is the one that counts, also the one that declines.
    options = [{"label": "Apple", "description": "red"}, {"label": "Pear", "description": "green"}]
    asked = {"questions": [{"question": "Which fruit?", "header": "Fruit", "multiSelect": False, "options": options}]}
    paste(tmux, f"[[tool AskUserQuestion {json.dumps(asked)}]] ask")
    tmux.keys("Enter")
    tmux.until_shown("3. Decline to answer\nNumber, or your own words:")
    assert tmux.text.count("Apple - red") == 1
    tmux.type("3")
    tmux.keys("Enter")
    tmux.until_shown("done: The user declined to answer.")

    # A question that is answered elsewhere is not asked any longer here; commands are Claude's.
    paste(tmux, '[[tool Bash {"command":"touch made"}]] go')
    tmux.keys("Enter")
    tmux.until_shown("Choose 1-")
    house.call("session.answer", {"sessionId": session, "choice": "allow"})
    tmux.until_shown("Answered elsewhere")
    house.until_state(session, "idle")
    tmux.type("/rename Fruit talk")
    tmux.keys("Enter")
    tmux.until(lambda: "renamed" in tmux.text and tmux.text.rstrip().endswith("\n>"), "the prompt is back")
    tmux.keys("C-d")
    tmux.until(lambda: tmux.text.rstrip().endswith("SHELL>"), "back in the shell")
    house.until_state(session, "idle")


def test_a_pipe_sees_no_prompt(house: House, tmux: Tmux) -> None:
    tmux.type(f"printf 'echo: first\\necho: second\\n' | pl chat --project {house.project} --trust > said; cat -A said")
    tmux.keys("Enter")
    tmux.until_shown("first$\nsecond$\n")
    assert (house.folder / "said").read_text() == "first\nsecond\n"
