"""What the screen never makes of a dialog: one that is not there, and the same of two that differ.

Recorded screens of both releases are the ground; tips, replies, tool output, prompts and status lines, which anybody may
word as they like, are put between their rows, the cursor is put elsewhere, and the box is left half drawn.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.claude import screen as reading
from supervisor.delivery.prompt import holds
from tests.unit.claude.test_screen import DRAFTS, MENUS, NOTICES, PROMPTS, RELEASES, SCREENS, look, seen

WORDS = st.one_of(
    st.sampled_from(
        [
            "Press Enter to continue",
            "Esc to cancel · Enter to confirm",
            "Double-tap esc to rewind the conversation to a previous point in time",
            "Press any key to continue…",
            "Do you want to proceed?",
            "❯ 1. Yes",
            "1. Yes",
            "2. No, exit",
            "Enter to select · ↑/↓ to navigate · Esc to cancel",
            "Save and close editor to continue...",
            "aws: not logged in",
            "gh: not logged in · run gh auth login",
            "please log in · 1 of 2",
            "Do you trust the files in this folder?",
            "─" * 40,
        ]
    ),
    st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40),
)
TIPS = WORDS.map(lambda words: ["✻ Cooking… (3s · esc to interrupt)", f"  ⎿  Tip: {words}"])
REPLIES = st.lists(WORDS, min_size=1, max_size=3).map(lambda said: [f"● {said[0]}", *(f"  {row}" for row in said[1:])])
OUTPUT = st.lists(WORDS, min_size=1, max_size=3).map(
    lambda said: ["● Bash(cat it)", f"  ⎿  {said[0]}", *(f"     {row}" for row in said[1:])]
)
TYPED = st.lists(WORDS, min_size=1, max_size=3).map(lambda said: [f"❯ {said[0]}", *(f"  {row}" for row in said[1:])])
SAID = st.lists(st.one_of(TIPS, REPLIES, OUTPUT, TYPED), min_size=1, max_size=3).map(
    lambda parts: [row for part in parts for row in [*part, ""]]
)
FOOTERS = st.lists(WORDS.map(lambda words: f"  {words}"), max_size=3)
AT = st.tuples(st.integers(0, 119), st.integers(0, 59))
"""Where the cursor stands while the screen is being drawn."""

BOXED = [f"{release}-{scene}" for release in RELEASES for scene in (*PROMPTS, *DRAFTS) if scene != "draft-long"]
ASKED = [f"{release}-{scene}" for release in RELEASES for scene in (*MENUS, *NOTICES)]


def lower_rule(rows: list[str]) -> int:
    return max(i for i, row in enumerate(rows) if row.startswith("──"))


def top_of(name: str) -> int:
    """The rule or the drawing above a recorded dialog."""
    title = look(SCREENS[name]).title
    rows = SCREENS[name]["rows"]
    at = next(i for i, row in enumerate(rows) if row.strip(" │") == title)
    return max(i for i in range(at) if rows[i])


def changed(name: str, rows: list[str], cursor: tuple[int, int] | None = None) -> reading.ScreenReading:
    screen: dict[str, Any] = SCREENS[name]
    return look({**screen, "rows": [row.rstrip() for row in rows], "cursor": cursor or screen["cursor"], "faint": []})


@given(st.sampled_from(BOXED), SAID, FOOTERS, AT)
def test_a_box_without_the_cursor_is_no_dialog_whatever_is_said_above_it_and_below(
    name: str, said: list[str], footers: list[str], cursor: tuple[int, int]
) -> None:
    rows = SCREENS[name]["rows"]
    end = lower_rule(rows)
    start = max(i for i, row in enumerate(rows[:end]) if row.startswith("──"))
    sight = changed(name, [*rows[:start], *said, *rows[start : end + 1], *footers, *rows[end + 1 :]], cursor)
    assert sight.kind in ("prompt", "draft", "other"), sight


@given(st.sampled_from(BOXED), SAID, AT)
def test_no_reply_is_a_dialog_while_the_box_is_not_drawn(name: str, said: list[str], cursor: tuple[int, int]) -> None:
    sight = changed(name, [*said, *[""] * 20], cursor)
    assert sight.kind == "other", sight


@given(st.lists(WORDS.map(lambda words: f"  {words}"), min_size=1, max_size=40), st.integers(45, 59))
def test_no_reply_that_began_above_the_screen_is_a_dialog(rows: list[str], row: int) -> None:
    assert changed(BOXED[0], rows, (0, row)).kind == "other"


@given(st.sampled_from(BOXED), SAID, AT)
def test_a_running_editor_is_no_dialog(name: str, said: list[str], cursor: tuple[int, int]) -> None:
    rule = "─" * 120
    for words in ("Save and close editor to continue...", "Save and close the editor to continue…"):
        sight = changed(name, [*said, rule, " " * 40 + words, rule, "", ""], cursor)
        assert sight.kind == "editor", sight


@given(st.sampled_from(ASKED), SAID)
def test_a_dialog_is_what_it_is_whatever_was_said_before_it(name: str, said: list[str]) -> None:
    rows, (x, y), top = SCREENS[name]["rows"], SCREENS[name]["cursor"], top_of(name)
    plain = look(SCREENS[name])
    sight = changed(name, [*said, *rows[top:]], (x, y - top + len(said)))
    assert (sight.kind, sight.digest, sight.keys) == (plain.kind, plain.digest, plain.keys)


@given(st.sampled_from(ASKED), st.text(min_size=1))
def test_no_dialog_is_taken_for_a_box_that_still_holds_a_prompt(name: str, prompt: str) -> None:
    assert not holds(look(SCREENS[name]), prompt)


LOGGED_OUT = ("Not logged in · Run /login", "Not logged in · run /login")


@given(st.sampled_from([n for n in BOXED if "no-login" not in n]), FOOTERS)
def test_a_status_line_does_not_log_the_session_out(name: str, footers: list[str]) -> None:
    rows = SCREENS[name]["rows"]
    end = lower_rule(rows)
    sight = changed(name, [*rows[: end + 1], *footers, *rows[end + 1 :]])
    assert not sight.not_logged_in
    for words in LOGGED_OUT:
        assert changed(name, [*rows[: end + 1], *footers, "  manual mode on" + " " * 40 + words]).not_logged_in


COMMANDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
ROWS = st.lists(COMMANDS, min_size=1, max_size=4)


@given(st.sampled_from(RELEASES), ROWS, ROWS, st.integers(1, 3), st.integers(1, 3))
def test_two_dialogs_that_differ_in_text_or_counter_are_two(
    release: str, one: list[str], other: list[str], first: int, second: int
) -> None:
    screen = SCREENS[f"{release}-permission-bash"]
    at = next(i for i, row in enumerate(screen["rows"]) if row.strip() == "touch made.txt")
    title = next(i for i, row in enumerate(screen["rows"]) if row.strip() == "Bash command")

    def of(command: list[str], counter: int) -> reading.ScreenReading:
        head = [*screen["rows"][:title], f" Bash command{counter:>90} of 3", *screen["rows"][title + 1 : at]]
        rows = [*head, *(f"   {row}" for row in command), *screen["rows"][at + 1 :]]
        x, y = screen["cursor"]
        return changed(f"{release}-permission-bash", rows, (x, y + len(command) - 1))

    seen_first, seen_second = of(one, first), of(other, second)
    assert seen_first.menu is not None
    assert seen_second.menu is not None
    same = (one, first) == (other, second)
    assert (seen_first.digest == seen_second.digest) is same
    assert reading.goes_on(seen_first, seen_second) is same
    assert seen_first.menu.counter == (first, 3)


@pytest.mark.parametrize("release", RELEASES)
def test_no_two_recorded_dialogs_share_an_identity(release: str) -> None:
    same = {"theme-second": "theme", "permission-bash-second": "permission-bash", "trust-first-run": "trust"}
    same["command-resume"] = "command-config"  # it was still up
    known: dict[str, str] = {}
    for name in SCREENS:
        scene = name.removeprefix(f"{release}-")
        sight = look(SCREENS[name])
        if name.startswith(release) and sight.kind in ("menu", "notice"):
            scene = same.get(scene, scene)
            assert known.setdefault(sight.digest, scene) == scene


@pytest.mark.parametrize("release", RELEASES)
def test_a_dialog_that_a_person_moves_in_or_fills_in_goes_on(release: str) -> None:
    for one, other in (("theme", "theme-second"), ("permission-bash", "permission-bash-second")):
        assert reading.goes_on(seen(release, one), seen(release, other))
    assert not reading.goes_on(seen(release, "permission-bash"), seen(release, "permission-write"))
    assert not reading.goes_on(seen(release, "question"), seen(release, "question-multi"))
    question = SCREENS[f"{release}-question"]
    row = next(i for i, r in enumerate(question["rows"]) if "3. Type something" in r)
    written = [*question["rows"][:row], "❯ 3. a warm grey", *question["rows"][row + 1 :]]
    written = [r.replace("❯ 1. Red", "  1. Red") for r in written]
    now = changed(f"{release}-question", written, (0, row))
    assert now.menu is not None
    assert reading.goes_on(seen(release, "question"), now)
    asked = [r.replace("Which color?", "Which coat?") for r in question["rows"]]
    assert not reading.goes_on(seen(release, "question"), changed(f"{release}-question", asked))

    config = SCREENS[f"{release}-command-config"]
    searched = [r.replace("⌕ Search settings…", "⌕ abc             ") for r in config["rows"]]
    rows = [r for r in searched if "Verbose" not in r]
    before, after = look(config), changed(f"{release}-command-config", rows)
    assert before.digest != after.digest
    assert reading.goes_on(before, after, own=True)
    assert not reading.goes_on(before, seen(release, "command-theme"), own=True)


@pytest.mark.parametrize(
    ("title", "body", "subject"),
    [
        ("This session is 5h old and 120k tokens.", "Resuming it will consume your usage limits faster.", "dialog"),
        ("What to do with the branch?", "The mcp server of the project has changed.", "dialog"),
        ("You've hit your usage limit", "", "rate_limit"),
        ("New MCP server found in .mcp.json: x", "MCP servers may execute code.", "setup"),
        ("Read(/etc/hosts)", "Do you want to proceed?", "permission"),
        ("Accessing workspace:", "Is this a project you created or one you trust?", "trust"),
    ],
)
def test_what_a_dialog_is_about_is_told_by_its_title_and_its_question(title: str, body: str, subject: str) -> None:
    rows = ["─" * 40, f" {title}", f" {body}", "", " ❯ 1. Yes", "   2. No", "", " Enter to confirm · Esc to cancel"]
    menu = reading.read(rows, (1, 4), lambda x, y: False).menu
    assert menu is not None
    assert menu.subject == subject
