"""What Claude's editor has told, and how long it is left alone when another one was called in its place."""

from __future__ import annotations

from supervisor.session.editor import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Editor


def test_a_persons_own_editor_says_nothing_of_the_prompt_box() -> None:
    editor = Editor()
    editor.told("person", "4711")
    assert (editor.runs, editor.persons) == (0, 4711)


def test_another_editor_is_met_ever_more_seldom_until_ours_runs_again() -> None:
    editor, now, pauses = Editor(), 0.0, []
    for _ in range(9):
        editor.another_ran(now)
        pauses.append(editor.rests(now))
        now += pauses[-1]
        assert editor.rests(now) == 0.0
    assert pauses[:3] == [FIRST_PAUSE_SECONDS, 2 * FIRST_PAUSE_SECONDS, 4 * FIRST_PAUSE_SECONDS]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    editor.told("nothing", "-")
    editor.another_ran(now)
    assert editor.rests(now) == FIRST_PAUSE_SECONDS
