"""The disk is full, read-only or damaged: refused clearly, running sessions live on, and it heals without a restart."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from shared import process
from shared.bus.event_stream import EventStream
from shared.errors import StorageFailed
from tests.conftest import MakeHouse
from tests.faults.pausing import Pauses, first_tries
from tests.faults.storage_lab import Disk, descriptors, read_only
from tests.harness import House, until

BIG = "x" * 99_000


@pytest.fixture
def quick(make_house: MakeHouse, one_cli: Path) -> House:
    """A house whose health pass runs all the time; not started yet."""
    house = make_house(one_cli)
    house.config["health"] = {"interval_seconds": 0.3}
    return house


@pytest.fixture
def disk(make_house: MakeHouse, quick: House) -> Iterator[Disk]:
    """A small disk below its home."""
    made = Disk(quick)
    yield made
    made.free()
    leftovers = quick.down()
    made.remove()
    assert not leftovers, leftovers


def of_kind(house: House, kind: str, session: str | None = None) -> list[dict[str, Any]]:
    return [event["data"] for event in house.events(session=session) if event["kind"] == kind]


def processes_of(house: House, conversation: str) -> list[int]:
    """Every process that was told to keep this conversation (the CLI itself, not its helpers)."""
    found = []
    for living in house.marked():
        try:
            words = Path(f"/proc/{living.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if conversation.encode() in words and (b"--resume" in words or b"--session-id" in words):
            found.append(living.pid)
    return found


def refused(house: House, session: str) -> StorageFailed:
    """Send until the disk is so full that the database says so."""
    for _ in range(2000):
        try:
            house.send("[[say short]] " + BIG, session, wait=0)
        except StorageFailed as error:
            return error
    raise AssertionError("a full disk took everything")


def test_full_disk_refuses_and_heals(quick: House, disk: Disk) -> None:
    quick.config["sessions"] = {"recording": True}
    quick.start_supervisor()
    quick.start_api()
    assert quick.supervisor is not None
    _, session = quick.ask("Remember the word FIG")
    _, other = quick.ask("echo: other")
    before = quick.session(session)
    sent = quick.send("[[gate turn]] echo: finished", session, wait=0)["message"]["id"]
    assert quick.model.wait_for_gate("turn", 30)
    open_before = descriptors(quick.supervisor.pid)
    disk.fill()
    error = refused(quick, session)
    assert (error.error_code, error.status, error.retryable) == ("storage_failed", 507, True)
    assert "Free space" in error.message
    status, body = quick.http("POST", "/api/chat", {"message": "echo: " + BIG, "sessionId": other})
    assert (status, body["code"]) == (507, "storage_failed")
    if disk.real:  # else nothing more is written anywhere
        told = quick.folder / "supervisor.err"
        until(lambda: "recording_failed" in told.read_text(), "the recording of the spinner has come to the disk's end")
    quick.model.release("turn")
    until(
        lambda: '"subtype":"turn_duration"' in transcript(quick, before)[-20_000:], "the turn ends by Claude's own word"
    )
    assert quick.session(session)["pid"] == before["pid"]
    assert quick.supervisor.poll() is None
    found = {check["name"]: check["status"] for check in quick.call("health")["checks"]}
    assert (found["database"], found["disk"] if disk.real else "fail") == ("fail", "fail")
    disk.free()
    settled = quick.message(sent, wait=30)
    assert settled["reply"] == "finished", (settled, quick.events(session=session)[-20:])
    until(lambda: of_kind(quick, "storage_recovered"), "it says that it has healed")
    until(lambda: quick.session(session)["queueLength"] == 0, "what was accepted before is answered", 60)
    assert quick.ask("What word did I ask you to remember?", session)[0] == "FIG"
    assert quick.ask("echo: and new ones", other)[0] == "and new ones"
    assert quick.until_state(session, "idle")["pid"] == before["pid"]
    until(lambda: of_kind(quick, "recording", session)[-1:] == [{"recording": True}], "its recording goes on")
    assert "cannot be written" in of_kind(quick, "recording", session)[0]["error"]
    until(lambda: "FIG" in cast(quick, session)[-1000:], "what was said since is in it")
    until(lambda: descriptors(quick.supervisor.pid) <= open_before, "descriptors are given back")
    spool = quick.paths.session_dir(session) / "spool"
    until(lambda: not list(spool.iterdir()), "what hooks have told is taken in")


def test_a_prompt_that_is_submitted_and_a_claude_that_is_killed_on_a_full_disk_are_known_when_there_is_room(
    quick: House, disk: Disk
) -> None:
    pauses = Pauses(quick)
    quick.start_supervisor()
    _, session = quick.ask("Remember the word OLIVE")
    _, other = quick.ask("echo: other")
    pauses.hold("typed")
    sent = quick.send("echo: told late", session, wait=0)["message"]["id"]
    pauses.reached("typed")
    disk.fill()
    refused(quick, other)  # its hooks have no room either: only the transcript tells
    pauses.release("typed")
    until(lambda: "told late" in transcript(quick, quick.session(session)), "Claude has it")
    until(lambda: "echo: told late" in first_tries(quick), "and its service, too")
    assert quick.message(sent)["state"] == "typed"
    disk.free()
    assert quick.message(sent, wait=30)["reply"] == "told late"
    assert first_tries(quick).count("echo: told late") == 1

    until(lambda: quick.session(other)["queueLength"] == 0, "what was accepted before is answered", 60)
    quick.until_state(session, "idle")
    pid = quick.session(session)["pid"]
    living = process.identify(pid)
    assert living is not None
    disk.fill()
    refused(quick, session)
    process.send_signal(living, 9)
    until(lambda: not process.alive(living), "claude is gone")
    until(lambda: not quick.call("ping")["ready"] or quick.call("status"), "the supervisor answers")
    disk.free()
    until(lambda: quick.session(session)["pid"] not in (None, pid), "resumed")
    until(lambda: quick.session(session)["queueLength"] == 0, "the queue is delivered", 60)
    assert quick.ask("What word did I ask you to remember?", session)[0] == "OLIVE"
    assert len(of_kind(quick, "crashed", session)) == 1


def cast(house: House, session: str) -> str:
    """What was recorded of it."""
    return (house.paths.session_dir(session) / "recording.cast").read_text()


def transcript(house: House, session: dict[str, Any]) -> str:
    found = list(house.claude_home.glob(f".claude/projects/*/{session['conversationId']}.jsonl"))
    return found[0].read_text() if found else ""


def test_read_only_home_is_named_and_nothing_starts(quick: House) -> None:
    quick.paths.prepare()
    quick.paths.config_file.write_text("{}")
    with read_only(quick.home):
        code, said = start_and_fail(quick)
    assert code == 1
    assert str(quick.home) in said
    assert "Traceback" not in said
    quick.start_supervisor()
    assert quick.ask("echo: well again")[0] == "well again"


def start_and_fail(house: House) -> tuple[int, str]:
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "supervisor"], cwd=house.folder, env=house.environment(), capture_output=True, timeout=30
    )
    return done.returncode, done.stderr.decode()


def test_a_message_waits_while_claude_cannot_write_what_its_editor_is_to_fill(quick: House) -> None:
    quick.start_supervisor()
    _, session = quick.ask("echo: warm")
    with read_only(quick.paths.temporary_dir(session)):
        sent = quick.send("echo: later", session, wait=0)["message"]["id"]
        said = until(
            lambda: "cannot be written" in str(held := quick.session(session)["held"]) and held, "it is told", 60
        )
        assert str(quick.paths.temporary_dir(session)) in said
        assert quick.message(sent)["state"] == "queued"
    assert quick.message(sent, wait=60)["reply"] == "later"
    assert quick.session(session)["health"] == "ok"
    assert first_tries(quick).count("echo: later") == 1


def test_home_that_becomes_read_only_refuses_new_sessions_and_a_locked_database_at_once_and_both_keep_the_old_ones(
    quick: House,
) -> None:
    quick.start_supervisor()
    _, session = quick.ask("Remember the word PEAR")
    pid = quick.session(session)["pid"]
    with read_only(quick.home):
        with pytest.raises(StorageFailed):
            quick.call("session.create", {"projectPath": str(quick.project)})
        waiting = quick.send("What word did I ask you to remember?", session, wait=0)["message"]["id"]
        assert quick.message(waiting)["state"] == "queued"
        assert quick.session(session)["pid"] == pid
    assert quick.message(waiting, wait=30)["reply"] == "PEAR"
    assert quick.session(session)["pid"] == pid

    sent = quick.send("[[gate turn]] echo: finished", session, wait=0)["message"]["id"]
    assert quick.model.wait_for_gate("turn", 30)
    with closing(sqlite3.connect(quick.paths.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StorageFailed, match="locked"):
            quick.send("echo: not now", session, wait=0)
        assert time.monotonic() - began < 15
        quick.model.release("turn")
        view = quick.session(session)
        until(lambda: '"subtype":"turn_duration"' in transcript(quick, view)[-20_000:], "the turn ends")
        assert quick.message(sent)["state"] != "answered"
        other.execute("ROLLBACK")
    assert quick.message(sent, wait=30)["reply"] == "finished"
    texts = [event["data"] for event in quick.events(session=session) if event["kind"] == "message"]
    steps = [told["state"] for told in texts if told["message"] == sent]
    assert [step for step in steps if step != "replied"] == ["accepted", "queued", "typed", "submitted", "answered"]


def garble(database: Path) -> None:
    with open(database, "r+b") as file:
        file.write(os.urandom(4096))


def cut(database: Path) -> None:
    size = database.stat().st_size
    os.truncate(database, size // 2 // 4096 * 4096)


def test_damaged_database_is_put_aside_and_the_living_are_found_again(quick: House) -> None:
    quick.start_supervisor()
    _, awake = quick.ask("Remember the word QUINCE")
    _, asleep = quick.ask("Remember the word MEDLAR")
    for damage in (garble, cut):
        put_aside_and_found_again(quick, damage, awake, asleep)


def put_aside_and_found_again(quick: House, damage: Callable[[Path], None], awake: str, asleep: str) -> None:
    """One damage, while one of the two sessions lives and the other sleeps."""
    quick.until_state(asleep, "idle")
    quick.call("session.hibernate", {"sessionId": asleep})
    pid, generation = quick.session(awake)["pid"], quick.session(awake)["generation"]
    quick.kill_supervisor()
    with closing(sqlite3.connect(quick.paths.database)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(quick.paths.database)
    quick.start_supervisor()
    view = quick.session(awake)
    assert (view["pid"], view["generation"]) == (pid, generation)
    (event,) = of_kind(quick, "quarantined")
    assert event["what"] == "database"
    assert Path(event["movedTo"]).exists()
    assert event["reason"]
    assert {item["from"] for item in of_kind(quick, "restored")} <= {"database", "folder"}
    assert quick.ask("What word did I ask you to remember?", awake)[0] == "QUINCE"
    assert quick.session(awake)["pid"] == pid
    assert quick.ask("What word did I ask you to remember?", asleep)[0] == "MEDLAR"
    assert len(processes_of(quick, view["conversationId"])) == 1
    head = quick.call("ping")["head"]
    seen = [item["seq"] for item in quick.events()]  # more may have happened since
    assert seen == list(range(1, max(head, len(seen)) + 1))


def test_damage_of_a_large_database_is_found_beside_the_work_and_put_aside_by_the_same_process(quick: House) -> None:
    quick.start_supervisor()
    _, session = quick.ask("Remember the word QUINCE")
    pid = quick.session(session)["pid"]
    quick.kill_supervisor()
    with closing(sqlite3.connect(quick.paths.database, isolation_level=None)) as database:
        at = int(time.time() * 1000)
        for _ in range(66):
            database.execute("INSERT INTO events(at,kind,data) VALUES(?,'text',zeroblob(1048576))", (at,))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(quick.paths.database, "r+b") as file:
        file.seek(40 * 1024 * 1024 // 4096 * 4096)  # in the midst of one of them
        file.write(b"\xff" * 4096)
    began = quick.start_supervisor()
    until(lambda: list(quick.home.glob("pilotlight.db.damaged*")), "it has begun anew")
    (event,) = of_kind(quick, "quarantined")
    assert event["reason"]
    assert began.poll() is None
    assert began.pid == quick.call("ping")["pid"]
    assert quick.session(session)["pid"] == pid
    assert quick.ask("What word did I ask you to remember?", session)[0] == "QUINCE"


def test_damaged_files_of_a_session_and_a_truncated_ring_cost_it_nothing(quick: House) -> None:
    quick.start_supervisor()
    _, session = quick.ask("Remember the word SLOE")
    _, other = quick.ask("echo: other")
    view, neighbour = quick.session(session), quick.session(other)
    folder = quick.paths.session_dir(session)
    quick.kill_supervisor()
    for name in ("holder.json", "spawn.json"):
        (folder / name).write_bytes(b'{"protocol": 1, "pid"')
    with open(folder / "ring", "r+b") as ring:
        ring.write(b"\0not what was written here\r\n" * 8000)
    (folder / "spool" / "99999.0").write_text('{"hook_event_name": "Stop", "promp')
    with open(folder / "hooks.log", "ab") as log:
        log.write(
            b"\xff\xfe garbage\nhook Stop 99999.0\nhook Stop ../../../etc/passwd\n\0\0\0\nhook\n"
            + b"y" * 10_000
            + b"\n"
        )
    (written,) = quick.claude_home.glob(f".claude/projects/*/{view['conversationId']}.jsonl")
    with open(written, "ab") as file:
        file.write(b'{"type": "assistant", "message"\n[]\n\xff\xff\n')
    quick.start_supervisor()
    until(lambda: quick.session(session)["state"] == "idle", "its state is known again")
    assert quick.session(session)["pid"] == view["pid"]
    assert quick.ask("What word did I ask you to remember?", session)[0] == "SLOE"
    assert quick.session(session)["pid"] == view["pid"]
    assert quick.session(other)["pid"] == neighbour["pid"]
    assert len(processes_of(quick, view["conversationId"])) == 1
    put_aside = {event["what"]: event for event in of_kind(quick, "quarantined", session)}
    assert set(put_aside) == {"holder.json", "99999.0"}
    assert all(event["reason"] and Path(event["movedTo"]).exists() for event in put_aside.values())
    # A ring that is cut costs a screen, while the supervisor runs and while it does not.
    pid = view["pid"]
    os.truncate(quick.paths.session_dir(session) / "ring", 0)
    assert quick.ask("echo: still here", session)[0] == "still here"
    quick.kill_supervisor()
    os.truncate(quick.paths.session_dir(session) / "ring", 0)
    quick.start_supervisor()
    until(lambda: quick.session(session)["state"] == "idle", "its state is known again")
    assert quick.ask("echo: and after", session)[0] == "and after"
    assert quick.session(session)["pid"] == pid


def test_damaged_settings_are_put_aside(quick: House) -> None:
    quick.start_supervisor()
    quick.call("settings.patch", {"values": {"sessions.max_concurrent": 3}})
    quick.kill_supervisor()
    with closing(sqlite3.connect(quick.paths.database)) as database, database:
        database.execute("UPDATE meta SET value=? WHERE key='settings'", (json.dumps({"sessions.max_concurrent": 0}),))
    quick.start_supervisor()
    assert quick.call("settings.get")["settings"]["sessions.max_concurrent"] == 10
    assert [event["what"] for event in of_kind(quick, "quarantined")] == ["settings"]


def test_a_node_is_the_same_with_another_database_and_everybody_names_it(quick: House) -> None:
    quick.config["node"] = {"name": "kitchen"}
    quick.start_supervisor()
    quick.start_api()

    def told() -> set[tuple[str, str, str]]:
        """(id, name, epoch) as everybody tells them."""
        answers = [quick.call("ping"), quick.call("status"), quick.call("health")]
        answers += [quick.http("GET", path)[1] for path in ("/health", "/api/health", "/api/status")]
        found = {(answer["node"]["id"], answer["node"]["name"], answer["epoch"]) for answer in answers}
        found |= {(event["node"], "kitchen", event["epoch"]) for event in quick.events()}
        with EventStream(quick.paths.event_address) as stream:
            tick = until(lambda: stream.next_event(1.0), "a tick")
        address = quick.api_address()
        assert address is not None
        with closing(http.client.HTTPConnection(*address)) as connection:
            connection.request("GET", "/health")
            headers = connection.getresponse().headers
        found |= {(tick.node, "kitchen", tick.epoch)}
        return found | {(headers["Pilotlight-Node"], "kitchen", headers["Pilotlight-Epoch"])}

    ((first, _, before),) = told()
    quick.kill_supervisor()
    for suffix in ("", "-wal", "-shm"):
        quick.paths.database.with_name(quick.paths.database.name + suffix).unlink(missing_ok=True)
    quick.start_supervisor()
    ((second, _, after),) = told()
    assert (second, after != before) == (first, True)
