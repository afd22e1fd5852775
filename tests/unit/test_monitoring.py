"""Dashboard and alert rules: every metric and label that they name is one that `/metrics` has; alerts fire when they should."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.routes import prometheus
from cli.setup import promtool
from supervisor.pool.metrics import COUNTERS, STEPS
from supervisor.state.states import State
from tests.harness import ROOT

FOLDER = ROOT / "deploy" / "monitoring"


def tree() -> dict[str, Any]:
    """As the supervisor tells it, with something of everything."""
    return {
        "sessions": {"byState": {str(state): 1 for state in State}},
        "counters": dict.fromkeys(COUNTERS, 1),
        "latency": {f"{first}_to_{last}": {"p50": 1.0, "p95": 2.0, "p99": 3.0} for first, last in STEPS},
        "queueDepth": 1,
        "memoryBytes": 1,
        "cpuPercent": 1.0,
        "perSession": [{"id": "s", "memoryBytes": 1, "cpuPercent": 1.0, "queueLength": 1}],
    }


def exposed() -> dict[str, dict[str, set[str]]]:
    """Each sample's name, with its labels and their values."""
    text = prometheus.render(tree, 8)[0].decode()
    found: dict[str, dict[str, set[str]]] = {"up": {"job": {"pilotlight"}}}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def rules() -> list[dict[str, Any]]:
    return list(yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"])


def expressions() -> Iterator[str]:
    """Of the rules, the dashboard and what the rules are tried with."""
    for rule in rules():
        yield rule["expr"]
    dashboard = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["query"] for variable in dashboard["templating"]["list"])
    for test in yaml.safe_load((FOLDER / "alerts_test.yml").read_text())["tests"]:
        yield from (series["series"] for series in test["input_series"])


def test_every_metric_and_label_that_is_named_exists() -> None:
    there = exposed()
    seen = set()
    for expression in expressions():
        for name, matchers in re.findall(r"\b(up|pilotlight_\w+)\b(?:\{([^}]*)\})?", expression):
            seen.add(name)
            assert name in there, expression
            for label, wanted in re.findall(r'(\w+)\s*=~?\s*"([^"]*)"', matchers):
                assert label == "instance" or set(wanted.split("|")) <= there[name][label], expression
    assert len(seen) > 20


def test_every_alert_says_what_to_do_and_is_tried() -> None:
    tried = set(re.findall(r'alertname="(\w+)"', (FOLDER / "alerts_test.yml").read_text()))

    assert {rule["alert"] for rule in rules()} == tried
    assert all(rule["annotations"]["summary"] and rule["annotations"]["description"] for rule in rules())


def test_the_alerts_fire_on_a_sick_pilotlight_and_not_on_a_well_one() -> None:
    """By Prometheus's own tool."""
    program = promtool.find()
    assert program is not None, f"promtool is missing: ./test fetches it, or {promtool.VARIABLE} names one."
    for words in (["check", "config", "--syntax-only", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        made = subprocess.run([program, *words], cwd=FOLDER, capture_output=True, text=True, timeout=60)
        assert made.returncode == 0, made.stdout + made.stderr
