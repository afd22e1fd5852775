"""Which choice an answer names, told from its words alone; and keys that a person presses while it is given."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.bus.messages import Choice, Waiting
from shared.bus.session_requests import Answer
from shared.errors import Conflict, InvalidRequest
from supervisor.claude.screen import Menu, ScreenReading
from supervisor.claude.status_file import Status
from supervisor.delivery.answer import DIALOG_SECONDS, DOWN, ENTER, KEYED_SECONDS, UP, _plain, answer, choose
from supervisor.delivery.decision import decision_of
from supervisor.delivery.keyboard import keyboard
from supervisor.session.condition import Condition
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.options import Remembered
from supervisor.waiting.appearances import Appearance
from supervisor.waiting.waiting import Permission, permission_waiting


def decision(tool: str, tool_input: dict[str, Any], choice: str) -> dict[str, Any]:
    permission = Permission.from_hook(Path("nowhere"), {"tool_name": tool, "tool_input": tool_input})
    waiting = permission_waiting(permission)
    return decision_of(permission, waiting, Answer(session_id="s", choice=choice))


def asking(*labels: str) -> dict[str, Any]:
    return {"questions": [{"question": "Go on?", "options": [{"label": label} for label in labels]}]}


@pytest.mark.parametrize(
    ("tool", "tool_input", "text"),
    [
        ("AskUserQuestion", asking("Yes", "No"), "Go on?"),
        ("ExitPlanMode", {"plan": "1. Look."}, "1. Look."),
        ("Bash", {"command": "ls", "description": "Look"}, "ls"),
        ("mcp__shop__buy", {"count": 2}, '{"count":2}'),
        ("mcp__shop__leave", {}, ""),
    ],
)
def test_what_is_asked_is_told_from_the_request_and_not_from_the_screen(
    tool: str, tool_input: dict[str, Any], text: str
) -> None:
    permission = Permission.from_hook(Path("nowhere"), {"tool_name": tool, "tool_input": tool_input})
    assert permission_waiting(permission).text == text


@pytest.mark.parametrize("choice", ["No", "no", "2"])
def test_an_option_that_is_called_no_is_an_answer_and_no_refusal(choice: str) -> None:
    given = decision("AskUserQuestion", asking("Yes", "No"), choice)
    assert (given["behavior"], given["updatedInput"]["answers"]) == ("allow", {"Go on?": "No"})


def test_no_declines_a_question_that_has_no_such_option() -> None:
    assert decision("AskUserQuestion", asking("Red", "Blue"), "no")["behavior"] == "deny"


@pytest.mark.parametrize(
    ("choice", "behavior"), [("yes", "allow"), ("1", "allow"), ("allow", "allow"), ("No", "deny"), ("deny", "deny")]
)
def test_a_permission_takes_ids_labels_and_plain_words(choice: str, behavior: str) -> None:
    assert decision("Bash", {"command": "ls"}, choice)["behavior"] == behavior


def test_what_names_no_choice_is_refused_with_all_of_them() -> None:
    with pytest.raises(InvalidRequest, match=r"allow \(Yes\), deny \(No\)"):
        decision("Bash", {"command": "ls"}, "perhaps")


class FakeDialog:
    """A session with a menu of three rows whose CLI takes keys at once and shows it 50 ms later."""

    def __init__(self) -> None:
        self.pointer = self.drawn = self.enters = 0
        self.pressed: list[bytes] = []
        self.chosen: int | None = None
        self.slowness = 0.05
        self.gone = False
        self.output_at = self.drawn_at = self.keyed_at = 0.0
        self.changed, self.typing = Condition(), asyncio.Lock()
        self.answering = asyncio.Lock()
        self.per_message, self.printing = False, None
        self.record = SimpleNamespace(generation=1, asked=None, remembered=Remembered())
        self.observer = SimpleNamespace(look_at_status=lambda: None, dialog_over=lambda: setattr(self, "shown", None))
        self.status: Status | None = None
        self.beside: list[Waiting] = []
        self.shown: Appearance | None = None
        self.id = "s"
        self.begin_answer = self.answer_failed = lambda _: None
        self.pending: list[Permission] = []
        self.permissions = SimpleNamespace(pending=self.pending, drop=self.pending.remove)
        self.waiting: Waiting | None = None
        self.store = SimpleNamespace(append=lambda *_: None, events_before=lambda *_: [])
        self.current, self.writer, self.state = None, None, State.WAITING
        self.terminal = self
        self.on_draw: Callable[[int], None] = lambda pointer: None

    def screen_reading(self) -> ScreenReading:
        rows = [Choice(id=str(n + 1), label=f"row {n}") for n in range(3)]
        menu = Menu("Which?", "Which?", rows, self.drawn, "dialog", True)
        return ScreenReading("menu", menu=menu) if not self.gone else ScreenReading("prompt")

    async def press(self, identity: str, data: bytes) -> None:
        self.pressed.append(data)
        if data == ENTER:
            self.enters += 1
            self.chosen = self.pointer if self.chosen is None else self.chosen
        self.pointer += {DOWN: 1, UP: -1}.get(data, 0)
        asyncio.get_running_loop().call_later(self.slowness, self._draw, self.pointer, self.chosen is not None)

    def _draw(self, pointer: int, gone: bool) -> None:
        self.drawn, self.gone = pointer, gone
        self.output_at = self.drawn_at = time.monotonic()
        self.waiting = None if gone else self.waiting
        self.changed.notify()
        self.on_draw(pointer)

    async def person(self, data: bytes) -> None:
        session = cast("Session", self)
        async with keyboard(session, 5.0) as terminal:
            self.keyed_at = time.monotonic()
            await terminal.press("", data)

    async def answer(self, choice: str) -> None:
        session = cast("Session", self)
        await choose(session, session.screen_reading(), choice)


@pytest.mark.parametrize("state", [State.WAITING, State.UNKNOWN])
async def test_an_answer_waits_until_a_supervisor_that_has_come_back_has_looked(state: State) -> None:
    dialog = FakeDialog()
    menu = dialog.screen_reading().menu
    assert menu is not None
    identity = f"{menu.digest}.1.1"
    dialog.state, dialog.record.asked = state, identity

    def look() -> None:
        dialog.state = State.WAITING
        dialog.shown = Appearance(identity, dialog.screen_reading())
        dialog.waiting = Waiting(id=identity, kind="dialog", title="Which?", text="", choices=menu.choices, since=0)
        dialog.changed.notify()

    asyncio.get_running_loop().call_later(0.1, look)
    given = await answer(cast("Session", dialog), Answer(session_id="s", waiting_id=identity, choice="2"))
    assert (given["choice"], dialog.chosen) == ("2", 1)


@pytest.mark.parametrize("key", ["enter", "escape"])
async def test_a_key_for_a_screen_that_was_not_all_drawn_does_not_reach_the_dialog_that_came_of_it(key: str) -> None:
    dialog = FakeDialog()
    half = ScreenReading("other", text="Half of it. Enter to confirm, Esc to cancel.")
    dialog.shown = Appearance("d_1.1.1", half)
    choices = [Choice(id=name, label=name) for name in ("enter", "escape")]
    dialog.waiting = Waiting(id="d_1.1.1", kind="dialog", title="", text=half.text, choices=choices, since=0)
    assert dialog.shown.goes_on(dialog.screen_reading(), None), "it has the same name"
    with pytest.raises(Conflict):
        await answer(cast("Session", dialog), Answer(session_id="s", waiting_id="d_1.1.1", choice=key))
    assert dialog.pressed == [], "nobody was asked whether to press it here"


async def test_a_key_that_the_screen_does_not_show_yet_does_not_make_enter_confirm_another_row() -> None:
    dialog = FakeDialog()
    await dialog.person(DOWN)
    await dialog.answer("1")
    assert dialog.chosen == 0


async def test_a_key_that_comes_while_an_answer_is_given_is_pressed_before_the_check_or_behind_enter() -> None:
    dialog = FakeDialog()
    keys: list[asyncio.Task[None]] = []

    def press_beside(pointer: int) -> None:
        if pointer == 2 and not keys:  # so late that the screen would show it behind the last check
            late = DIALOG_SECONDS - 0.02
            asyncio.get_running_loop().call_later(late, lambda: keys.append(asyncio.create_task(dialog.person(UP))))

    dialog.on_draw = press_beside
    await dialog.answer("3")
    assert dialog.chosen == 2
    while not keys:  # the machine may have been busy between the drawing and the clock that it starts
        await asyncio.sleep(0.01)
    await asyncio.gather(*keys)


async def test_a_request_that_was_answered_at_the_terminal_of_a_slow_machine_is_not_answered_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialog = FakeDialog()
    dialog.slowness = KEYED_SECONDS + 0.2
    permission = Permission.from_hook(Path("nowhere"), {"tool_name": "Bash", "tool_input": {"command": "ls"}})
    permission.menu_seen = True
    dialog.waiting = permission_waiting(permission)
    dialog.pending.append(permission)
    decided: list[dict[str, Any]] = []

    async def decide(_: Permission, decision: dict[str, Any]) -> bool:
        decided.append(decision)
        return True

    monkeypatch.setattr(Permission, "decide", decide)
    await dialog.person(ENTER)
    with pytest.raises(Conflict) as late:
        await answer(cast("Session", dialog), Answer(session_id="s", choice="deny"))
    assert (late.value.error_code, decided) == ("already_answered", [])


async def test_an_answer_whose_hook_was_let_go_for_somebody_at_the_terminal_is_given_in_the_dialog(
    tmp_path: Path,
) -> None:
    dialog = FakeDialog()
    asked = {"tool_name": "Bash", "tool_input": {"command": "ls"}, "agent_id": "a", "agent_type": "general-purpose"}
    permission = Permission.from_hook(tmp_path / "1.0", asked)
    os.mkfifo(permission.pipe, 0o600)
    dialog.waiting = permission_waiting(permission)
    dialog.pending.append(permission)

    def shown() -> None:
        dialog.shown, permission.shown_as = Appearance(permission.id, dialog.screen_reading()), (0, 0)
        dialog.changed.notify()

    asyncio.get_running_loop().call_later(0.05, permission.hand_over)  # the hook has not yet opened its pipe
    asyncio.get_running_loop().call_later(0.1, shown)
    given = await answer(cast("Session", dialog), Answer(session_id="s", choice="deny"))
    assert (given["choice"], dialog.chosen, dialog.pending) == ("3", 2, [])


async def test_a_person_who_has_confirmed_a_row_was_first() -> None:
    dialog = FakeDialog()
    await dialog.person(ENTER)
    with pytest.raises(Conflict) as late:
        await dialog.answer("1")
    assert (late.value.error_code, dialog.enters) == ("already_answered", 1)


@pytest.mark.parametrize("text", ["a\u00a0b", "\u3000", "\U0001f468\u200d\U0001f469", "\ue000", "é"])
def test_what_is_typed_into_a_dialog_may_be_any_character_that_is_no_key(text: str) -> None:
    assert _plain(text) == text


@pytest.mark.parametrize("text", ["a\nb", "\x1b[A", "\x7f", "\x85", "\u2028", "\ud800"])
def test_what_would_be_a_key_is_not_typed_into_a_dialog(text: str) -> None:
    with pytest.raises(InvalidRequest):
        _plain(text)
