"""A CLI that drops keys, dawdles, loses the text, floods or goes deaf: every message is still typed at most once, and its
fate is told. Driven by the scripted stand-in, since the real CLI does none of this on demand."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import termios
import time
from collections.abc import Callable

import pytest

from shared import process
from shared.errors import Conflict, TooLarge, Unavailable
from tests.faults.pausing import fates, kinds
from tests.faults.stand_in import Fake
from tests.harness import until
from tests.onlooker import Viewer


def test_enter_is_repeated_until_it_works_and_the_text_never(fake: Callable[..., Fake]) -> None:
    tui = fake(drop_enters=1000)
    sent = tui.house.send("first line\nsecond line", wait=0)["message"]["id"]
    until(lambda: len(tui.saw("enter")) >= 2, "Enter is repeated")
    assert tui.house.message(sent)["state"] == "typed"
    tui.behave()
    assert tui.house.message(sent, wait=30)["reply"] == "You said: first line\nsecond line"
    assert {line["box"] for line in tui.saw("enter")} == {"first line\nsecond line"}, "none once it has worked"
    assert len(tui.saw("text")) == 1
    assert tui.turns == ["first line\nsecond line"]


def test_swallowed_ctrl_g_is_pressed_again(fake: Callable[..., Fake]) -> None:
    tui = fake(swallow_ctrl_g=1)
    assert tui.house.ask("hello")[0] == "You said: hello"
    assert len(tui.saw("ctrl_g")) >= 2  # more on a busy machine: it also asks whether all keys were dealt with
    assert len(tui.saw("text")) == 1


def test_prompt_in_a_box_that_the_screen_does_not_show_is_submitted_once(fake: Callable[..., Fake]) -> None:
    tui = fake(astray=True, drop_enters=1)
    assert tui.house.ask("where is\nthe cursor")[0] == "You said: where is\nthe cursor"
    assert [len(tui.saw(what)) for what in ("text", "enter")] == [1, 2]
    assert tui.turns == ["where is\nthe cursor"]


def test_a_text_that_is_lost_with_the_folder_of_its_file_is_told(fake: Callable[..., Fake]) -> None:
    """Something that tidies up removes TMPDIR between the editor's end and Claude's look at the file, which finds nothing."""
    tui = fake()
    _, session = tui.house.ask("warm")
    tui.behave(lose_text=2)
    tui.pauses.hold("typed")
    sent = tui.house.send("lost", session, wait=0)["message"]["id"]
    tui.pauses.reached("typed")
    shutil.rmtree(tui.house.paths.temporary_dir(session))
    tui.pauses.release("typed")
    told = tui.house.message(sent, wait=60)
    assert (told["state"], (told["error"] or {}).get("code")) == ("failed", "not_submitted")
    tui.behave()
    assert tui.house.ask("and on", session)[0] == "You said: and on"
    assert tui.turns == ["warm", "and on"]


def test_a_screen_that_is_left_blank_is_drawn_anew_and_the_session_known_again(fake: Callable[..., Fake]) -> None:
    tui = fake()
    tui.house.call("settings.patch", {"values": {"health.interval_seconds": 600}})
    _, session = tui.house.ask("hello")
    tui.behave(blank=True)
    assert tui.house.ask("into the dark", session)[0] == "You said: into the dark"
    told = until(
        lambda: (seen := states(tui, session)) and "unknown" in seen and seen[-1] == "idle" and seen, "known again"
    )
    assert told.count("unknown") == 1
    tui.behave()
    assert tui.house.ask("and on", session)[0] == "You said: and on"
    assert tui.turns == ["hello", "into the dark", "and on"]


def states(tui: Fake, session: str) -> list[str]:
    """The states that it was said to be in, in their order."""
    return [event["data"]["to"] for event in tui.house.events(session=session) if event["kind"] == "state"]


def test_late_editor_gets_the_text_once(fake: Callable[..., Fake]) -> None:
    tui = fake(editor_delay=3.5)
    sent = tui.house.send("better late", wait=0)["message"]["id"]
    until(lambda: tui.saw("text"), "the text is there")
    tui.behave()
    assert tui.house.message(sent, wait=30)["reply"] == "You said: better late"
    assert tui.turns == ["better late"]
    assert len(tui.saw("text")) == 1


def test_editor_that_is_never_called_fails_the_message_untyped(fake: Callable[..., Fake]) -> None:
    tui = fake(swallow_ctrl_g=1000)
    sent = tui.house.send("nobody takes this", wait=40)["message"]
    assert (sent["state"], sent["error"]["code"]) == ("failed", "editor_not_called")
    assert "typed" not in sent["steps"]
    assert tui.turns == []
    assert list((tui.house.paths.session_dir(sent["sessionId"]) / "outbox").iterdir()) == []
    assert tui.house.session(sent["sessionId"])["health"] == "editor_taken"
    tui.behave()
    assert tui.house.ask("and now?", sent["sessionId"])[0] == "You said: and now?"
    assert tui.turns == ["and now?"]
    assert tui.house.session(sent["sessionId"])["health"] == "ok"


def test_text_that_dies_with_its_process_goes_to_the_next_one_once(fake: Callable[..., Fake]) -> None:
    tui = fake()
    _, session = tui.house.ask("warm")
    tui.behave(die_on_text=2)
    sent = [tui.house.send(text, session, wait=0)["message"]["id"] for text in ("mortal", "patient")]
    assert [tui.house.message(m, wait=30)["reply"] for m in sent] == ["You said: mortal", "You said: patient"]
    assert tui.turns == ["warm", "mortal", "patient"]
    assert [line["text"].rstrip() for line in tui.saw("text")] == ["warm", "mortal", "mortal", "patient"]
    assert kinds(tui.house, session, "crashed", "resumed", "ended") == ["crashed", "resumed"]
    assert set(fates(tui.house, session).values()) == {"answered"}


def test_without_hooks_the_transcript_proves_and_answers(fake: Callable[..., Fake]) -> None:
    tui = fake(no_hooks=True)
    reply, session = tui.house.ask("no hooks here")
    assert reply == "You said: no hooks here"
    assert tui.turns == ["no hooks here"]
    tui.house.until_state(session, "idle")


def test_draft_of_a_person_is_left_alone_until_it_is_gone(fake: Callable[..., Fake]) -> None:
    tui = fake(draft="half a thought")
    sent = tui.house.send("mine", wait=0)
    session, message = sent["session"]["id"], sent["message"]["id"]
    until(lambda: tui.house.session(session)["draft"], "the draft is seen")
    assert tui.house.message(message)["state"] == "queued"
    assert tui.saw("enter") == []
    tui.house.call("session.keys", {"sessionId": session, "keys": ["C-u"]})
    assert tui.house.message(message, wait=30)["reply"] == "You said: mine"
    assert tui.turns == ["mine"]


def test_an_answer_at_once_to_a_dialog_that_does_not_take_any_yet_arrives(fake: Callable[..., Fake]) -> None:
    """330 and 332 refuse keys for up to a second and show nothing of it: the answer was `dialog_stuck`."""
    tui = fake(guard=0.8)
    sent = tui.house.send("hello", wait=0)
    session = sent["session"]["id"]
    waiting = until(lambda: tui.house.session(session)["waiting"], "it asks")
    tui.house.call("session.answer", {"sessionId": session, "waitingId": waiting["id"], "choice": "Yes, try it"})
    assert tui.house.message(sent["message"]["id"], wait=30)["reply"] == "You said: hello"
    assert [line["label"] for line in tui.saw("chosen")] == ["Yes, try it"]


def test_the_dialog_about_a_usage_limit_is_a_persons_while_the_pause_lasts_and_then_holds_no_queue(
    fake: Callable[..., Fake],
) -> None:
    """Seen on 2.1.330 with `autoContinueAtUsageLimit` off: it was told as a request for permission, and stood for ever."""
    tui = fake(limit=1)
    sent = tui.house.send("first", wait=0)
    session = sent["session"]["id"]
    second = tui.house.send("second", session, wait=0)["message"]["id"]
    waiting = until(
        lambda: (w := tui.house.session(session)["waiting"]) and w["title"].startswith("What") and w, "it asks", 20
    )
    labels = [choice["label"] for choice in waiting["choices"]]
    assert (waiting["for"], labels) == ("rate_limit", ["Stop and wait for limit to reset", "Switch to usage credits"])
    assert not tui.saw("chosen")
    assert tui.house.message(sent["message"]["id"])["error"]["code"] == "rate_limit"
    assert tui.house.message(second, wait=30)["reply"] == "You said: second"
    assert [line["label"] for line in tui.saw("chosen")] == [""], "left by Esc, once"
    assert tui.turns == ["first", "second"]


def test_flood_of_output_loses_nothing(fake: Callable[..., Fake]) -> None:
    tui = fake(flood=20_000_000)
    assert tui.house.ask("speak")[0] == "You said: speak"
    assert tui.turns == ["speak"]


def test_deaf_one_disturbs_nobody_and_can_be_killed(fake: Callable[..., Fake]) -> None:
    tui = fake()
    house = tui.house
    _, session = house.ask("warm")
    _, other = house.ask("other")
    pids = {identity: house.session(identity)["pid"] for identity in (session, other)}
    tui.behave(deaf=True, ignore=["HUP", "TERM"])
    stuck = house.send("anybody?", session, wait=0)["message"]["id"]
    until(
        lambda: house.session(session)["currentMessage"] == stuck or house.message(stuck)["state"] != "queued", "tried"
    )
    house.call("session.kill", {"sessionId": session})
    assert house.message(stuck)["state"] == "cancelled"
    assert set(fates(house, session).values()) == {"answered", "cancelled"}
    tui.behave()
    assert house.ask("still there?", other)[0] == "You said: still there?"
    assert house.session(other)["pid"] == pids[other]
    assert process.identify(pids[session]) is None


def test_one_that_ignores_hup_and_term_is_killed_with_its_tree(fake: Callable[..., Fake]) -> None:
    tui = fake(ignore=["HUP", "TERM", "INT"])
    _, session = tui.house.ask("warm")
    pid = tui.house.session(session)["pid"]
    ended = tui.house.call("session.kill", {"sessionId": session})
    assert ended["endReason"] == "killed"
    assert process.identify(pid) is None


def test_what_a_person_types_does_not_vanish_with_a_prompt_that_is_cleared_late(fake: Callable[..., Fake]) -> None:
    tui = fake()
    _, session = tui.house.ask("warm")
    gate = tui.house.folder / "cleared"
    tui.behave(clear_gate=str(gate))
    viewer = Viewer(tui.house.paths.terminal_socket, session, "write", "test")
    try:
        viewer.until(lambda: viewer.snapshots, "a snapshot")
        sent = tui.house.send("slow to go", session, wait=0)["message"]["id"]
        until(lambda: tui.house.message(sent)["state"] == "submitted", "Claude has told of it")
        viewer.until_shown("❯ slow to go")
        viewer.type("XYZ")
        viewer.say("snapshot")
        viewer.until(lambda: viewer.last("snapshot")["asked"], "the supervisor has read the keys")
        gate.touch()
        assert tui.house.message(sent, wait=30)["reply"] == "You said: slow to go"
        viewer.until_shown("❯ XYZ")
    finally:
        viewer.close()


def test_what_a_person_types_does_not_vanish_with_an_editor_that_is_called_late(fake: Callable[..., Fake]) -> None:
    tui = fake()
    _, session = tui.house.ask("warm")
    entered, edits = tui.house.folder / "entered", tui.house.folder / "edits"
    tui.behave(enter_gate=str(entered))
    tui.pauses.hold("probed")
    viewer = Viewer(tui.house.paths.terminal_socket, session, "write", "test")
    try:
        viewer.until(lambda: viewer.snapshots, "a snapshot")
        before = len(tui.saw("ctrl_g"))
        sent = tui.house.send("slow to go", session, wait=0)["message"]["id"]
        tui.pauses.reached("probed")
        tui.behave(enter_gate=str(entered), editor_gate=str(edits))
        viewer.type("XYZ")
        viewer.say("snapshot")
        viewer.until(lambda: viewer.last("snapshot")["asked"], "the supervisor has read the keys")
        tui.pauses.release("probed")
        entered.touch()
        assert tui.house.message(sent, wait=30)["reply"] == "You said: slow to go"
        until(lambda: len(tui.saw("ctrl_g")) == before + 2, "it comes to the second Ctrl+G")
        time.sleep(0.3)  # keys that do not wait for the editor are in the terminal by now
        edits.touch()
        viewer.until_shown("❯ XYZ")
    finally:
        viewer.close()


def unread(pid: int) -> int:
    """The bytes in its terminal that a process has not read."""
    terminal = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NOCTTY)
    try:
        return int.from_bytes(fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(terminal)


def test_keys_and_an_interrupt_to_a_deaf_one_are_refused_with_what_to_do(fake: Callable[..., Fake]) -> None:
    tui = fake()
    house = tui.house
    _, session = house.ask("warm")
    gate = house.folder / "gate"
    tui.behave(gate=str(gate))  # a turn of the stand-in reads nothing until it is over
    sent = house.send("busy", session, wait=0)["message"]["id"]
    until(lambda: house.message(sent)["state"] == "submitted", "its turn runs")

    with pytest.raises(TooLarge) as too_large:
        house.call("session.keys", {"sessionId": session, "text": "x" * 700_001})
    flood = house.bus.submit("session.keys", {"sessionId": session, "text": "x" * 600_000}, timeout=60)
    pid = house.session(session)["pid"]
    until(lambda: unread(pid) > 1000, "the flood has come to the terminal")
    interrupt = house.bus.submit("session.interrupt", {"sessionId": session}, timeout=60)
    with pytest.raises(Conflict) as partly:
        flood.result(60)
    with pytest.raises(Unavailable) as untyped:
        interrupt.result(60)

    assert (too_large.value.error_code, too_large.value.data) == ("too_large", {"limit": 700_000})
    assert partly.value.error_code == "partly_typed"
    assert 0 < partly.value.data["written"] < 600_000
    # Whether there is room for one more byte behind a flood that was given up is the kernel's business.
    assert untyped.value.error_code in ("not_typed", "not_interrupted")
    assert house.session(session)["state"] == "busy"
    gate.touch()
    assert house.message(sent, wait=30)["reply"] == "You said: busy"
