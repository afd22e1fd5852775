"""What the database refuses has not happened: in memory neither, however deep it was changed.

Every change of a session is tried with each of its statements failing in turn. What memory says then is what the database says,
and what it said before; and trying again succeeds.
"""

from __future__ import annotations

import ast
import copy
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from shared.bus.messages import Waiting
from shared.errors import StorageFailed
from supervisor.delivery import chat_mode, interrupt
from supervisor.lifecycle import ending
from supervisor.lifecycle.holder_link import HolderLink
from supervisor.session import receipts
from supervisor.state.states import StateEvent
from supervisor.store import rollback
from supervisor.store.options import Intent, Planned, Stop
from supervisor.store.rollback import undone_on_failure
from supervisor.store.store import Store
from supervisor.turn.turn import Outcome
from tests.unit.observation.claude_lab import WORDS, Claude
from tests.unit.store.refusing import Refusing

ROOT = Path(__file__).parents[3]


def in_memory(claude: Claude) -> dict[str, Any]:
    """What a session says of itself, apart from what it only looks at."""
    session, logs = claude.session, claude.session.logs
    kept = ("current", "waiting", "entered_at", "locked")
    told = {name: copy.deepcopy(getattr(session, name)) for name in (*kept, "session_started")}
    told["record"], told["editor"] = copy.deepcopy((session.record, vars(session.editor)))
    told["permissions"] = copy.deepcopy((session.permissions._pending, session.permissions._allowed))
    told["logs"] = copy.deepcopy((logs.stops, logs._prompts, logs.stopped_at))
    return told


def assert_memory_is_the_database(claude: Claude) -> None:
    session = claude.session
    assert claude.store.session("s") == session.record
    if session.current is not None:
        assert claude.store.message(session.current.id) == session.current


def answered(claude: Claude) -> None:
    message = claude.begin("m")
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="p", permission_mode="acceptEdits")
    claude.read()
    assert message.state == "submitted"


# Each is given the session and prepares it; what it returns is the change that is tried.


def a_step(claude: Claude) -> Callable[[], Any]:
    message = claude.begin("m")
    return lambda: receipts.step(claude.session, message, "submitted", prompt_id="p")


def a_fate(claude: Claude) -> Callable[[], Any]:
    answered(claude)
    message = claude.session.current
    assert message is not None
    return lambda: receipts.conclude(claude.session, message, Outcome("answered", reply="yes"))


def a_failure_that_holds_the_queue(claude: Claude) -> Callable[[], Any]:
    answered(claude)
    message = claude.session.current
    assert message is not None
    return lambda: receipts.conclude(claude.session, message, Outcome("failed", error="rate_limit", detail="Too many."))


def a_prompt(claude: Claude) -> Callable[[], Any]:
    claude.begin("m")
    claude.hook("UserPromptSubmit", prompt=WORDS, prompt_id="p", permission_mode="plan")
    return claude.read


def a_stop(claude: Claude) -> Callable[[], Any]:
    answered(claude)
    claude.hook("PermissionRequest", tool_name="Bash", tool_input={"command": "ls"}, prompt_id="p")
    claude.read()
    claude.hook(
        "Stop", prompt_id="p", last_assistant_message="yes", background_tasks=[{"id": "b"}], permission_mode="default"
    )
    return claude.read


def a_request(claude: Claude) -> Callable[[], Any]:
    answered(claude)
    claude.hook("PermissionRequest", tool_name="Bash", tool_input={"command": "ls"}, prompt_id="p")
    return claude.read


def another_conversation(claude: Claude) -> Callable[[], Any]:
    claude.session.record.transcript = None
    claude.store.save_session(claude.session.record)
    claude.hook("SessionStart", session_id="other", transcript_path=str(claude.session.dir / "other.jsonl"))
    return claude.read


def a_goodbye(claude: Claude) -> Callable[[], Any]:
    claude.hook("SessionEnd", reason="prompt_input_exit")
    claude.hook("Stop", prompt_id="another")
    return claude.read


def an_editor(claude: Claude) -> Callable[[], Any]:
    with open(claude.session.dir / "hooks.log", "a") as log:
        log.write("editor claimed m\n")
    return claude.read


def the_end_of_a_turn_in_the_transcript(claude: Claude) -> Callable[[], Any]:
    claude.line("user", "a person's", promptId="theirs", uuid="u1")
    claude.hook("UserPromptSubmit", prompt="a person's", prompt_id="theirs")
    claude.read()
    assert claude.session.record.turn_prompt == "theirs"
    claude.line("user", "[Request interrupted by user]", promptId="theirs", parentUuid="u1")
    return claude.read


def a_question(claude: Claude) -> Callable[[], Any]:
    asked = Waiting(id="w", kind="trust", title="Trust?", text="", since=1)
    return lambda: claude.session.apply(StateEvent.ASKING, "evidence", asked)


def an_end(claude: Claude) -> Callable[[], Any]:
    claude.begin("m", state="queued")
    claude.session.current = None
    claude.session.record.intent = Intent(Stop("ended"))
    claude.store.save_session(claude.session.record)
    return lambda: ending.end(claude.session, "killed", "expired", None, None)


def a_mode(claude: Claude) -> Callable[[], Any]:
    return lambda: chat_mode.take(claude.session, "planning")


def a_mode_that_is_inherited(claude: Claude) -> Callable[[], Any]:
    return lambda: chat_mode.inherit(claude.session, Intent(planned=Planned("default")))


def a_withdrawal(claude: Claude) -> Callable[[], Any]:
    return lambda: interrupt._note(claude.session, "m")


