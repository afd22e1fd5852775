"""The steps of a move between two databases, without a `claude`: each repeated, each of another move, each called off."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.bus import move_requests, session_requests
from shared.bus.message_requests import HistoryRequest, MessageRef, SendMessage
from shared.bus.service_requests import RefusedCall
from shared.errors import Conflict, Forbidden, InvalidRequest, NotFound, PilotlightError, StorageFailed, Unavailable
from supervisor.moving import arrivals, bundle, departures
from supervisor.store.store import SessionRecord
from tests.unit.moving.place import ID, SAID, UPLOAD, Place, packed


async def test_all_of_a_session_goes_and_every_step_may_be_repeated(here: Place, there: Place) -> None:
    begun = await here.do("leave", node="n2")
    assert await here.do("leave", node="n2") == begun
    assert (begun.to, begun.moved, begun.word) == ("n2", False, None)
    data, digest = await packed(here, begun.id)
    assert await packed(here, begun.id) == (data, digest)
    for _ in range(2):
        assert await there.bring(begun.id, data) == {"digest": digest, "arrived": False}
    assert there.store.session(ID) is None, "a bundle is no session"
    let_go = await here.do("release", move=begun.id, digest=digest)
    assert await here.do("release", move=begun.id, digest=digest) == let_go == await here.do("leave", node="n2")
    for _ in range(2):
        view = await there.do("arrive", move=begun.id, word=let_go.word)
    assert (await there.bring(begun.id, data))["arrived"] is True

    assert (view.id, view.state, view.title, view.project_path) == (ID, "hibernated", "Fruit", str(there.project))
    record = there.session().record
    assert (record.launch.model, record.remembered.spoken, record.generation) == ("opus", ID, 3)
    assert record.unknown == {"ofTomorrow": 1}
    assert there.transcript().read_bytes() == SAID == Path(record.transcript or "").read_bytes()
    assert (there.transcript().with_suffix("") / "subagents" / "agent-1.jsonl").exists()
    assert there.store.position(ID, f"transcript:{ID}.jsonl") == len(SAID)
    assert there.store.recall(f"session.answer {ID} k9")["result"] == {"id": "w1"}
    assert there.store.draft(ID) == "half a"
    first = there.store.messages_by_key(["message.send * k1"])[0]
    assert (first.id, first.reply) == ("m_1", "I will.")
    assert [message.id for message in there.store.open_messages(ID)] == ["m_3", "m_2"], "in the order of the queue"
    waits = there.store.message("m_2")
    assert waits is not None
    file = there.paths.session_dir(ID) / "attachments" / "m_2" / "note.txt"
    assert (waits.attachments[0]["path"], file.read_bytes()) == (str(file), b"x")
    assert str(file) in waits.prompt
    assert str(here.paths.home) not in waits.prompt
    assert [kind for kind in here.kinds() if kind in ("leaving", "moved", "ended")] == ["leaving", "moved", "ended"]
    assert there.kinds() == ["arrived"]
    for place in (here, there):
        assert list(place.paths.moves_dir.iterdir()) == []


async def test_nothing_is_done_with_a_session_that_moves(here: Place) -> None:
    begun = await here.do("leave", node="n2")
    here.ops.refuse("history", HistoryRequest(session_id=ID))
    refusal = RefusedCall(call="x", needed="admin", scope="read", session_id=ID)
    here.ops.refuse("audit.refused", refusal)
    for op, asked in (
        ("message.send", SendMessage(session_id=ID, text="x")),
        ("session.update", session_requests.UpdateSession(session_id=ID, title="x")),
        ("draft.set", session_requests.KeepDraft(session_id=ID, text="x")),
        ("message.cancel", MessageRef(message_id="m_2")),
        ("session.kill", session_requests.StopSession(session_id=ID)),
        ("session.of_tomorrow", session_requests.SessionRef(session_id=ID)),
    ):
        with pytest.raises(Unavailable, match="being moved to n2") as refused:
            here.ops.refuse(op, asked)
        assert (refused.value.error_code, refused.value.retryable) == ("session_moving", True)
    with pytest.raises(Unavailable):
        here.pool.send(SendMessage(session_id=ID, text="x"))
    with pytest.raises(Unavailable):
        await here.pool.managed(ID).lifecycle.start("test")
    with pytest.raises(Conflict, match="being moved to n2"):
        await here.do("leave", node="n3")
    assert here.session().view().moving_to == "n2"
    _, digest = await packed(here, begun.id)
    await here.do("release", move=begun.id, digest=digest)

    here.ops.refuse("session.get", session_requests.SessionRef(session_id=ID))
    for op, looks in (("history", HistoryRequest(session_id=ID)), ("message.get", MessageRef(message_id="m_2"))):
        with pytest.raises(Conflict, match=f"has moved to n2~{ID}") as moved:
            here.ops.refuse(op, looks)
        assert (moved.value.error_code, moved.value.data["node"]) == ("session_moved", "n2")
    with pytest.raises(Conflict, match="has moved"):
        here.pool.send(SendMessage(text="Remember the word BANANA", key="k1"))
    with pytest.raises(Conflict, match="has moved"):
        here.pool.reopen(here.pool.managed(ID), "token:ada")
    assert (here.session().view().moved_to, here.session().view().end_reason) == (f"n2~{ID}", "moved")
    left = here.store.message("m_2")
    assert left is not None
    assert (left.state, (left.error or {})["code"]) == ("cancelled", "session_moved")


async def test_a_session_that_has_not_arrived_is_on_its_way_and_not_unknown(here: Place, there: Place) -> None:
    there.ops.refuse("message.send", SendMessage(session_id=ID, text="x"))
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    let_go = await here.do("release", move=begun.id, digest=digest)
    for op, asked in (
        ("message.send", SendMessage(session_id=ID, text="x")),
        ("session.get", session_requests.SessionRef(session_id=ID)),
        ("session.leave", move_requests.LeaveFor(session_id=ID, node="n3")),
    ):
        with pytest.raises(Unavailable, match="on its way here") as refused:
            there.ops.refuse(op, asked)
        assert refused.value.error_code == "session_moving"
    arrive = move_requests.ArriveHere(session_id=ID, move=begun.id, word=let_go.word)
    there.ops.refuse("session.arrive", arrive)
    await there.do("arrive", move=begun.id, word=let_go.word)
    there.ops.refuse("session.get", session_requests.SessionRef(session_id=ID))


async def test_a_move_that_is_called_off_leaves_the_session_where_it_was(here: Place, there: Place) -> None:
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    for _ in range(2):
        found = await here.do("stay")
    assert (found["session"].moving_to, found["move"]) == (None, None)
    here.ops.refuse("message.send", SendMessage(session_id=ID, text="x"))
    with pytest.raises(Conflict, match="called off"):
        await here.do("release", move=begun.id, digest=digest)
    with pytest.raises(Conflict, match="called off"):
        await here.do("bundle", move=begun.id)
    with pytest.raises(Forbidden, match="not let go"):
        await there.do("arrive", move=begun.id, word="a guess")
    assert there.store.session(ID) is None

    again = await here.do("leave", node="n2")
    data, digest = await packed(here, again.id)
    await there.bring(again.id, data)
    assert [path.name for path in there.paths.moves_dir.iterdir()] == [f"{again.id}.in.tar"], "the earlier one is gone"
    await there.do("decline", move=begun.id)
    assert len(list(there.paths.moves_dir.iterdir())) == 1, "that was another move"
    await there.do("decline", move=again.id)
    assert list(there.paths.moves_dir.iterdir()) == []
    with pytest.raises(NotFound):
        await there.do("arrive", move=again.id, word="w")


async def test_the_word_is_not_in_the_bundle(here: Place) -> None:
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    let_go = await here.do("release", move=begun.id, digest=digest)
    assert let_go.word
    assert let_go.word.encode() not in data


async def test_a_move_that_is_called_off_while_it_is_packed_stays_called_off(
    here: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await here.do("leave", node="n2")
    pack = bundle.pack

    def slowly(*args: Any) -> str:
        asyncio.run_coroutine_threadsafe(here.do("stay"), loop).result(10)
        return pack(*args)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(bundle, "pack", slowly)
    with pytest.raises(Conflict, match="called off"):
        await here.do("bundle", move=begun.id)
    assert here.session().view().moving_to is None
    here.ops.refuse("message.send", SendMessage(session_id=ID, text="x"))
    assert list(here.paths.moves_dir.iterdir()) == []


async def test_a_transcript_that_is_not_of_the_session_is_not_put_here(
    here: Place, there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = departures._sources

    def more(record: SessionRecord, folder: Path) -> Iterator[tuple[str, Path]]:
        yield from sources(record, folder)
        for name in ("another.jsonl", f"{ID}.sh"):
            yield f"transcripts/{name}", here.transcript()

    monkeypatch.setattr(departures, "_sources", more)
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    let_go = await here.do("release", move=begun.id, digest=digest)
    await there.do("arrive", move=begun.id, word=let_go.word)
    assert {path.name for path in there.transcript().parent.iterdir()} == {f"{ID}.jsonl", ID}


async def test_nobody_lets_go_for_what_has_not_come_whole(here: Place, there: Place) -> None:
    begun = await here.do("leave", node="n2")
    data, _ = await packed(here, begun.id)
    for broken in (data[: len(data) // 2], data.replace(b"BANANA", b"CHERRY"), b"", b"x" * 2048):
        with pytest.raises(InvalidRequest, match="not come as it was sent"):
            await there.bring(begun.id, broken)
    assert list(there.paths.moves_dir.iterdir()) == []
    with pytest.raises(Conflict, match="has not what was packed"):
        await here.do("release", move=begun.id, digest="0" * 64)
    assert here.session().view().moving_to == "n2"


async def known(there: Place) -> None:
    there.store.save_session(SessionRecord(ID, str(there.project), 1, 1, "hibernated", "other"))


async def held(there: Place) -> None:
    there.store.save_session(SessionRecord("another", str(there.project), 1, 1, "ended", ID))


async def diverged(there: Place) -> None:
    there.transcript().parent.mkdir(parents=True)
    there.transcript().write_bytes(SAID + b'{"type":"user"}\n')


async def altered(there: Place) -> None:
    file = there.paths.session_dir(ID) / "attachments" / "m_2" / "note.txt"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"y")


async def folderless(there: Place) -> None:
    there.project.rmdir()


@pytest.mark.parametrize(
    ("hindrance", "code"),
    [
        (known, "session_known"),
        (held, "conversation_known"),
        (diverged, "conversation_diverged"),
        (altered, "conversation_diverged"),
        (folderless, "invalid_project_path"),
    ],
)
async def test_what_is_in_its_way_is_said_before_it_is_let_go_of(
    here: Place, there: Place, hindrance: Any, code: str
) -> None:
    await hindrance(there)
    begun = await here.do("leave", node="n2")
    data, _ = await packed(here, begun.id)
    with pytest.raises(PilotlightError) as refused:
        await there.bring(begun.id, data)
    assert (refused.value.error_code, refused.value.retryable) == (code, False)


async def test_what_the_other_node_has_lost_is_packed_again(here: Place, there: Place) -> None:
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    let_go = await here.do("release", move=begun.id, digest=digest)
    await there.do("decline", move=begun.id)
    with pytest.raises(NotFound):
        await there.do("arrive", move=begun.id, word=let_go.word)
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    view = await there.do("arrive", move=begun.id, word=let_go.word)
    await here.do("release", move=begun.id, digest=digest)
    assert (view.state, view.queue_length, view.end_reason, view.ended_at) == ("hibernated", 2, None, None)
    assert list(here.paths.moves_dir.iterdir()) == []
    assert here.session().view().moved_to == f"n2~{ID}"


async def test_a_disk_that_is_full_when_it_is_unpacked_is_left_as_it_was(
    here: Place, there: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    let_go = await here.do("release", move=begun.id, digest=digest)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageFailed, match="No space left"):
            await there.do("arrive", move=begun.id, word=let_go.word)
    assert [path for path in there.claude_home.rglob("*") if path.is_file()] == []
    assert (await there.do("arrive", move=begun.id, word=let_go.word)).queue_length == 2


async def test_it_comes_back_over_what_it_has_left(here: Place, there: Place) -> None:
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    let_go = await here.do("release", move=begun.id, digest=digest)
    await there.do("arrive", move=begun.id, word=let_go.word)
    with there.transcript().open("ab") as file:
        file.write(b'{"type":"assistant"}\n')
    back = await there.do("leave", node="n1")
    data, digest = await packed(there, back.id)
    await here.bring(back.id, data)
    let_go = await there.do("release", move=back.id, digest=digest)
    view = await here.do("arrive", move=back.id, word=let_go.word)

    assert (view.state, view.moved_to, view.queue_length) == ("hibernated", None, 2)
    assert here.transcript().read_bytes().endswith(b'{"type":"assistant"}\n')
    here.ops.refuse("message.send", SendMessage(session_id=ID, text="x"))
    assert there.session().view().moved_to == f"n1~{ID}"


async def test_what_a_crash_has_left_is_swept(here: Place, there: Place) -> None:
    begun = await here.do("leave", node="n2")
    data, digest = await packed(here, begun.id)
    await there.bring(begun.id, data)
    other, upload = "mv_" + "1" * 32, "1" * 32 + ".part"
    for place in (here, there):
        for name in (UPLOAD, upload, f"{other}.out.making", f"{other}.in.tar", f"{other}.out.tar"):
            (place.paths.moves_dir / name).touch()
        os.utime(place.paths.moves_dir / UPLOAD, (1, 1))
        arrivals.sweep(place.paths.moves_dir, place.store)
    left = [{path.name for path in place.paths.moves_dir.iterdir()} for place in (here, there)]
    assert left == [{upload, f"{begun.id}.out.tar"}, {upload, f"{begun.id}.in.tar"}], "one that is uploaded now stays"

    let_go = await here.do("release", move=begun.id, digest=digest)
    await there.do("arrive", move=begun.id, word=let_go.word)
    for place, name in ((here, f"{begun.id}.out.tar"), (there, f"{begun.id}.in.tar")):
        (place.paths.moves_dir / name).touch()  # the crash came before it was removed
        arrivals.sweep(place.paths.moves_dir, place.store)
        assert [path.name for path in place.paths.moves_dir.iterdir()] == [upload]
