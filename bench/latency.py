"""Message to reply with an instant model: pilotlight over HTTP beside the same CLI driven raw, in tmux, and one process for each.

All in turn, message by message, so that a noisy machine is noisy for each. Raw is a paste, the sight of it in the box, Enter,
and the Stop hook; pilotlight is `POST /api/chat` until the reply, `answered` and `replied`; tmux, where it is installed, is its
pane looked at every 50 ms; the last is `claude -p --resume`. CPU is that of all processes, hooks included, a message.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import zmq

from bench import bare, lab
from supervisor.claude import screen
from supervisor.terminal.screen import Screen
from tests.harness import House, claude_binary, until

MORE_THAN_RAW_MS = 150.0
FASTER_THAN_PROCESSES = 2.5
LIST_MS = 5.0
BUS_MS = 0.3
SUPERVISOR_MB = 60.0
HOLDER_MB = 10.0
READY_SECONDS = 1.0
AFTER_SECONDS = 0.25
"""How long CPU counts for a message that is over: the transcript, and the screen that comes to rest."""

STEPS = ("accepted", "typed", "submitted", "answered")


class Raw:
    """The CLI in a pty of our own, with one asynchronous Stop hook."""

    def __init__(self, claude: Path, env: dict[str, str], cwd: Path, folder: Path) -> None:
        self._log = folder / "raw.log"
        self._log.touch()
        hook = {"type": "command", "command": f"cat > /dev/null; echo stop >> {self._log}", "async": True}
        settings = {"tui": "default", "hooks": {"Stop": [{"hooks": [hook]}]}}
        self._screen = Screen(120, 40)
        self._child = pexpect.spawn(
            str(claude),
            ["--settings", json.dumps(settings), "--permission-mode", "default"],
            env=env,
            cwd=str(cwd),
            dimensions=(40, 120),
        )
        self._await(lambda: self._sight().kind == "prompt", 30.0)
        assert self._child.pid is not None
        self.pid: int = self._child.pid

    def _pump(self, seconds: float) -> None:
        if select.select([self._child.child_fd], [], [], seconds)[0]:
            self._screen.feed(os.read(self._child.child_fd, 65536))

    def _sight(self) -> screen.ScreenReading:
        return screen.read(self._screen.lines(), self._screen.cursor, self._screen.is_faint)

    def _await(self, condition: Any, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._pump(0.001)
            if condition():
                return True
        return False

    def idle(self) -> None:
        """Read what it says while nothing is asked."""
        self._pump(0.1)

    def ask(self, text: str, patience: float = 2.0) -> float:
        """Milliseconds from the paste to the Stop hook. A paste of several lines is shown as a mark in the box."""
        size = self._log.stat().st_size
        started = time.monotonic()
        os.write(self._child.child_fd, b"\x1b[200~" + text.encode() + b"\x1b[201~")
        self._await(lambda: text[-8:] in (seen := self._screen.text()) or "[Pasted text" in seen, 5.0)
        while True:
            os.write(self._child.child_fd, b"\r")
            if self._await(lambda: self._log.stat().st_size > size, patience):
                took = 1000 * (time.monotonic() - started)
                self._await(lambda: self._sight().kind == "prompt", 5.0)
                return took

    def close(self) -> None:
        """End it; on a busy machine pexpect does not wait long enough for its end."""
        with contextlib.suppress(pexpect.ExceptionPexpect, OSError):
            self._child.close(force=True)


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("latency", __doc__)
    parser.add_argument("--messages", type=int, default=50)
    parser.add_argument("--sessions", type=int, default=10, help="live sessions while the supervisor is weighed")
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release, {"limits": {"memory_total_gb": 8, "memory_per_session_mb": 8192}}) as house:
        figures, verdicts = _measure(house, arguments)
    return lab.finish(f"latency, CLI {arguments.release}", figures, verdicts, arguments.json)


def _measure(house: House, arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    claude = claude_binary(arguments.release)
    env = lab.bare_environment(house)
    raw = Raw(claude, env, house.project, house.folder)
    session = _chat(house, "echo: warm", None)[0]["sessionId"]
    conversation = str(uuid.uuid4())
    _one_process(claude, env, house.project, ["--session-id", conversation], "echo: warm")
    raw.ask("echo: warm raw")
    tmux = bare.Tmux(claude, env, house.project, house.folder) if bare.Tmux.is_there() else None
    raws, ours, texts, panes, processes = [], [], [], [], []
    spent, steps = Spent(), dict[str, list[float]]()
    own = _processes(house, session)
    progress = lab.Progress("messages", arguments.messages)
    try:
        for number in range(arguments.messages):
            with spent.of("raw", [raw.pid]):
                raws.append(raw.ask(f"echo: raw message {number:04d}"))
            with spent.of("pilotlight", own):
                answer, took = _chat(house, f"echo: our message {number:04d}", session)
            assert answer["reply"] == f"our message {number:04d}", answer
            ours.append(took)
            _note_steps(house, answer["messageId"], took, steps)
            answer, took = _chat(house, f"echo: our text {number:04d}", session, until="replied")
            assert answer["reply"] == f"our text {number:04d}", answer
            texts.append(took)
            raws.append(
                raw.ask(f"echo: raw once more {number:04d}")
            )  # what a message costs grows with the conversation
            house.message(answer["messageId"], wait=30)
            if tmux is not None:
                panes.append(tmux.ask(f"tmux message {number:04d}"))
            processes.append(_one_process(claude, env, house.project, ["--resume", conversation], f"echo: {number}"))
            progress.at(number + 1)
    finally:
        if tmux is not None:
            tmux.close()
        raw.close()
    lists = [_timed(lambda: house.http("GET", "/api/sessions")) for _ in range(200)]
    pings, calls = _round_trips(house), [_timed(lambda: house.bus.call("ping")) for _ in range(500)]
    weights = _weigh(house, arguments.sessions)
    restarts = [_restart(house) for _ in range(5)]
    a, b, c = (lab.percentile(values, 50) for values in (raws, ours, processes))
    figures: dict[str, Any] = {
        "messages of each": arguments.messages,
        "raw: paste, Enter, Stop; ms p50": a,
        "raw, ms p95": lab.percentile(raws, 95),
        "pilotlight over HTTP, ms p50": b,
        "pilotlight, ms p95": lab.percentile(ours, 95),
        "pilotlight until replied, ms p50": lab.percentile(texts, 50),
        "pilotlight until replied, ms p95": lab.percentile(texts, 95),
        **({"tmux pane every 50 ms, ms p50": lab.percentile(panes, 50)} if panes else {}),
        "one process a message, ms p50": c,
        "pilotlight - raw, ms": b - a,
        "pilotlight / raw": b / a,
        "pilotlight until replied / raw": lab.percentile(texts, 50) / a,
        "raw, CPU ms a message": spent.mean("raw"),
        "pilotlight, CPU ms a message": spent.mean("pilotlight"),
        "pilotlight / raw, CPU": spent.mean("pilotlight") / spent.mean("raw"),
        "one process / pilotlight": c / b,
        **{f"  step {name}, ms p50": lab.percentile(values, 50) for name, values in steps.items()},
        "GET /api/sessions, ms p50": lab.percentile(lists, 50),
        "bus round trip, ms p50": lab.percentile(pings, 50),
        "bus round trip through our client, ms p50": lab.percentile(calls, 50),
        **weights,
        "supervisor killed until ready again, s p50": lab.percentile(restarts, 50),
    }
    verdicts = {
        f"at most {MORE_THAN_RAW_MS:.0f} ms more than raw": b - a <= MORE_THAN_RAW_MS,
        f"at least {FASTER_THAN_PROCESSES:g} x faster than one process a message": c / b >= FASTER_THAN_PROCESSES,
        f"GET /api/sessions under {LIST_MS:g} ms": lab.percentile(lists, 50) < LIST_MS,
        f"bus round trip under {BUS_MS:g} ms": lab.percentile(pings, 50) < BUS_MS,
        f"supervisor under {SUPERVISOR_MB:.0f} MB": weights["supervisor MB"] < SUPERVISOR_MB,
        f"ready again within {READY_SECONDS:g} s of a kill": lab.percentile(restarts, 50) < READY_SECONDS,
        f"a holder at most {HOLDER_MB:.0f} MB": weights["holder MB, mean"] <= HOLDER_MB,
    }
    return figures, verdicts


class Spent:
    """CPU of process trees, of what has ended in them, too."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[float]] = {}

    @contextmanager
    def of(self, name: str, roots: list[int]) -> Iterator[None]:
        """Of one message, with what follows it at once."""
        before = sum(map(lab.cpu_seconds, roots))
        yield
        time.sleep(AFTER_SECONDS)
        self._seconds.setdefault(name, []).append(sum(map(lab.cpu_seconds, roots)) - before)

    def mean(self, name: str) -> float:
        """Milliseconds a message."""
        seconds = self._seconds[name]
        return 1000 * sum(seconds) / len(seconds)


