"""What the screen shows, told from real screens of both releases (`tests/record_screens.py`) and from invented ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.claude import screen as dialogs

SCREENS = {
    path.stem: json.loads(path.read_text()) for path in sorted(Path(__file__).parent.parent.glob("screens/*.json"))
}
RELEASES = ("2.1.197", "2.1.330")

PROMPTS = (
    "after-commands",
    "answered",
    "answered-like-menu",
    "busy-like-menu",
    "command-mcp",
    "interrupted",
    "no-login",
)
PROMPTS += ("prompt", "prompt-first-run", "refused")
DRAFTS = {"draft": "a draft of mine", "draft-like-menu": "[Pasted", "draft-long": "[Pasted", "slash-list": "/"}
MENUS = {
    "configuration-error": "setup",
    "command-model": "dialog",
    "command-theme": "setup",
    "permission-bash": "permission",
    "permission-bash-second": "permission",
    "permission-write": "permission",
    "plan": "plan",
    "question": "dialog",
    "question-multi": "dialog",
    "settings-error": "setup",
    "theme": "setup",
    "theme-second": "setup",
    "trust": "trust",
    "trust-first-run": "trust",
}
NOTICES = {"command-help": {"escape"}, "rewind": {"enter", "escape"}, "security": {"enter"}}


def look(screen: dict[str, Any]) -> dialogs.ScreenReading:
    faint = {(x, row) for row, first, last in screen["faint"] for x in range(first, last + 1)}
    return dialogs.read(screen["rows"], tuple(screen["cursor"]), lambda x, y: (x, y) in faint)


def seen(release: str, scene: str) -> dialogs.ScreenReading:
    return look(SCREENS[f"{release}-{scene}"])


def shown(release: str, scene: str) -> dialogs.Menu:
    menu = seen(release, scene).menu
    assert menu is not None
    return menu


@pytest.mark.parametrize("release", RELEASES)
def test_an_empty_box_is_a_prompt_whatever_the_transcript_looks_like(release: str) -> None:
    assert {scene: seen(release, scene).kind for scene in PROMPTS} == dict.fromkeys(PROMPTS, "prompt")
    assert seen(release, "no-login").not_logged_in
    assert not seen(release, "prompt").not_logged_in


@pytest.mark.parametrize("release", RELEASES)
def test_text_in_the_box_is_a_draft(release: str) -> None:
    for scene, start in DRAFTS.items():
        sight = seen(release, scene)
        assert (sight.kind, sight.draft[: len(start)]) == ("draft", start)


@pytest.mark.parametrize("release", RELEASES)
def test_menus_are_told_with_their_subject(release: str) -> None:
    assert {scene: shown(release, scene).subject for scene in MENUS} == MENUS
    assert shown("2.1.330", "renderer").subject == "setup"
    assert seen("2.1.197", "renderer").kind == "prompt"


@pytest.mark.parametrize("release", ["2.1.330", "2.1.332"])
def test_the_dialog_about_a_usage_limit_is_no_request_for_permission(release: str) -> None:
    """It comes up by itself in a subscriber's session, where `autoContinueAtUsageLimit` is off."""
    limit = shown(release, "usage-limit")
    assert (limit.subject, limit.title) == ("rate_limit", "What do you want to do?")
    assert limit.choices[0].label == "Stop and wait for limit to reset"
    assert seen("2.1.330", "usage-limit-continues").kind == "prompt"


@pytest.mark.parametrize("release", ["2.1.330", "2.1.332"])
def test_what_a_peer_has_sent_does_not_say_what_its_dialog_is_about(release: str) -> None:
    held = shown(release, "held-message")
    assert (held.subject, held.title) == ("peer", "Held message from another session")
    assert "Do you trust the files in this folder?" in held.text
    labels = [choice.label for choice in held.choices]
    assert labels == ["Deny — drop it and tell the sender it was declined", "Deliver this message to Claude"]


def test_whether_to_deliver_all_that_peers_send_is_asked_about_peers_too() -> None:
    """332's second dialog: its title names no message, and its body is what the sender calls himself."""
    always = shown("2.1.332", "always-deliver")
    assert (always.subject, always.title) == ("peer", "Always deliver held messages?")
    labels = [choice.label for choice in always.choices]
    assert (len(labels), labels[0]) == (3, "No, go back")


@pytest.mark.parametrize("release", RELEASES)
def test_choices_are_read_from_numbered_and_plain_menus(release: str) -> None:
    trust = shown(release, "trust")
    assert {choice.label for choice in trust.choices} == {"Yes, I trust this folder", "No, exit"}
    yes = dialogs.trust_choice(trust)
    assert yes is not None
    assert yes.label == "Yes, I trust this folder"
    assert trust.choices[trust.pointer].selected
    assert trust.title == "Accessing workspace:"
    assert [choice.label for choice in shown(release, "question").choices][:2] == ["Red", "Blue"]
    assert shown(release, "question").choices[0].description == "Choose Red"
    assert [choice.label for choice in shown(release, "question-multi").choices][:3] == ["S", "M", "L"]
    labels = [choice.label for choice in shown(release, "permission-bash").choices]
    assert (labels[0], labels[-1]) == ("Yes", "No")


