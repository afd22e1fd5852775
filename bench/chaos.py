"""Random kills and stops of every process while messages are sent: each message has one honest fate, nothing is left.

API, supervisor, holders and `claude` are killed or stopped (SIGSTOP, for a while) at random, one by one and together, while they
start, and while nobody sees it; messages are sent all the time, some twice with one key, and others look on (`onlookers`). At the
end every accepted message is answered with its own reply, exactly, or says that it was interrupted or failed; none was submitted
twice; every session is in one true state; and no process, socket or file of the house is left.
"""

from __future__ import annotations

import random
import signal
import threading
import time
import uuid
from collections import Counter, deque
from typing import Any

from bench import lab
from bench.onlookers import GONE, Asker, Follower, Watcher
from shared import process
from shared.bus.messages import SETTLED
from tests.harness import House, until

TEXTS = (
    "{}",
    "{}\nzweite Zeile: „π“ \N{WOMAN}\u200d\N{PERSONAL COMPUTER}\n\n  indented `code`\n- a list",
    "{} " + "word " * 300 + "end",
)
TWICE = 0.3
"""How often the same is sent at the same time, with the same key."""

STARTING_SECONDS = 1.2
BLOWS = (
    *("api", "supervisor", "supervisor", "holder", "claude", "claude-term", "pause", "pause"),
    *("both", "supervisor that starts", "holder unseen", "claude unseen"),
)
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
        self.by_key: dict[str, set[str]] = {}
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
            text = self._dice.choice(TEXTS).format(f"chaos {number} {count}")
            shape = self._dice.choice(["echo: ", "echo: ", "[[slow 0.5]] echo: ", "[[stream 1]] echo: "])
            wanted = (self._sessions[number], shape, text, uuid.uuid4().hex)
            twins = [threading.Thread(target=self._send, args=wanted)] if self._dice.random() < TWICE else []
            for twin in twins:
                twin.start()
            while (accepted := self._send(*wanted)) is None:
                if self.stop.wait(0.2):
                    break
            for twin in twins:
                twin.join()
            if accepted is None:
                return
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
        except GONE:
            return False
        return status == 200 and (receipt.get("message") or receipt)["state"] in SETTLED

    def _send(self, session: str, shape: str, text: str, key: str) -> str | None:
        body = {"message": shape + text, "sessionId": session, "wait": self._dice.choice([0, 0, 2])}
        try:
            _status, answer = self._house.http("POST", "/api/chat", body, headers={"Idempotency-Key": key}, timeout=20)
        except GONE:
            return None  # the API is down, or was killed in the middle of its answer: the key makes a retry harmless
        identity = answer.get("messageId") if isinstance(answer, dict) else None
        if not identity:
            return None
        with self._lock:
            self.accepted[str(identity)] = (shape + text, text)
            self.by_key.setdefault(key, set()).add(str(identity))
        return str(identity)


def _chaos(house: House, arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    dice = random.Random(arguments.seed)
    sessions = [house.ask(f"echo: {number}", wait=120)[1] for number in range(arguments.sessions)]
    asker = Asker(house, house.ask("echo: leave", wait=120)[1], arguments.seed)
    follower, watcher = Follower(house), Watcher(house, sessions[0])
    senders = _Senders(house, sessions, arguments.seed)
    senders.start()
    everybody = [*sessions, asker.session]
    blows: Counter[str] = Counter()
    end = time.monotonic() + arguments.minutes * 60
    progress = lab.Progress("seconds", int(arguments.minutes * 60))
    while time.monotonic() < end:
        time.sleep(dice.uniform(0.5, 3.0))
        progress.at(int(arguments.minutes * 60 - (end - time.monotonic())))
        blow = dice.choice(BLOWS)
        blows[blow] += _strike(house, blow, dice, everybody)
    senders.join()
    watcher.end()
    wrong = asker.wrong()
    figures, verdicts = _judge(house, senders, everybody, blows, wrong)
    told = follower.wrong()
    print("\n".join(told), flush=True) if told else None
    figures |= {
        "asked for leave": len(asker.asked),
        "streams, of so many entries": f"{follower.opened}, {len(follower.seqs)}",
        "terminals": watcher.opened,
    }
    return figures, {**verdicts, "the stream told each entry of the journal once": not told}


def _strike(house: House, blow: str, dice: random.Random, sessions: list[str]) -> int:
    if blow in ("api", "both"):
        house.kill_api()
    if blow in ("supervisor", "both", "supervisor that starts"):
        house.kill_supervisor()
        house.start_supervisor(ready=blow != "supervisor that starts")
    if blow == "supervisor that starts":
        time.sleep(dice.uniform(0.0, STARTING_SECONDS))
        house.kill_supervisor()
        house.start_supervisor()
    if blow in ("api", "both"):
        house.start_api()
    if blow in ("api", "both", "supervisor", "supervisor that starts"):
        return 1
    view = house.session(dice.choice(sessions))
    pid = view["holderPid"] if blow.startswith("holder") else view["pid"]
    if blow == "pause":
        pid = dice.choice([view["holderPid"], view["pid"], house.supervisor.pid if house.supervisor else None])
    known = process.identify(pid) if pid else None
    if known is None:
        return 0
    if blow.endswith("unseen"):
        house.kill_supervisor()
        struck = process.send_signal(known, signal.SIGKILL)
        time.sleep(dice.uniform(0.0, STARTING_SECONDS))
        house.start_supervisor()
        return int(struck)
    if blow != "pause":
        return int(process.send_signal(known, signal.SIGTERM if blow == "claude-term" else signal.SIGKILL))
    process.send_signal(known, signal.SIGSTOP)
    time.sleep(dice.uniform(0.2, 4.0))
    return int(process.send_signal(known, signal.SIGCONT))


def _judge(
    house: House, senders: _Senders, sessions: list[str], blows: Counter[str], wrong: list[str]
) -> tuple[dict[str, Any], dict[str, bool]]:
    def settled() -> bool:
        return all(house.message(identity)["state"] in SETTLED for identity in senders.accepted)

    everything = True
    try:
        until(settled, "every message has a fate", 180)
    except AssertionError:
        everything = False
    fates: Counter[str] = Counter()
    wrong += [f"one key, and messages {sorted(ids)}" for ids in senders.by_key.values() if len(ids) > 1]
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
