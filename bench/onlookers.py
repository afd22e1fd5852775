"""Who else is there while everything is killed: a stream of events, a terminal in a browser, and somebody who is asked for leave.

What must not be wrong of them: the stream has told each entry of the journal once, whoever was killed in between; a request
for leave keeps its id while its process lives; what was allowed is done once, what was denied never.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.bus.messages import SETTLED
from tests.event_stream import Stream
from tests.harness import House
from tests.onlooker import Refused, Web

GONE = (OSError, http.client.HTTPException, AssertionError)
"""What a client sees of a server that is down, or is killed in the middle of its answer."""

AGAIN_SECONDS = 0.2
LONGEST_DOUBT_SECONDS = 15.0


class Follower:
    """Follows the journal, and comes back with the last id when its stream has ended."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._over = threading.Event()
        self.seqs: list[int] = []
        self.opened = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        last = "0"
        while not self._over.is_set():
            try:
                with Stream(self._house, "/api/events", last_id=last) as stream:
                    self.opened += 1
                    for frame in stream:
                        last = stream.last_id or last
                        if isinstance(frame.data, dict) and "seq" in frame.data and frame.kind != "tick":
                            self.seqs.append(frame.data["seq"])
            except GONE:
                time.sleep(AGAIN_SECONDS)

    def wrong(self, patience: float = 30.0) -> list[str]:
        """What it was told twice, or not at all; it ends with this."""
        journal = [event["seq"] for event in self._house.events()]
        end = time.monotonic() + patience
        while (not self.seqs or self.seqs[-1] < journal[-1]) and time.monotonic() < end:
            time.sleep(AGAIN_SECONDS)
        self._over.set()
        told = Counter(self.seqs)
        twice = [seq for seq, count in told.items() if count > 1]
        missed = [seq for seq in journal if seq not in told]
        found = [f"the stream told {twice[:10]} twice"] if twice else []
        return found + ([f"the stream missed {len(missed)}: {missed[:10]}"] if missed else [])


class Watcher:
    """Looks at the terminal of one session through a WebSocket, and opens another one when it was closed."""

    def __init__(self, house: House, session: str) -> None:
        self._house, self._session = house, session
        self._over = threading.Event()
        self.opened = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                address = self._house.api_address()
                assert address is not None
                headers = {"Authorization": f"Bearer {self._house.token}"}
                web = Web(address, f"/api/sessions/{self._session}/terminal?", headers)
                self.opened += 1
                while not self._over.is_set() and not web.closed:
                    web.look(AGAIN_SECONDS)
                web.close()
            except (*GONE, Refused):
                time.sleep(AGAIN_SECONDS)

    def end(self) -> None:
        """It goes away."""
        self._over.set()
        self._thread.join(30)


@dataclass
class _Leave:
    """One request for leave: the message, the file that what it asks for makes, and the answer that it gets."""

    message: str
    made: Path
    choice: str
    ids: set[tuple[int, str]] = field(default_factory=set)


class Asker:
    """One session whose messages each ask for leave, which is given or refused after a while."""

    def __init__(self, house: House, session: str, seed: int) -> None:
        self._house, self.session, self._dice = house, session, random.Random(seed)
        self._over = threading.Event()
        self.asked: list[_Leave] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            made = self._house.project / f"made-{len(self.asked)}"
            call = json.dumps({"command": f"echo x >> {made}", "description": "Make"})
            message, key = None, uuid.uuid4().hex
            while message is None and not self._over.is_set():
                message = self._send(f"[[tool Bash {call}]] echo: leave {len(self.asked)}", key)
            if message is not None:
                self.asked.append(leave := _Leave(message, made, self._dice.choice(["allow", "allow", "deny"])))
                self._settle(leave, time.monotonic() + self._dice.uniform(0.0, LONGEST_DOUBT_SECONDS))

    def _send(self, text: str, key: str) -> str | None:
        body = {"message": text, "sessionId": self.session, "wait": 0}
        answer = self._http("POST", "/api/chat", body, {"Idempotency-Key": key})
        return answer.get("messageId")

    def _settle(self, leave: _Leave, doubts_until: float) -> None:
        while (self._http("GET", f"/api/messages/{leave.message}").get("state") or "") not in SETTLED:
            session = self._http("GET", f"/api/sessions/{self.session}").get("session") or {}
            waiting = session.get("waiting")
            if waiting is not None and waiting["for"] == "permission":
                leave.ids.add((session["generation"], waiting["id"]))
                if self._over.is_set() or time.monotonic() > doubts_until:
                    given = {"waitingId": waiting["id"], "choice": leave.choice}
                    self._http("POST", f"/api/sessions/{self.session}/answer", given)
            time.sleep(AGAIN_SECONDS)

    def _http(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            _status, answer = self._house.http(method, path, body, headers=headers, timeout=20)
        except GONE:
            time.sleep(AGAIN_SECONDS)
            return {}
        found = answer.get("message") if isinstance(answer, dict) else None
        return found if isinstance(found, dict) else answer if isinstance(answer, dict) else {}

    def wrong(self) -> list[str]:
        """What was done that was not allowed, or not as often as that; what is under way is answered first."""
        self._over.set()
        self._thread.join(180)
        found = ["what was asked last is not settled"] if self._thread.is_alive() else []
        for number, leave in enumerate(self.asked):
            receipt = self._house.message(leave.message)
            times = leave.made.read_text().count("x") if leave.made.exists() else 0
            allowed = leave.choice == "allow"
            if times > (1 if allowed else 0):
                found.append(f"leave {number} was done {times} times, and the answer was {leave.choice}")
            if receipt["state"] == "answered" and allowed and (receipt["reply"], times) != (f"leave {number}", 1):
                found.append(f"leave {number} was answered {receipt['reply']!r} and done {times} times")
            generations = Counter(generation for generation, _ in leave.ids)
            if max(generations.values(), default=0) > 1:
                found.append(f"leave {number} was asked for under several ids: {sorted(leave.ids)}")
        return found
