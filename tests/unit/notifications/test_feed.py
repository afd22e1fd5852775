"""The notification hook: told once, never about itself, nothing missed from the first start on, and nothing left of a hang."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.config import NotifyConfig
from shared.process import identify
from supervisor.notifications.channels import command as module
from supervisor.notifications.courier import Courier
from supervisor.notifications.feed import FAILED, CommandFeed
from supervisor.notifications.workshop import Workshop
from supervisor.store.store import Store
from tests.harness import PATIENCE

KINDS = ["ended", FAILED]


def feed(store: Store, command: list[str]) -> CommandFeed:
    config, log = NotifyConfig(command=command, kinds=KINDS), logging.getLogger("notify")
    return CommandFeed(lambda: config, store, Courier(Workshop(Path("/nowhere")), log), log)


def notifier(store: Store, script: str) -> CommandFeed:
    made = feed(store, ["sh", "-c", script] if script else [])
    store.publish = made.offer
    made.catch_up()
    return made


@asynccontextmanager
async def running(made: CommandFeed) -> AsyncIterator[None]:
    task = asyncio.create_task(made.run())
    yield
    task.cancel()
    await asyncio.wait([task])
    made._courier.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)


def failures(store: Store) -> list[dict[str, Any]]:
    return [event.data for event in store.events(0, 100, None, [FAILED])]


async def test_a_command_that_fails_is_told_once_until_it_succeeds_and_not_to_itself(
    store: Store, tmp_path: Path
) -> None:
    # How it ends is settled before it is seen to run.
    script = f'read event; test -e {tmp_path}/well; well=$?; echo "$event" >> {tmp_path}/told; test $well = 0 || exit 3'
    made = notifier(store, script)
    told = tmp_path / "told"

    def lines() -> list[dict[str, Any]]:
        return [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []

    async with running(made):
        for count in range(3):
            store.append("ended", "s1")
            await until(lambda least=count + 1: len(lines()) >= least and made.error)
        (tmp_path / "well").touch()
        store.append("ended", "s1")
        await until(lambda: made.error is None)
        (tmp_path / "well").unlink()
        store.append("ended", "s2")
        await until(lambda: made.error)

    assert [(data["seq"], data["why"]) for data in failures(store)] == [
        (1, "The command ended with exit status 3."),
        (6, "The command ended with exit status 3."),
    ]
    assert [line["kind"] for line in lines()] == ["ended"] * 5


async def test_a_command_that_hangs_is_ended_with_what_it_runs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RUN_SECONDS", 0.5)
    made = notifier(store, f"sleep 300 & echo $! > {tmp_path}/pid; wait")

    told = tmp_path / "pid"
    async with running(made):
        while not told.exists() or not told.read_text().endswith("\n"):  # it may be ended before it has got that far
            store.append("ended", "s1")
            seq = str(store.head())
            await until(lambda seq=seq: store.meta("notified") == seq)

    await until(lambda: identify(int(told.read_text())) is None)
    assert [data["why"] for data in failures(store)] == ["The command took longer than 0.5 s."]


async def test_a_command_that_does_not_exist_is_told(store: Store) -> None:
    made = feed(store, ["/no/such/program"])
    store.publish = made.offer

    async with running(made):
        store.append("ended", "s1")
        await until(lambda: made.error)

    assert "/no/such/program" in failures(store)[0]["why"]


async def test_what_happened_before_the_first_success_is_told_after_a_restart(store: Store, tmp_path: Path) -> None:
    store.append("ended", "long ago")
    notifier(store, "true")
    store.append("ended", "s1")  # and the supervisor dies before it has told

    again = notifier(store, f"cat >> {tmp_path}/told")
    async with running(again):
        await until(lambda: store.meta("notified") == "2")

    assert json.loads((tmp_path / "told").read_text())["session"] == "s1"
