"""Random kills and stops of every process while messages are sent: each message has one honest fate, nothing is left.

API, supervisor, holders and `claude` are killed or stopped (SIGSTOP, for a while) at random, messages are sent all the
time. At the end every accepted message is answered with its own reply, or says that it was interrupted or failed; none was
submitted twice; every session is in one true state; and no process, socket or file of the house is left.
"""

from __future__ import annotations

import http.client
import random
import signal
import threading
import time
import uuid
from collections import Counter, deque
from typing import Any

from bench import lab
from shared import process
from shared.bus.messages import SETTLED
from tests.harness import House, until

BACKLOG = 6
"""How many messages of one client may be open: a busy machine must not end with hundreds that wait."""


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("chaos", __doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release, {"health": {"interval_seconds": 2.0}}) as house:
        figures, verdicts = _chaos(house, arguments)
    return lab.finish(f"chaos, CLI {arguments.release}, seed {arguments.seed}", figures, verdicts, arguments.json)


class _Senders:
    """Clients that never give up: each message has a key and is sent again until it was accepted."""

    def __init__(self, house: House, sessions: list[str], seed: int) -> None:
        self._house, self._sessions, self._dice = house, sessions, random.Random(seed)
        self._lock = threading.Lock()
        self.accepted: dict[str, tuple[str, str]] = {}
        self.stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(len(sessions))]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        count = 0
        behind: deque[str] = deque()
        while not self.stop.is_set():
            count += 1
            text = f"chaos {number} {count}"
            shape = self._dice.choice(["echo: ", "echo: ", "[[slow 0.5]] echo: ", "[[stream 1]] echo: "])
            key = uuid.uuid4().hex
            while True:
                accepted = self._send(self._sessions[number], shape + text, key)
                if accepted is not None:
                    break
                if self.stop.wait(0.2):
                    return
            with self._lock:
                self.accepted[accepted] = (shape + text, text)
            behind.append(accepted)
            self.stop.wait(self._dice.uniform(0.0, 0.6))
            while len(behind) >= BACKLOG and not self.stop.is_set():
                if self._is_settled(behind[0]):
                    behind.popleft()
                else:
                    self.stop.wait(0.2)

    def _is_settled(self, identity: str) -> bool:
        try:
            status, receipt = self._house.http("GET", f"/api/messages/{identity}", timeout=20)
        except (OSError, http.client.HTTPException, AssertionError):
            return False
        return status == 200 and (receipt.get("message") or receipt)["state"] in SETTLED

    def _send(self, session: str, text: str, key: str) -> str | None:
        body = {"message": text, "sessionId": session, "wait": self._dice.choice([0, 0, 2])}
        try:
            _status, answer = self._house.http("POST", "/api/chat", body, headers={"Idempotency-Key": key}, timeout=20)
        except (OSError, http.client.HTTPException, AssertionError):
            return None  # the API is down, or was killed in the middle of its answer: the key makes a retry harmless
        identity = answer.get("messageId") if isinstance(answer, dict) else None
        return str(identity) if identity else None


def _chaos(house: House, arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    dice = random.Random(arguments.seed)
    sessions = [house.ask(f"echo: {number}", wait=120)[1] for number in range(arguments.sessions)]
    senders = _Senders(house, sessions, arguments.seed)
    senders.start()
    blows: Counter[str] = Counter()
    end = time.monotonic() + arguments.minutes * 60
    progress = lab.Progress("seconds", int(arguments.minutes * 60))
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.5, 3.0))
        progress.at(int(arguments.minutes * 60 - (end - time.monotonic())))
        blow = dice.choice(["api", "supervisor", "supervisor", "holder", "claude", "claude-term", "pause", "pause"])
        blows[blow] += _strike(house, blow, dice, sessions)
    senders.join()
    return _judge(house, senders, sessions, blows)


def _strike(house: House, blow: str, dice: random.Random, sessions: list[str]) -> int:
    if blow == "api":
        house.kill_api()
        house.start_api()
        return 1
    if blow == "supervisor":
        house.kill_supervisor()
        house.start_supervisor()
        return 1
    view = house.session(dice.choice(sessions))
    pid = view["holderPid"] if blow == "holder" else view["pid"]
    if blow == "pause":
        pid = dice.choice([view["holderPid"], view["pid"], house.supervisor.pid if house.supervisor else None])
    known = process.identify(pid) if pid else None
    if known is None:
        return 0
    if blow != "pause":
        return int(process.send_signal(known, signal.SIGTERM if blow == "claude-term" else signal.SIGKILL))
    process.send_signal(known, signal.SIGSTOP)
    time.sleep(dice.uniform(0.2, 4.0))
    return int(process.send_signal(known, signal.SIGCONT))


def _judge(
    house: House, senders: _Senders, sessions: list[str], blows: Counter[str]
) -> tuple[dict[str, Any], dict[str, bool]]:
    def settled() -> bool:
        return all(house.message(identity)["state"] in SETTLED for identity in senders.accepted)

    everything = True
    try:
        until(settled, "every message has a fate", 180)
    except AssertionError:
        everything = False
    fates: Counter[str] = Counter()
    wrong: list[str] = []
    turns = [turn for turn in house.model.turns() if turn.attempt == 1]
    prompts = Counter(turn.text for turn in turns)
    marked = [turn for turn in turns if turn.text != turn.prompt]
    for identity, (prompt, text) in senders.accepted.items():
        receipt = house.message(identity)
        code = (receipt["error"] or {}).get("code", "")
        fates[receipt["state"] + (f" ({code})" if receipt["state"] == "failed" else "")] += 1
        if receipt["state"] == "answered" and receipt["reply"] != text:
            wrong.append(f"{identity}: {receipt['reply']!r} instead of {text!r}")
        if prompts[prompt] > 1:
            wrong.append(f"{identity}: submitted {prompts[prompt]} times")
        if receipt["state"] == "answered" and not prompts[prompt]:
            wrong.append(f"{identity}: answered without having been submitted")
    states = {
        session: house.until_state(session, "idle", "hibernated", "ended", timeout=90)["state"] for session in sessions
    }
    alive = {session: house.session(session)["pid"] for session in sessions}
    truthful = all(
        (process.identify(pid) is not None) == (states[session] == "idle") if pid else states[session] != "idle"
        for session, pid in alive.items()
    )
    wrong += [f"given to Claude in the middle of a turn: {turn.prompt!r}" for turn in marked]
    print("\n".join(wrong[:30]), flush=True) if wrong else None
    figures: dict[str, Any] = {
        "accepted": len(senders.accepted),
        **{f"fate: {name}": count for name, count in sorted(fates.items())},
        **{f"blow: {name}": count for name, count in sorted(blows.items())},
        "wrong": len(wrong),
        "given to Claude in the middle of a turn": len(marked),
    }
    verdicts = {
        "every accepted message has one fate": everything,
        "no reply was mixed up, no prompt submitted twice": not wrong,
        "every session is in a true state": truthful,
        "messages got through": fates["answered"] >= 10,
    }
    return figures, verdicts
