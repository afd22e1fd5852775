"""A file that grows is told to its owner; where that cannot be, it is said, and the owner looks by itself."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from supervisor.observation import file_news
from supervisor.observation.file_news import FileNews
from tests.watches import watches

LINUX = sys.platform == "linux"


class Heard(list[str]):
    """The owners that were told, in order."""

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10.0):
            while not condition():
                await asyncio.sleep(0.001)


@asynccontextmanager
async def following() -> AsyncIterator[tuple[FileNews, Heard]]:
    heard = Heard()
    news = FileNews(heard.append)
    news.open()
    try:
        yield news, heard
    finally:
        news.close()


def append(path: Path, text: str = "line\n") -> None:
    with path.open("a") as file:
        file.write(text)


AGAIN = ("appended", "replaced", "removed and made anew", "moved away and made anew", "in a folder made anew")


@pytest.mark.parametrize("again", AGAIN)
def test_what_a_file_says_is_told_whichever_file_has_its_name(tmp_path: Path, again: str) -> None:
    async def scenario() -> None:
        async with following() as (news, heard):
            log = tmp_path / "session" / "hooks.log"
            log.parent.mkdir()
            append(log)
            assert not news.follow("a", [log])  # what came before is for the owner to see
            assert news.follow("a", [log]) is LINUX
            if again == "replaced":
                append(tmp_path / "other")
                (tmp_path / "other").rename(log)
            elif again == "removed and made anew":
                log.unlink()
            elif again == "moved away and made anew":
                log.rename(tmp_path / "aside")
            elif again == "in a folder made anew":
                log.parent.rename(tmp_path / "aside")
                log.parent.mkdir()
            append(log)
            if not LINUX:
                return
            if again == "in a folder made anew":
                await heard.until(lambda: not news.follow("a", [log]))  # nobody tells of that: it is looked for
            else:
                await heard.until(lambda: "a" in heard)
            await heard.until(lambda: news.follow("a", [log]))
            heard.clear()
            append(log)
            await heard.until(lambda: "a" in heard)

    asyncio.run(scenario())


def test_a_file_that_is_not_there_or_not_known_is_not_followed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with following() as (news, _):
            log, later = tmp_path / "hooks.log", tmp_path / "later.jsonl"
            append(log)
            for paths in ([log, None], [log, None], [log, later], [log, later]):
                assert not news.follow("a", paths)
            append(later)
            assert not news.follow("a", [log, later])
            assert news.follow("a", [log, later]) is LINUX

    asyncio.run(scenario())


def test_each_owner_is_told_of_its_own_files_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with following() as (news, heard):
            ours, both, theirs = (tmp_path / name for name in ("ours", "both", "theirs"))
            for file in (ours, both, theirs):
                append(file)
            for _ in range(2):
                told = news.follow("a", [ours, both]), news.follow("b", [theirs, both])
            assert told == (LINUX, LINUX)
            if not LINUX:
                return
            append(theirs)
            await heard.until(lambda: bool(heard))
            assert set(heard) == {"b"}
            news.forget("b")
            heard.clear()
            append(theirs)
            append(both)
            await heard.until(lambda: bool(heard))
            assert set(heard) == {"a"}
            heard.clear()
            news.follow("a", [both])
            append(ours)
            append(both)
            await heard.until(lambda: bool(heard))
            await asyncio.sleep(0)
            assert heard == ["a"]

    asyncio.run(scenario())


def test_no_watch_is_left_of_a_file_that_has_moved_or_gone_or_of_a_session(tmp_path: Path) -> None:
    async def scenario() -> None:
        if not LINUX:
            return
        before = watches()
        async with following() as (news, heard):
            log, old, new = tmp_path / "hooks.log", tmp_path / "old.jsonl", tmp_path / "new.jsonl"
            append(log)
            append(old)
            for _ in range(2):
                news.follow("a", [log, old])
            old.rename(new)  # Claude takes it along when it enters a worktree
            assert not news.follow("a", [log, new])  # other names are never taken to be followed
            assert news.follow("a", [log, new])
            heard.clear()
            append(new)
            await heard.until(lambda: "a" in heard)
            old.hardlink_to(new)
            for path in (old, new):  # two names of one file
                news.follow("a", [log, old, new])
                assert news.follow("a", [log, old, new])
                assert watches() - before == 2
                news.follow("a", [log, path])
                assert news.follow("a", [log, path])
            log.unlink()
            await heard.until(lambda: not news.follow("a", [log, new]))
            assert watches() - before == 1
            for number in range(50):
                append(log)
                news.follow(f"{number}", [log, new])
                news.follow(f"{number}", [log, None])
                log.unlink()
            for number in range(50):
                news.forget(f"{number}")
            news.forget("a")
            assert watches() == before

    asyncio.run(scenario())


def test_more_news_than_the_kernel_keeps_are_told_to_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with following() as (news, heard):
            quiet, loud, second = (tmp_path / name for name in ("quiet", "loud", "second"))
            for file in (quiet, loud, second):
                append(file)
            for _ in range(2):
                news.follow("quiet", [quiet])
                news.follow("loud", [loud, second])
            if not LINUX:
                return
            most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
            with loud.open("ab", buffering=0) as one, second.open("ab", buffering=0) as other:
                for _ in range(most // 2 + 2):  # the same twice in a row is told once
                    one.write(b".")
                    other.write(b".")
            await heard.until(lambda: "quiet" in heard)

    asyncio.run(scenario())


def test_without_a_watch_nothing_is_followed_and_nothing_stays_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        log = tmp_path / "hooks.log"
        append(log)
        closed = FileNews(lambda _: None)
        assert not closed.follow("a", [log])
        assert not closed.follow("a", [log])
        before = len(os.listdir("/dev/fd"))
        async with following() as (news, _):
            news.follow("a", [log])
        assert len(os.listdir("/dev/fd")) == before
        assert not news.follow("a", [log])

    asyncio.run(scenario())


def test_a_look_asks_the_kernel_only_when_something_was_told_or_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with following() as (news, heard):
            log = tmp_path / "hooks.log"
            append(log)
            asked: list[Path] = []
            ask = news._watch
            monkeypatch.setattr(file_news, "SURE_SECONDS", 1e9)
            monkeypatch.setattr(news, "_watch", lambda path: (asked.append(path), ask(path))[1])
            for _ in range(2):
                news.follow("a", [log])
            if not LINUX:
                return
            assert len(asked) == 2
            append(log)
            await heard.until(lambda: bool(heard))
            assert news.follow("a", [log])
            assert len(asked) == 2, "it has grown, and is the same"
            log.rename(tmp_path / "aside")
            await heard.until(lambda: len(heard) > 1)
            assert not news.follow("a", [log])
            assert len(asked) == 3
            append(log)
            monkeypatch.setattr(file_news, "SURE_SECONDS", 0.0)
            for number in (4, 5, 6):
                news.follow("a", [log])
                assert len(asked) == number, "and now and then"

    asyncio.run(scenario())
