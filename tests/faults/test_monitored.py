"""A real Prometheus scrapes a pilotlight with what `deploy/monitoring` says, and its alerts fire when that one is sick."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.setup import promtool
from tests.conftest import MakeHouse
from tests.harness import ROOT, House, until

FOLDER = ROOT / "deploy" / "monitoring"
SCRAPES, LOOKS = "2200ms", "400ms"
"""How often it scrapes, which is more than the API waits for a supervisor (two seconds), and looks at its rules."""


def configured(house: House) -> Path:
    """The files of the repository; only address, token, and how soon it looks and tells are this test's own."""
    place = house.folder / "prometheus"
    place.mkdir()
    (place / "token").write_text(house.token)
    address = house.api_address()
    assert address is not None
    for name, changes in {
        "prometheus.yml": {
            r"scrape_interval: \w+": f"scrape_interval: {SCRAPES}",
            r"evaluation_interval: \w+": f"evaluation_interval: {LOOKS}",
            r"credentials_file: [^}]+": f"credentials_file: {place / 'token'}",
            r"127\.0\.0\.1:3001": "{}:{}".format(*address),
        },
        "alerts.yml": {r"for: 2m": f"for: {LOOKS}"},
    }.items():
        text = (FOLDER / name).read_text()
        for pattern, new in changes.items():
            text, times = re.subn(pattern, new, text)
            assert times, f"{pattern} is not in {name}"
        (place / name).write_text(text)
    return place


@contextmanager
def prometheus(place: Path) -> Iterator[str]:
    """The address of one that scrapes as this folder says."""
    program = promtool.find("prometheus")
    assert program is not None, f"prometheus is missing: ./test fetches it, or {promtool.VARIABLE} names its promtool."
    words = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=127.0.0.1:0"]
    with open(place / "log", "wb") as log:
        child = subprocess.Popen(words, cwd=place, stdout=log, stderr=log)
    try:
        found = until(lambda: re.search(r'"Listening on" address=(\S+)', (place / "log").read_text()), "it listens")
        yield f"http://{found[1]}"
    finally:
        child.terminate()
        child.wait(20)


def asked(url: str, path: str, **query: str) -> Any:
    """`data` of an answer; None while it does not answer yet."""
    try:
        with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]
    except OSError:
        return None


def value(url: str, expression: str) -> float | None:
    """What it comes to now."""
    found = asked(url, "query", query=expression)
    return float(found["result"][0]["value"][1]) if found and found["result"] else None


def firing(url: str) -> set[str]:
    """The names of the alerts that fire."""
    told = asked(url, "alerts") or {"alerts": []}
    return {one["labels"]["alertname"] for one in told["alerts"] if one["state"] == "firing"}


def test_a_prometheus_scrapes_and_its_alerts_fire_on_a_sick_instance(make_house: MakeHouse, one_cli: Path) -> None:
    house = make_house(one_cli)
    house.start_supervisor()
    house.start_api()
    with prometheus(configured(house)) as url:
        until(lambda: value(url, 'up{job="pilotlight"}') == 1, "it is scraped")
        reply, session = house.ask("echo: counted")
        assert reply == "counted"
        assert house.http("GET", "/api/metrics/sessions")[1]["counters"]["messages_answered"] == 1
        until(lambda: value(url, "pilotlight_messages_answered_total") == 1, "its counts are ours")
        assert value(url, 'sum(pilotlight_sessions{state=~"idle|busy"})') == 1
        assert firing(url) == set()

        house.call("session.kill", {"sessionId": session})
        house.kill_supervisor()
        until(lambda: "PilotlightSupervisorDown" in firing(url), "the alert of a dead supervisor")
        house.kill_api()
        until(lambda: "PilotlightUnreachable" in firing(url), "the alert of a dead API")
