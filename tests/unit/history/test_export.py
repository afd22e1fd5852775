"""An export says what the pages say, in parts of a bounded size, however long the transcript is."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.bus.messages import HistoryEntry
from shared.errors import InvalidRequest
from supervisor.claude import tail
from supervisor.history import export, reader
from supervisor.history.export import ExportFormat, ExportPosition, Json, Markdown
from supervisor.history.reader import Source
from tests.unit.history.test_reader import assistant, conversation, result, text, tool, user, write
from tests.unit.store.test_long_queue import Table


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[Table]:
    """The operations, and one session that sleeps."""
    made = Table(tmp_path)
    yield made
    await made.pool.close()
    made.store.close()


FACTS = {"sessionId": "s", "title": None}


def parts(sources: list[Source], form: ExportFormat) -> tuple[list[str], list[HistoryEntry]]:
    """The file in parts, and all entries."""
    texts: list[str] = []
    entries: list[HistoryEntry] = []
    place: ExportPosition | None = ExportPosition()
    while place is not None:
        found, following = export.part(sources, place)
        texts.append(export.written(form, found, place, following is None))
        entries += found
        place = None if following is None else ExportPosition.parse(str(following), len(sources))
    return texts, entries


@pytest.mark.parametrize("size", [1, 100, 1000, 1 << 20])
def test_the_parts_together_are_the_whole_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(export, "PART_BYTES", size)
    sources = conversation(tmp_path)
    texts, entries = parts(sources, Json("s", FACTS))
    assert entries == reader.page(sources, None, 50)[0]
    told = json.loads("".join(texts))
    assert [entry["id"] for entry in told["entries"]] == [entry.id for entry in entries]
    assert {name: told[name] for name in FACTS} == FACTS
    assert (len(texts) > 3) == (size < 1000)
    written = "".join(parts(sources, Markdown("s", "T", [("session", "s")]))[0])
    monkeypatch.setattr(export, "PART_BYTES", 1 << 20)
    assert written == "".join(parts(sources, Markdown("s", "T", [("session", "s")]))[0])
    assert written.count("\n---\n") == 1


_LINES = st.sampled_from(
    [
        user("a prompt", promptId="p"),
        assistant("m1", text("one")),
        assistant("m1", tool("t1", command="a")),
        assistant("m2", text("two")),
        assistant("m3", tool("t2", command="b")),
        result("t1", "said"),
        result("t2", "said too"),
        user("<command-name>/model</command-name>\n <command-args>opus</command-args>"),
        user("<local-command-stdout>Set</local-command-stdout>"),
        {"type": "mode", "mode": "normal"},
    ]
)


def of_its_own(lines: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The lines, with message ids that no other transcript has."""
    text = json.dumps(lines)
    for name in ("m1", "m2", "m3"):
        text = text.replace(f'"id": "{name}"', f'"id": "{name}-{number}"')
    return list(json.loads(text))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.lists(_LINES, max_size=14), min_size=1, max_size=3), size=st.integers(1, 900))
def test_no_entry_is_cut_lost_or_told_twice(tmp_path: Path, lines: list[list[dict[str, Any]]], size: int) -> None:
    sources = [write(tmp_path / f"{number}.jsonl", *of_its_own(some, number)) for number, some in enumerate(lines)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "PART_BYTES", size)
        texts, entries = parts(sources, Json("s", FACTS))
    expected = reader.page(sources, None, 1000)[0]
    assert [(entry.role, entry.text, entry.output) for entry in entries] == [
        (entry.role, entry.text, entry.output) for entry in expected
    ]
    assert json.loads("".join(texts))["entries"] == [json.loads(export._indented(entry)) for entry in entries]


def test_a_history_of_nothing_is_a_file_too(tmp_path: Path) -> None:
    nothing = [Source("c", tmp_path / "none.jsonl")]
    assert json.loads("".join(parts(nothing, Json("s", FACTS))[0])) == {**FACTS, "entries": []}
    assert parts(nothing, Markdown("s", "T", [("session", "s")]))[0] == ["# T\n\n- session: s\n"]


@pytest.mark.parametrize(
    "cursor", ["", "0", "0.0", "x.0.0", "0.x.0", "9.0.0", "-1.0.0", "0.0.0.0", "0." + "9" * 70 + ".0"]
)
def test_a_wrong_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        ExportPosition.parse(cursor, 2)