def a_silent_end(claude: Claude) -> Callable[[], Any]:
    claude.session.record.turn_prompt = "p"
    claude.store.save_session(claude.session.record)
    claude.session.progress_at = 0.0
    return lambda: receipts.settle_current(claude.session, time.monotonic())


CHANGES = [
    a_step,
    a_fate,
    a_failure_that_holds_the_queue,
    a_prompt,
    a_stop,
    a_request,
    another_conversation,
    a_goodbye,
    an_editor,
    the_end_of_a_turn_in_the_transcript,
    a_question,
    an_end,
    a_mode,
    a_mode_that_is_inherited,
    a_withdrawal,
    a_silent_end,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_is_kept_as_a_whole_or_has_not_been(
    change: Callable[[Claude], Callable[[], Any]], tmp_path: Path, refusing: Refusing
) -> None:
    refused = 0
    while True:
        folder = tmp_path / str(refused)
        folder.mkdir()
        claude = Claude(folder, Store(folder / "pilotlight.db"))
        act = change(claude)
        assert_memory_is_the_database(claude)
        before = in_memory(claude)
        refusing.at, refusing.seen = refused + 1, 0
        try:
            act()
        except StorageFailed:
            refused += 1
        else:
            assert refusing.seen <= refused
            assert refused >= 3, "a change has a beginning, a write and an end"
            assert_memory_is_the_database(claude)
            return
        finally:
            refusing.at = 0
        assert_memory_is_the_database(claude)
        if change is not a_goodbye:  # its first line may have been kept, and its second refused
            assert in_memory(claude) == before
        act()
        assert_memory_is_the_database(claude)
        claude.store.close()


def test_a_long_transcript_is_one_change(claude: Claude) -> None:
    for number in range(50):
        claude.line("user", f"prompt {number}", promptId=f"p{number}")
    asked: list[str] = []
    claude.store._db.set_trace_callback(asked.append)
    claude.read()
    assert len(claude.session.logs.turns._turns) > 1
    assert len([sql for sql in asked if sql.startswith("BEGIN")]) == 1


async def test_that_a_holder_does_not_answer_is_said_when_the_database_takes_words_again(
    claude: Claude, refusing: Refusing
) -> None:
    tries: list[Any] = []
    socket = claude.session.dir / "holder.sock"
    link = HolderLink(claude.session, cast(Any, SimpleNamespace(do=tries.append)), cast(Any, None))
    refusing.at = 1
    with pytest.raises(StorageFailed):
        link.unanswered(socket)
    assert len(tries) == 1, "it is tried again all the same"
    refusing.at = 0
    link.unanswered(socket)
    assert [event.kind for event in claude.store.events(0, 10, None, None)] == ["unresponsive", "state"]


def test_what_is_changed_in_place_is_undone_in_place() -> None:
    inner: dict[str, Any] = {"deep": [1, {"deeper": {1, 2}}]}
    queue = deque([[1]])
    record = SimpleNamespace(title="old", options=inner, heard=["a"], queue=queue, names={"n"}, nothing=None)
    expected, held = copy.deepcopy(vars(record)), inner["deep"][1]["deeper"]

    def change() -> None:
        record.title, record.heard = "new", ["another"]
        inner["spoken"] = "c"
        inner["deep"][1]["deeper"].add(3)
        inner["deep"].append(2)
        inner["deep"][1]["more"] = {}
        queue.popleft().append(2)
        record.names.clear()
        record.added = True
        raise KeyError

    with pytest.raises(KeyError), undone_on_failure(record):
        change()
    assert vars(record) == expected
    assert record.options is inner
    assert record.options["deep"][1]["deeper"] is held
    assert record.queue is queue


def test_what_is_no_container_is_looked_at_once_and_not_at_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Any] = []
    kept = rollback._kept
    monkeypatch.setattr(rollback, "_kept", lambda value: (looked_at.append(value), kept(value))[1])
    record = SimpleNamespace(
        heard=["a"], options={"deep": {}}, **{f"fact{number}": Stop("idle") for number in range(50)}
    )
    for _ in range(2):
        looked_at.clear()
        with undone_on_failure(record):
            pass
    assert looked_at == [vars(record), record.heard, record.options, {}]


def test_nothing_of_a_session_is_stored_but_in_a_change() -> None:
    """What is saved outside of one stays in memory when it is refused. `orphans` is the exception: what runs, runs."""
    elsewhere = {
        ("log_reader", "*"),  # all that it does is done in the two changes of `read`
        ("orphans", "note_holder"),
        ("keyboard", "_touch"),
        ("health", "_check_life"),
        ("backup", "_point_at"),  # these two change a copy that nobody has in memory
        ("backup", "put_to_sleep"),
        ("pool", "create"),
        ("recovery", "restore"),
        ("arrivals", "_keep"),  # a session that nobody has in memory yet
        ("store", "*"),
    }
    found = set()
    for path in (ROOT / "supervisor").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                found |= {(path.stem, function.name) for call in _saves(function, False)}
    assert {(file, name) for file, name in found if not {(file, name), (file, "*")} & elsewhere} == set()


def _saves(node: ast.AST, inside: bool) -> Iterator[ast.AST]:
    """The calls below this that save a session or a message, outside of a change."""
    for child in ast.iter_child_nodes(node):
        within = inside
        if isinstance(child, ast.With):
            within |= any("change(" in ast.unparse(item.context_expr) for item in child.items)
        called = child.func.attr if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) else ""
        if called in ("save_session", "save_message") and not within:
            yield child
        yield from _saves(child, within)