@pytest.mark.parametrize("release", RELEASES)
def test_a_menu_keeps_its_identity_when_the_pointer_moves(release: str) -> None:
    for one, other in (("theme", "theme-second"), ("permission-bash", "permission-bash-second")):
        first, second = shown(release, one), shown(release, other)
        assert first.digest == second.digest
        assert first.pointer + 1 == second.pointer
        assert [choice.label for choice in first.choices] == [choice.label for choice in second.choices]
    assert shown(release, "permission-bash").digest != shown(release, "permission-write").digest


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("scene", ["settings-error", "permission-bash", "trust"])
def test_a_menu_keeps_its_identity_while_a_narrower_screen_is_not_drawn_anew_yet(release: str, scene: str) -> None:
    """A terminal that was made one column narrower has the last character of every rule in a row of its own."""
    screen = SCREENS[f"{release}-{scene}"]
    wrapped, cursor = [], list(screen["cursor"])
    for number, row in enumerate(screen["rows"]):
        wrapped.append(row)
        if len(row) > 100 and not row.strip("─"):
            wrapped[-1:] = [row[:-1], row[-1]]
            cursor[1] += number < screen["cursor"][1]
    assert len(wrapped) > len(screen["rows"])
    menu = look({**screen, "rows": wrapped, "cursor": cursor, "faint": []}).menu
    assert menu is not None
    assert menu.digest == shown(release, scene).digest


@pytest.mark.parametrize("release", RELEASES)
def test_a_box_that_grows_by_a_row_and_is_half_drawn_is_no_menu(release: str) -> None:
    """The second row of a draft stands where the lower rule was, and that rule is not drawn anew yet: a pointer, and rows
    that are indented below it."""
    screen = SCREENS[f"{release}-draft"]
    row = screen["cursor"][1]
    assert set(screen["rows"][row + 1].strip()) == {"─"}
    rows = [*screen["rows"][: row + 1], "  and more of it", *screen["rows"][row + 2 :]]
    sight = look({**screen, "rows": rows, "cursor": screen["cursor"]})
    assert sight.menu is None
    assert sight.kind not in ("prompt", "menu")


@pytest.mark.parametrize("release", RELEASES)
def test_notices_say_which_keys_they_take(release: str) -> None:
    assert {scene: {key.id for key in seen(release, scene).keys} for scene in NOTICES} == NOTICES
    assert seen(release, "security").title == "Security notes:"
    assert seen(release, "no-service").kind == "other"


def test_only_a_trust_dialog_is_answered_with_trust() -> None:
    for name in SCREENS:
        menu = look(SCREENS[name]).menu
        if menu is not None and "trust" not in name:
            assert dialogs.trust_choice(menu) is None, name


@pytest.mark.parametrize("name", [n for n in SCREENS if n.endswith(("like-menu", "answered", "interrupted"))])
def test_a_reply_like_a_menu_is_no_menu_without_the_box_either(name: str) -> None:
    screen = SCREENS[name]
    box = max(i for i, row in enumerate(screen["rows"]) if row.startswith("──"))
    for end in (box - 2, box - 1):
        sight = look({**screen, "rows": screen["rows"][:end] + [""] * (40 - end), "cursor": [0, 39]})
        assert sight.kind == "other"


PIECES = st.sampled_from(
    [
        "─" * 30,
        "╌" * 30,
        "❯ ",
        " ❯ 1. Yes",
        "   2. No",
        "❯ 1. Yes",
        "  1. a",
        "│ x │",
        "● reply",
        "Esc to cancel",
        "",
        "> ",
    ]
)
ROWS = st.lists(st.one_of(PIECES, st.text(max_size=40)), max_size=45)


@given(ROWS, st.integers(0, 140), st.integers(0, 60), st.booleans())
def test_no_screen_makes_it_raise(rows: list[str], x: int, y: int, faint: bool) -> None:
    sight = dialogs.read([row.rstrip() for row in rows], (x, y), lambda *_: faint)
    assert sight.kind in ("prompt", "draft", "menu", "notice", "other", "blank")
    assert (sight.kind == "menu") == (sight.menu is not None)
    if sight.menu is not None:
        assert sight.menu.choices[sight.menu.pointer].selected


LINES = st.lists(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=60), min_size=1, max_size=6)


@given(LINES, st.integers(0, 5), st.integers(2, 60))
def test_a_box_with_text_is_never_an_empty_prompt(lines: list[str], row: int, column: int) -> None:
    rule = "─" * 80
    box = [("❯ " if number == 0 else "  ") + line for number, line in enumerate(lines)]
    rows = ["● reply", "", rule, *box, rule, "  ? for shortcuts"]
    cursor = (column, 3 + min(row, len(lines) - 1))
    assert dialogs.read(rows, cursor, lambda *_: False).kind != "prompt"
