"""The index over transcripts: ours before those from elsewhere, in bites, and nothing of what somebody removed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.history import library as conversations
from supervisor.history.indexer import TranscriptLines
from supervisor.history.library import ConversationCatalog
from supervisor.store import search_index
from supervisor.store.search_index import ELSEWHERE, Index, TranscriptRef
from tests.harness import PATIENCE

OURS = "00000000-0000-4000-8000-000000000001"
THEIRS = "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "search.db", TranscriptLines)
    yield made
    made.close()


def write(folder: Path, name: str, *texts: str, at: int = 1_700_000_000) -> Path:
    """A transcript with a reply for each text; `at` is when it was touched."""
    path = folder / "projects" / "p" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "type": "assistant",
            "uuid": f"{name}-{number}",
            "cwd": "/p",
            "message": {
                "role": "assistant",
                "id": f"{name}-{number}",
                "content": [{"type": "text", "text": text}],
                "usage": {"output_tokens": 1},
            },
        }
        for number, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    os.utime(path, (at, at))
    return path


def hits(index: Index, query: str) -> list[str | None]:
    return [hit["sessionId"] for hit in index.search(query, 10, None, everywhere=True)[0]]


def test_what_was_said_elsewhere_is_found_on_request_and_costs_no_session(index: Index, tmp_path: Path) -> None:
    path = write(tmp_path, THEIRS, "kiwi")
    assert index.update([TranscriptRef(ELSEWHERE, THEIRS, path)], PATIENCE, gentle=True)
    assert hits(index, "kiwi") == [None]
    assert index.search("kiwi", 10, None) == ([], False)
    assert index.usage("day", None) == []

    # The same conversation, taken over: it is ours with all that was said, once.
    assert index.update([TranscriptRef("s", THEIRS, path)], PATIENCE)
    assert hits(index, "kiwi") == ["s"]
    assert index.usage("session", None)[0]["replies"] == 1
    index.keep_elsewhere([])
    assert hits(index, "kiwi") == ["s"]


def test_hits_come_in_pages(index: Index, tmp_path: Path) -> None:
    index.update([TranscriptRef("s", OURS, write(tmp_path, OURS, *(["kiwi"] * 5)))], PATIENCE)
    whole, more = index.search("kiwi", 10, None)
    assert (len(whole), more) == (5, False)
    pages = [index.search("kiwi", 2, None, skipped=skipped) for skipped in (0, 2, 4)]
    assert [more for _, more in pages] == [True, True, False]
    assert [hit for hits, _ in pages for hit in hits] == whole


def test_conversations_from_elsewhere_come_in_pages(tmp_path: Path) -> None:
    names = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(5)]
    for number, name in enumerate(names):
        write(tmp_path, name, "kiwi", at=1_700_000_000 + number // 2)  # two of one moment
    library = ConversationCatalog(tmp_path)
    found, after = [], None
    while True:
        told, after = library.others([], None, 2, after)
        found += [conversation.id for conversation in told]
        if after is None:
            break
    assert sorted(found) == names
    assert found == [conversation.id for conversation in library.others([], None, 10)[0]]
    assert found[0] == names[4]


def test_what_somebody_removed_is_forgotten(index: Index, tmp_path: Path) -> None:
    path = write(tmp_path, THEIRS, "kiwi")
    index.update([TranscriptRef(ELSEWHERE, THEIRS, path)], PATIENCE)
    index.keep_elsewhere([path])
    assert hits(index, "kiwi") == [None]
    index.keep_elsewhere([])
    assert hits(index, "kiwi") == []


def test_reading_goes_on_where_a_bite_ended(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "SLICE_SECONDS", 0.0)
    path = write(tmp_path, THEIRS, *(f"kiwi{number}" for number in range(5)))
    bites = 0
    while not index.update([TranscriptRef(ELSEWHERE, THEIRS, path)], 0.0):
        bites += 1
        assert len(hits(index, "kiwi")) == min(bites, 5), "each bite is whole, and what it read can be found"
    assert bites >= 5
    assert len(hits(index, "kiwi")) == 5


def test_the_newest_conversations_are_searched_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = write(tmp_path, THEIRS, "old", at=1), write(tmp_path, THEIRS[:-1] + "3", "new", at=2)
    write(tmp_path, OURS, "ours", at=3)
    library = ConversationCatalog(tmp_path)
    assert library.transcripts({OURS}) == [new, old]
    monkeypatch.setattr(conversations, "MAX_SEARCHED_BYTES", new.stat().st_size)
    assert library.transcripts({OURS}) == [new]
