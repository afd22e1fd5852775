"""A scripted stand-in for the CLI, for what the real one cannot be made to do on demand.

It keeps the part of the contract that pilotlight relies on: command line and environment, hooks from `--settings`, the
external editor on Ctrl+G, a prompt box that has the focus, transcript and status file. How it misbehaves stands in the
JSON file that FAKE_TUI_SCRIPT names, read anew at each step, so that a test can change it while it runs:

    drop_enters N     the first N Enters do nothing             swallow_ctrl_g N   neither do the first N Ctrl+G
    editor_delay S    the editor is called S seconds late       draft TEXT         the box holds this at the start
    lose_text N       the first N texts never reach the box     die_on_text N      ... and the process ends with them
    no_hooks          nothing is said through hooks             flood BYTES        printed in each turn
    deaf              stops reading its terminal                ignore [NAMES]     signals without effect
    gate PATH         a turn goes on once this file exists
    clear_gate PATH   a prompt that was submitted stands in the box until this file exists, and takes what was typed along
    enter_gate PATH   Enter takes effect once this file exists
    editor_gate PATH  the editor is called once this file exists, and what was typed until it has ended is lost
    blank             nothing is drawn until the terminal's size changes
    astray            with a text in the box, the cursor is drawn outside of it
    refuse N          the first N turns end in an error          late [NAMES]      "line" and "hook" of a prompt and "output" of
                                                                                   a command are told only once the next text is
                                                                                   in the box
    trust_gate PATH   it asks at its start whether the folder is trusted, and shows nothing behind that until this file exists
    guard S           it asks about its renderer at its start, and refuses keys that come within S seconds
    limit N           the first N turns end at a usage limit, and it asks what to do about that
    commands          what begins with a slash is no prompt: it starts no turn
    stream S          the words of a reply are displayed one by one, spread over S seconds

What it saw is in FAKE_TUI_LOG, one JSON object a line: {"saw": "start" | "ctrl_g" | "text" | "enter" | "turn", ...}.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import termios
import time
import tty
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

RULE = "─" * 100
POLL_SECONDS = 0.01


class FakeTui:
    """One process."""

    def __init__(self, argv: list[str]) -> None:
        settings = _after(argv, "--settings") or "{}"
        inline = settings.lstrip().startswith("{")  # else the name of a file, as for the real one
        self.settings: dict[str, Any] = json.loads(settings if inline else Path(settings).read_text())
        resumed = _after(argv, "--resume")
        self.conversation = resumed or _after(argv, "--session-id") or str(uuid.uuid4())
        self.source = "resume" if resumed else "startup"
        home = Path(os.environ["HOME"]) / ".claude"
        folder = home / "projects" / re.sub(r"[^A-Za-z0-9]", "-", os.path.realpath("."))
        folder.mkdir(parents=True, exist_ok=True)
        self.transcript = folder / f"{self.conversation}.jsonl"
        self.status_file = home / "sessions" / f"{os.getpid()}.json"
        self.status_file.parent.mkdir(parents=True, exist_ok=True)
        self.box = str(self.script.get("draft", ""))
        self.counts = {"enter": 0, "ctrl_g": 0, "text": 0, "turn": 0, "command": 0}
        self.late: list[Callable[[], None]] = []

    @property
    def script(self) -> dict[str, Any]:
        try:
            found = json.loads(Path(os.environ["FAKE_TUI_SCRIPT"]).read_text())
        except (OSError, ValueError):
            return {}
        return dict(found)

    def log(self, saw: str, **more: Any) -> None:
        with open(os.environ["FAKE_TUI_LOG"], "a") as file:
            file.write(json.dumps({"saw": saw, "pid": os.getpid(), **more}) + "\n")

    def run(self) -> None:
        for name in self.script.get("ignore", []):
            signal.signal(getattr(signal, f"SIG{name}"), signal.SIG_IGN)
        tty.setraw(0, termios.TCSANOW)
        signal.signal(signal.SIGWINCH, lambda *_: self.draw(anew=True))
        self.log("start", source=self.source)
        if self.script.get("trust_gate"):
            self.ask("Do you trust the files in this folder?", ["Yes, proceed", "No, exit"])
            self.wait("trust_gate")
        if guard := self.script.get("guard"):
            self.ask("Try the new fullscreen renderer?", ["Yes, try it", "Not now"], guard)
        self.status("idle")
        self.draw()
        self.hook("SessionStart", source=self.source)
        while True:
            while self.script.get("deaf"):
                time.sleep(POLL_SECONDS)
            for key in os.read(0, 1):
                self.key(key)

    def ask(self, question: str, labels: list[str], guard: float = 0.0) -> None:
        """Ask with a list until something is chosen, or Esc is pressed. Keys are refused for `guard` seconds from when it is
        drawn, and anew from each that came too soon."""
        at, drawn = 0, time.monotonic()
        while True:
            rows = [f" {'❯' if i == at else ' '} {i + 1}. {label}" for i, label in enumerate(labels)]
            text = "\r\n".join([RULE, f" {question}", "", *rows, "", " Enter to confirm"])
            os.write(1, f"\x1b[2J\x1b[H{text}\x1b[{4 + at};2H".encode())
            key = os.read(0, 3)
            if time.monotonic() - drawn < guard:
                drawn = time.monotonic()
            elif key in (b"\r", b"\x1b"):
                break
            else:
                at = min(max(at + {b"\x1b[A": -1, b"\x1b[B": 1}.get(key, 0), 0), len(labels) - 1)
        os.write(1, b"\x1b[2J\x1b[H")
        self.log("chosen", label=labels[at] if key == b"\r" else "")

    def key(self, key: int) -> None:
        if key == 0x07:
            self.counts["ctrl_g"] += 1
            self.log("ctrl_g")
            if self.counts["ctrl_g"] > self.script.get("swallow_ctrl_g", 0):
                self.edit()
        elif key == 0x0D:
            self.counts["enter"] += 1
            self.log("enter", box=self.box)
            self.wait("enter_gate")
            if self.box and self.counts["enter"] > self.script.get("drop_enters", 0):
                self.turn()
        elif key == 0x15:
            self.box = ""
        elif chr(key).isprintable() and key < 0x80:
            self.box += chr(key)
        self.draw()

    def edit(self) -> None:
        time.sleep(self.script.get("editor_delay", 0))
        gated = self.wait("editor_gate")
        file = Path(os.environ.get("TMPDIR", "/tmp")) / f"claude-prompt-{uuid.uuid4()}.md"
        if not file.parent.exists():
            return
        file.write_text(self.box)
        subprocess.run(f"{os.environ['EDITOR']} {file}", shell=True, check=False)
        text = file.read_text()
        file.unlink()
        if gated:
            termios.tcflush(0, termios.TCIFLUSH)
        if text == self.box:
            return
        self.counts["text"] += 1
        self.log("text", text=text)
        if self.counts["text"] <= self.script.get("die_on_text", 0) and self.source == "startup":
            os._exit(3)
        if self.counts["text"] > self.script.get("lose_text", 0):
            self.box = text.rstrip()
        for tell in self.late:
            tell()
        self.late = []

    def turn(self) -> None:
        prompt = self.box
        if not self.script.get("clear_gate"):
            self.box = ""
        prompt_id, message_id = str(uuid.uuid4()), f"msg_{uuid.uuid4().hex}"
        self.log("turn", prompt=prompt)
        self.draw()
        if prompt.startswith("/") and self.script.get("commands"):
            self.counts["command"] += 1
            output = f"<local-command-stdout>output {self.counts['command']}</local-command-stdout>"
            at = datetime.now(UTC).isoformat()
            told = {"type": "user", "timestamp": at, "message": {"role": "user", "content": output}}
            self.sooner_or_later("output", partial(self.write, told))
            return
        self.status("busy")
        line = {"type": "user", "promptId": prompt_id, "message": {"role": "user", "content": prompt}}
        self.sooner_or_later("line", partial(self.write, line))
        self.sooner_or_later("hook", partial(self.hook, "UserPromptSubmit", prompt=prompt, prompt_id=prompt_id))
        self.counts["turn"] += 1
        if self.counts["turn"] <= self.script.get("refuse", 0):
            self.hook("StopFailure", error="invalid_request", prompt_id=prompt_id)
            self.status("idle")
            return
        if self.counts["turn"] <= self.script.get("limit", 0):
            self.reach_the_limit(message_id, prompt_id)
            return
        self.wait("clear_gate")
        if self.box:
            self.box = ""
            termios.tcflush(0, termios.TCIFLUSH)
            self.draw()
        self.wait("gate")
        left = int(self.script.get("flood", 0))
        while left > 0:
            left -= os.write(1, b"flood " * min(700, left // 6 + 1))
        reply = f"You said: {prompt}"
        self.stream(reply, message_id, prompt_id)
        content = [{"type": "text", "text": reply}]
        said = {"id": message_id, "role": "assistant", "content": content, "stop_reason": "end_turn"}
        self.write({"type": "assistant", "message": {**said, "usage": {"input_tokens": 1, "output_tokens": 1}}})
        self.hook("Stop", last_assistant_message=reply, prompt_id=prompt_id, background_tasks=[])
        self.write({"type": "system", "subtype": "turn_duration", "durationMs": 1})
        self.status("idle")

    def reach_the_limit(self, message_id: str, prompt_id: str) -> None:
        """As for a person with a subscription: what to do about it is asked at once."""
        content = [{"type": "text", "text": "You've hit your 5-hour limit · try again in 1 second"}]
        said = {"id": message_id, "role": "assistant", "content": content, "stop_reason": "stop_sequence"}
        self.write({"type": "assistant", "isApiErrorMessage": True, "error": "rate_limit", "message": said})
        self.hook("StopFailure", error="rate_limit", prompt_id=prompt_id)
        self.status("waiting", "dialog open")
        self.ask("What do you want to do?", ["Stop and wait for limit to reset", "Switch to usage credits"])
        self.status("idle")

    def stream(self, reply: str, message_id: str, prompt_id: str) -> None:
        """Display the reply word by word, if the script says so."""
        if not (seconds := float(self.script.get("stream", 0))):
            return
        words = re.findall(r"\S+\s*", reply)
        for index, delta in enumerate(words):
            os.write(1, delta.encode())
            said = {"message_id": message_id, "index": index, "delta": delta, "final": index + 1 == len(words)}
            self.hook("MessageDisplay", prompt_id=prompt_id, **said)
            time.sleep(seconds / len(words))
        self.draw()

    def sooner_or_later(self, name: str, tell: Callable[[], None]) -> None:
        """Tell it now, or with the next text."""
        if name in self.script.get("late", []):
            self.late.append(tell)
        else:
            tell()

    def wait(self, name: str) -> bool:
        """Until the file exists that this gate names; False when there is no such gate."""
        while (gate := self.script.get(name)) and not Path(gate).exists():
            time.sleep(POLL_SECONDS)
        return gate is not None

    def hook(self, event: str, **payload: Any) -> None:
        if self.script.get("no_hooks"):
            return
        body = {
            "session_id": self.conversation,
            "transcript_path": str(self.transcript),
            "cwd": os.getcwd(),
            "hook_event_name": event,
            **payload,
        }
        for group in self.settings.get("hooks", {}).get(event, []):
            for entry in group["hooks"]:
                subprocess.run(entry["command"], shell=True, input=json.dumps(body).encode(), check=False)

    def write(self, line: dict[str, Any]) -> None:
        with open(self.transcript, "a") as file:
            file.write(json.dumps({**line, "uuid": str(uuid.uuid4()), "sessionId": self.conversation}) + "\n")

    def status(self, word: str, waiting_for: str | None = None) -> None:
        started = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
        now = int(time.time() * 1000)
        known = {"pid": os.getpid(), "sessionId": self.conversation, "procStart": started, "status": word}
        known |= {"waitingFor": waiting_for} if waiting_for else {}
        self.status_file.write_text(json.dumps({**known, "updatedAt": now, "statusUpdatedAt": now}))

    def draw(self, anew: bool = False) -> None:
        if self.script.get("blank") and not anew:
            os.write(1, b"\x1b[2J\x1b[H")
            return
        lines = self.box.split("\n")
        box = "\r\n".join([f"❯ {lines[0]}", *(f"  {line}" for line in lines[1:])])
        row, column = 3 + len(lines), 3 + len(lines[-1])
        if self.box and self.script.get("astray"):
            row, column = 1, 1
        screen = f"\x1b[2J\x1b[H fake\r\n\r\n{RULE}\r\n{box}\r\n{RULE}\r\n  ? for shortcuts\x1b[{row};{column}H"
        os.write(1, screen.encode())


def _after(argv: list[str], flag: str) -> str | None:
    return argv[argv.index(flag) + 1] if flag in argv else None


if __name__ == "__main__":
    FakeTui(sys.argv[1:]).run()
