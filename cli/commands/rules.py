"""`pilotlight rules`: what is answered without a person. The file's rules are shown; those of run time come and go."""

from __future__ import annotations

from typing import Literal, cast

import click
import msgspec

from cli.context import App, json_option, pass_app
from cli.output import emit, printable, table
from shared.bus.messages import RuleView
from shared.bus.service_requests import AddRule, RuleRef


@click.group()
def rules() -> None:
    """Permission rules: answers given in advance, by tool and pattern.

    One that denies wins over one that allows, wherever it stands. Those without an id stand in the configuration file.
    """


@rules.command("list")
@json_option
@pass_app
def list_rules(app: App, as_json: bool) -> None:
    """List the rules in force, and how often each has answered."""
    found = msgspec.convert(app.call("rule.list")["rules"], list[RuleView])
    if as_json:
        emit({"rules": found})
        return
    rows = [("ID", "ANSWER", "TOOL", "PATTERN", "USED", "FROM")]
    for rule in found:
        added_by = printable(rule.by or "", 40) if rule.id else "the configuration"
        rows.append(
            (
                rule.id or "-",
                rule.answer,
                printable(rule.tool, 40),
                printable(rule.pattern, 60),
                str(rule.used),
                added_by,
            )
        )
    table(rows)


@rules.command("add")
@click.argument("answer", type=click.Choice(("allow", "deny")))
@click.argument("tool")
@click.argument("pattern", default="*")
@click.option("--message", help="What Claude is told of a refusal.")
@json_option
@pass_app
def add(app: App, answer: str, tool: str, pattern: str, message: str | None, as_json: bool) -> None:
    """Answer requests of TOOL that fit PATTERN from now on: `rules add allow Bash 'git status*'`."""
    kind = cast(Literal["allow", "deny"], answer)
    order = AddRule(tool=tool, answer=kind, pattern=pattern, message=message)
    made = msgspec.convert(app.call("rule.add", order), RuleView)
    if as_json:
        emit({"rule": made})
    else:
        click.echo(f"{made.id}: {made.answer} {printable(made.tool, 40)} {printable(made.pattern, 60)}, in force now.")


@rules.command("remove")
@click.argument("rule_id")
@json_option
@pass_app
def remove(app: App, rule_id: str, as_json: bool) -> None:
    """Take back the rule RULE_ID, which was added at run time."""
    app.call("rule.remove", RuleRef(rule_id=rule_id))
    if as_json:
        emit({"removed": rule_id})
    else:
        click.echo(f"{rule_id} counts no more.")
