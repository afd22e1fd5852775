"""The first answer of a new session, and the waking of one that sleeps, beside the bare CLI.

In turn, round by round, so that a noisy machine is noisy for each. A first answer is `POST /api/chat` without a session until its
reply; bare it is the start of the CLI in a pty, its prompt box, a paste, Enter and the Stop hook. A wake is the request until
the prompt box; bare it is `claude --resume` until its own, once as a person types it and once with our command line and
environment, which tells what of the difference is Claude's own. A spare holder is there for each of ours, as it is a second after
any other start; `cold` is the first answer of all, for which there is none.
"""

from __future__ import annotations

import time
from typing import Any

import psutil

from bench import bare, lab
from bench.latency import Raw, _chat
from supervisor.terminal.holder_launch import HOLDER
from tests.harness import House, claude_binary, until

MORE_MS = 150.0
WAKE_RATIO = 1.1


def main(argv: list[str]) -> int:
    """Run it; see `--help`."""
    parser = lab.parser("first", __doc__)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args(argv)
    with lab.open_house(arguments.release, {"limits": {"memory_total_gb": 8}}) as house:
        figures, verdicts = _measure(house, arguments)
    return lab.finish(f"first, CLI {arguments.release}", figures, verdicts, arguments.json)


def _measure(house: House, arguments: Any) -> tuple[dict[str, Any], dict[str, bool]]:
    claude, env = claude_binary(arguments.release), lab.bare_environment(house)
    answer, cold = _chat(house, "echo: cold", None)
    sleeper = answer["sessionId"]
    house.until_state(sleeper, "idle")
    command = _resuming(house, sleeper)
    took: dict[str, list[float]] = {}

    def note(name: str, milliseconds: float) -> None:
        took.setdefault(name, []).append(milliseconds)

    progress = lab.Progress("rounds", arguments.rounds)
    for number in range(arguments.rounds):
        _first_bare(house, claude, env, number, note)
        _await_spare(house)
        _first_of_ours(house, number, note)
        house.call("session.hibernate", {"sessionId": sleeper})
        conversation = house.session(sleeper)["conversationId"]
        note("bare: --resume", 1000 * bare.resume_seconds(claude, env, house.project, conversation))
        note("bare: our --resume", 1000 * bare.seconds_to_box(*command, house.project))
        _await_spare(house)
        _wake_ours(house, sleeper, note)
        progress.at(number + 1)
    figures: dict[str, Any] = {"rounds": arguments.rounds, "pilotlight: first answer, cold, ms": cold}
    for name, values in took.items():
        figures[f"{name}, ms p50"], figures[f"{name}, ms p95"] = (lab.percentile(values, p) for p in (50, 95))
    ours, theirs = (lab.percentile(took[f"{name}: first answer"], 50) for name in ("pilotlight", "bare"))
    wake, resume = (lab.percentile(took[name], 50) for name in ("pilotlight: wake", "bare: --resume"))
    same = lab.percentile(took["bare: our --resume"], 50)
    figures |= {"first answer: pilotlight - bare, ms": ours - theirs, "wake / bare --resume": wake / resume}
    figures |= {"wake / our --resume, bare": wake / same, "our --resume / bare --resume": same / resume}
    verdicts = {
        f"a first answer takes at most {MORE_MS:g} ms more than bare": ours - theirs <= MORE_MS,
        f"a wake takes at most {WAKE_RATIO:g} x a bare --resume": wake / resume <= WAKE_RATIO,
    }
    return figures, verdicts


def _resuming(house: House, session: str) -> tuple[list[str], dict[str, str]]:
    """The command line and the environment with which we resume it."""
    process = psutil.Process(house.session(session)["pid"])
    words = ["--resume" if word == "--session-id" else word for word in process.cmdline()]
    return words, process.environ()


def _first_bare(house: House, claude: Any, env: dict[str, str], number: int, note: Any) -> None:
    began = time.monotonic()
    raw = Raw(claude, env, house.project, house.folder)
    note("bare: prompt box", 1000 * (time.monotonic() - began))
    try:
        raw.ask(f"echo: bare answer {number}")
        note("bare: first answer", 1000 * (time.monotonic() - began))
    finally:
        raw.close()


def _first_of_ours(house: House, number: int, note: Any) -> None:
    answer, took = _chat(house, f"echo: our answer {number}", None)
    assert answer["reply"] == f"our answer {number}", answer
    note("pilotlight: first answer", took)
    steps = house.message(answer["messageId"])["steps"]
    note("  typed to submitted", steps["submitted"] - steps["typed"])
    note("  submitted to answered", steps["answered"] - steps["submitted"])
    events = house.events(0, answer["sessionId"])
    states = {event["data"]["to"]: event["at"] for event in reversed(events) if event["kind"] == "state"}
    note("  accepted to starting", states["starting"] - steps["accepted"])
    note("  starting to idle", states["idle"] - states["starting"])
    note("  idle to typed", steps["typed"] - states["idle"])
    house.call("session.kill", {"sessionId": answer["sessionId"]})


def _wake_ours(house: House, session: str, note: Any) -> None:
    head, at = house.call("ping")["head"], 1000 * time.time()
    began = time.monotonic()
    view = house.call("session.wake", {"sessionId": session})
    note("pilotlight: wake", 1000 * (time.monotonic() - began))
    assert view["state"] == "idle", view
    states = {event["data"]["to"]: event["at"] for event in house.events(head, session) if event["kind"] == "state"}
    note("  asked to starting", states["starting"] - at)
    note("  starting to idle again", states["idle"] - states["starting"])


def _await_spare(house: House) -> None:
    """Until there is one, which did its imports meanwhile."""
    assert house.supervisor is not None
    supervisor = psutil.Process(house.supervisor.pid)

    def waits() -> bool:
        return any(child.cmdline()[-2:] == [str(HOLDER), "-"] for child in supervisor.children())

    until(waits, "a spare holder waits")
    time.sleep(0.3)
