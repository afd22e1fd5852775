"""A conversation of 300 MB that the CLI has made by itself: found, taken in, paged, searched, exported twice at once; what that
costs both daemons, and what others feel of it.

Memory is read while it happens: the highest that each daemon had, beside what it had before.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from bench import lab
from bench.latency import _one_process
from bench.scale import Watchdog
from tests.harness import House, claude_binary, until

GROWTH_MB, BLOCKED_MS = 40.0, 100.0
LINE_BYTES = 100_000


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("transcript", __doc__)
    parser.add_argument("--mb", type=int, default=300)
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release) as house:
        conversation = str(uuid.uuid4())
        claude, env = claude_binary(arguments.release), lab.bare_environment(house)
        _one_process(claude, env, house.project, ["--session-id", conversation], "echo: the beginning")
        _grow(house, conversation, arguments.mb)
        figures, verdicts = _measure(house, conversation, arguments.mb)
    return lab.finish(f"transcript of {arguments.mb} MB", figures, verdicts, arguments.json)


def _grow(house: House, conversation: str, megabytes: int) -> None:
    """Turns behind the one that there is, as Claude writes them."""
    (path,) = house.claude_home.rglob(f"{conversation}.jsonl")
    last = [json.loads(line) for line in path.read_text().splitlines()]
    asked = next(line for line in reversed(last) if line.get("type") == "user")
    said = next(line for line in reversed(last) if line.get("type") == "assistant")
    parent, progress = said["uuid"], lab.Progress("MB written", megabytes)
    with path.open("a") as file:
        number = 0
        while path.stat().st_size < megabytes * lab.MEGABYTE:
            user = {**asked, "uuid": str(uuid.uuid4()), "parentUuid": parent, "promptId": str(uuid.uuid4())}
            user["message"] = {"role": "user", "content": f"question {number}"}
            reply = {**said, "uuid": str(uuid.uuid4()), "parentUuid": user["uuid"], "requestId": f"req_{number}"}
            text = f"answer {number} needle{number} " + "word " * (LINE_BYTES // 5)
            reply["message"] = {**said["message"], "id": f"msg_{number}", "content": [{"type": "text", "text": text}]}
            parent, number = reply["uuid"], number + 1
            file.write(json.dumps(user) + "\n" + json.dumps(reply) + "\n")
            file.flush()
            progress.at(path.stat().st_size // lab.MEGABYTE)


class Peak:
    """The most memory that a process had while this watched."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, threading.Event()
        self.before = self.most = lab.private_mb(pid)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            self.most = max(self.most, lab.private_mb(self._pid))

    def end(self) -> float:
        """By how many MB it grew."""
        self._over.set()
        self._thread.join(5)
        return self.most - self.before


def _measure(house: House, conversation: str, megabytes: int) -> tuple[dict[str, Any], dict[str, bool]]:
    assert house.supervisor is not None
    assert house.api is not None
    figures: dict[str, Any] = {}
    verdicts: dict[str, bool] = {}
    watchdog = Watchdog(house)
    sessions: list[str] = []
    works: list[tuple[str, Callable[[], None]]] = [
        ("its import", lambda: sessions.append(_import(house, conversation))),
        ("pages of its history", lambda: _pages(house, sessions[0])),
        ("the search for its words", lambda: _search(house, sessions[0])),
        ("two exports at once", lambda: _exports(house, sessions[0], megabytes)),
    ]
    whole = [Peak(house.supervisor.pid), Peak(house.api.pid)]
    for name, work in works:
        watchdog.worst()
        peaks = [Peak(house.supervisor.pid), Peak(house.api.pid)]
        began = time.monotonic()
        work()
        figures[f"{name}, seconds"] = time.monotonic() - began
        grown = [peak.end() for peak in peaks]
        blocked = watchdog.worst()
        figures |= {f"{name}: supervisor grew, MB": grown[0], f"{name}: API grew, MB": grown[1]}
        figures[f"{name}: loop blocked, ms"] = blocked
        verdicts[f"{name}: each daemon grows by less than {GROWTH_MB:g} MB"] = max(grown) < GROWTH_MB
        verdicts[f"{name}: others wait for less than {BLOCKED_MS:g} ms"] = blocked < BLOCKED_MS
    watchdog.close()
    grown = [peak.end() for peak in whole]
    figures |= {"all of it: supervisor grew, MB": grown[0], "all of it: API grew, MB": grown[1]}
    verdicts[f"all of it: each daemon grows by less than {GROWTH_MB:g} MB"] = max(grown) < GROWTH_MB
    return figures, verdicts


def _import(house: House, conversation: str) -> str:
    """Found among those from elsewhere, then a session of ours, asleep."""
    status, found = house.http("GET", "/api/conversations?limit=50")
    assert status == 200, found
    assert conversation in [one["id"] for one in found["conversations"]], found
    wanted = {"projectPath": str(house.project), "resume": conversation, "asleep": True}
    return str(house.call("session.create", wanted)["id"])


def _pages(house: House, session: str) -> None:
    before = ""
    for _ in range(5):
        status, page = house.http("GET", f"/api/sessions/{session}/history?limit=20{before}")
        assert status == 200, page
        before = f"&before={page['next']}"


def _search(house: House, session: str) -> None:
    def found() -> Any:
        status, answer = house.http("GET", f"/api/search?q=needle100&session={session}")
        assert status == 200, answer
        return answer["hits"]

    until(found, "it is indexed", 300)


def _exports(house: House, session: str, megabytes: int) -> None:
    sizes: list[int] = []
    threads = [threading.Thread(target=lambda: sizes.append(_export(house, session))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sizes) == 2
    assert min(sizes) > megabytes * lab.MEGABYTE * 0.9, sizes


def _export(house: House, session: str) -> int:
    """How many bytes came."""
    address = house.api_address()
    assert address is not None
    connection = http.client.HTTPConnection(*address, timeout=300)
    connection.request(
        "GET", f"/api/sessions/{session}/export?format=markdown", headers={"Authorization": f"Bearer {house.token}"}
    )
    response, size = connection.getresponse(), 0
    assert response.status == 200, response.read(500)
    while part := response.read(1 << 20):
        size += len(part)
    connection.close()
    return size
