"""`pilotlight doctor`: is this machine fit, and what to fix. Looks only; changes nothing."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli.context import App, json_option, pass_app
from cli.output import FAILED, emit, say
from cli.setup.progress import Step

if TYPE_CHECKING:
    from cli.daemons.checks import Finding

_MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@dataclass(frozen=True)
class Report:
    """All findings and the worst level among them."""

    status: str
    findings: list[Finding]


@click.command()
@json_option
@pass_app
def doctor(app: App, as_json: bool) -> int:
    """Check versions, Claude Code, login, limits, directories and what runs.

    Exit code 1 when something must be fixed.
    """
    report = examine(app, show_progress=not as_json and sys.stderr.isatty())
    if as_json:
        emit(report)
    else:
        for finding in report.findings:
            say(f"{_MARKS[finding.level]}  {finding.name:<12}  {finding.text}")
            if finding.fix:
                say(f"      {'':<12}  -> {finding.fix}")
    return FAILED if report.status == "fail" else 0


def examine(app: App, show_progress: bool = False) -> Report:
    """Run every check."""
    from cli.daemons.checks import CHECKS

    findings: list[Finding] = []
    for check in CHECKS:
        if show_progress:
            with Step(f"Checking {check.__name__.replace('_', ' ')}"):
                findings += check(app)
        else:
            findings += check(app)
    levels = {finding.level for finding in findings}
    return Report(next(level for level in ("fail", "warn", "ok") if level in levels), findings)