def test_markdown_fences_hold_whatever_a_tool_says() -> None:
    call = {"id": "t", "name": "Bash", "input": {"command": "ls"}, "result": "```\n````", "truncated": False}
    entries = [HistoryEntry(id="a", role="assistant", text="Hi", at=0, tool_calls=[call])]
    told = Markdown("s", "T", [("session", "s")]).body(entries, ExportPosition())
    assert "`````\n```\n````\n`````" in told
    assert "1970-01-01 00:00:00 UTC" in told


def test_a_part_reads_little_more_than_it_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 0

    def counting(path: Path) -> Any:
        file = tails_open(path)
        whole, line = file.read, file.readline

        class Counted:
            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def __enter__(self) -> Any:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()

            def read(self, size: int) -> bytes:
                return taken(whole(size))

            def readline(self, size: int) -> bytes:
                return taken(line(size))

        return Counted()

    def taken(data: bytes) -> bytes:
        nonlocal read
        read += len(data)
        return data

    tails_open = tail.open_foreign
    lines = [assistant(f"m{number}", text("word " * 20_000)) for number in range(80)]
    sources = [write(tmp_path / "long.jsonl", *lines)]
    monkeypatch.setattr(tail, "open_foreign", counting)
    texts, entries = parts(sources, Json("s", FACTS))
    assert len(entries) == 80
    assert max(map(len, texts)) < 500_000, "the loop writes each into an answer"
    assert read < 2.5 * sources[0].path.stat().st_size


async def test_a_long_export_takes_little_memory_and_no_long_reply(table: Table, tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    with path.open("w") as file:
        for number in range(600):
            for line in (
                user(f"prompt {number}", promptId=f"p{number}"),
                assistant(f"m{number}", text("word " * 2_000), tool(f"t{number}", command="x")),
                result(f"t{number}", "y" * 40_000),
            ):
                file.write(json.dumps(line) + "\n")
    record = table.pool.managed("s").session.record
    record.transcript = str(path)
    record.conversation_id = "c"
    assert path.stat().st_size > 25 * export.PART_BYTES
    texts, after = [], None
    tracemalloc.start()
    try:
        while not texts or after is not None:
            part = await table.ask("export", sessionId="s", format="json", **({"after": after} if after else {}))
            texts.append(part["text"])
            after = part["next"]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(map(len, texts)) < 2 * export.PART_BYTES
    held = sum(map(len, texts))
    assert peak - held < 16 * export.PART_BYTES
    entries = json.loads("".join(texts))["entries"]
    assert [entry["text"] for entry in entries if entry["role"] == "user"] == [f"prompt {n}" for n in range(600)]
    assert all(call["result"] for entry in entries for call in entry["toolCalls"])


def markdown(*entries: HistoryEntry) -> str:
    """The body that these entries make."""
    return Markdown("s", "T", []).body(entries, ExportPosition())


@pytest.mark.parametrize(
    ("left_open", "end"),
    [
        ("look:\n```python\nx = 1", "```"),
        ("````\n```", "````"),
        ("~~~~ sh\nls\n```", "~~~~"),
        ("- item\n  ```\n  x", "```"),
        ("> ```\n> x", "```"),
        ("<!-- forgotten", "-->"),
    ],
)
def test_what_a_reply_leaves_open_does_not_swallow_the_headings_that_follow(left_open: str, end: str) -> None:
    told = markdown(
        HistoryEntry(id="a", role="assistant", text=left_open, at=0),
        HistoryEntry(id="b", role="user", text="Go on", at=0),
    )
    assert f"{left_open}\n{end}\n\n## " in told


@pytest.mark.parametrize(
    "whole", ["```\nx\n```", "~~~\n```\n~~~", "`code` and ``` in a line", "<!-- a --> b", "````\n```\n````"]
)
def test_what_is_whole_stays_as_it_is(whole: str) -> None:
    assert f"\n\n{whole}\n\n## " in markdown(*(HistoryEntry(id="a", role="assistant", text=whole, at=0) for _ in "ab"))


def test_nothing_in_a_markdown_file_drives_a_terminal_and_nothing_is_lost() -> None:
    evil = "\x1b[31mred\x07 \u202egnp.exe\x9b"
    call = {"id": "t", "name": evil, "input": {evil: 1}, "result": evil, "truncated": False}
    told = markdown(
        HistoryEntry(id="a", role="assistant", text=f"{evil} 👩\u200d💻\xa0", at=0, tool_calls=[call]),
        HistoryEntry(id="b", role="command", text=evil, output=evil),
        HistoryEntry(id="c", role="system", text=evil),
    )
    told += Markdown("s", evil, [("project", evil)]).head()
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(told)
    assert told.count(r"\x1b[31mred\x07 \u202egnp.exe\x9b") >= 7
    assert "👩\u200d💻" in told