def _processes(house: House, session: str) -> list[int]:
    """The roots of all that serves one session: supervisor, API, holder (with `claude` below it)."""
    assert house.supervisor is not None
    assert house.api is not None
    return [house.supervisor.pid, house.api.pid, house.session(session)["holderPid"]]


def _chat(house: House, text: str, session: str | None, until: str = "answered") -> tuple[dict[str, Any], float]:
    body: dict[str, Any] = {"message": text, "wait": 60, "until": until}
    body |= {"sessionId": session} if session else {"projectPath": str(house.project)}
    started = time.monotonic()
    status, answer = house.http("POST", "/api/chat", body)
    took = 1000 * (time.monotonic() - started)
    assert status == 200, answer
    return answer, took


def _note_steps(house: House, message: str, took: float, steps: dict[str, list[float]]) -> None:
    times = house.message(message)["steps"]
    for before, after in itertools.pairwise(STEPS):
        steps.setdefault(f"{before} to {after}", []).append(times[after] - times[before])
    inside = times["answered"] - times["accepted"]
    steps.setdefault("HTTP and bus", []).append(took - inside)


def _one_process(claude: Path, env: dict[str, str], cwd: Path, how: list[str], text: str) -> float:
    started = time.monotonic()
    done = subprocess.run(
        [str(claude), "-p", *how, text], env=env, cwd=cwd, capture_output=True, stdin=subprocess.DEVNULL, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return 1000 * (time.monotonic() - started)


def _timed(call: Any) -> float:
    started = time.monotonic()
    call()
    return 1000 * (time.monotonic() - started)


def _round_trips(house: House) -> list[float]:
    """Milliseconds of requests on one DEALER, as any client of the bus may send them."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.connect(house.paths.request_address)

        def ask(number: int) -> None:
            dealer.send_json({"v": 1, "id": f"bench-{number}", "op": "ping", "args": {}})
            assert json.loads(dealer.recv())["ok"]

        return [_timed(lambda n=number: ask(n)) for number in range(500)]


def _restart(house: House) -> float:
    """Seconds from the start of a new supervisor, after a SIGKILL with all sessions live, until it says that it is ready."""
    house.kill_supervisor()
    started = time.monotonic()
    house.start_supervisor(ready=False)
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.RECONNECT_IVL, 10)
        dealer.connect(house.paths.request_address)
        dealer.send_json({"v": 1, "id": f"restart-{started}", "op": "ping", "args": {}})
        assert json.loads(dealer.recv())["result"]["ready"]
    return time.monotonic() - started


def _weigh(house: House, sessions: int) -> dict[str, float]:
    views = [house.call("session.create", {"projectPath": str(house.project)}) for _ in range(sessions - 1)]
    for view in views:
        house.until_state(view["id"], "idle", timeout=60)
    live = until(lambda: [v for v in house.call("session.list")["sessions"] if v["holderPid"]], "live sessions")
    holders = [lab.memory_mb(view["holderPid"]) for view in live]
    assert house.supervisor is not None
    return {
        "live sessions": float(len(live)),
        "supervisor MB": lab.memory_mb(house.supervisor.pid),
        "holder MB, mean": sum(holders) / len(holders),
    }
