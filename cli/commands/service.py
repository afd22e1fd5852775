"""`pilotlight service`: run unattended under launchd (macOS) or systemd (Linux), as the person's own services.

What must not regress: a stop, a restart or a crash under either manager leaves every live session alone
(`AbandonProcessGroup`, `KillMode=process`).
"""

from __future__ import annotations

import subprocess

import click

from cli.context import App, pass_app
from cli.daemons.manager import Manager, manager_of
from cli.daemons.processes import Daemon
from cli.daemons.units import installation
from cli.output import FAILED, NOT_RUNNING
from shared.config import ENVIRONMENT
from shared.errors import Conflict

_MANAGER_SECONDS = 90.0
dry_run_option = click.option("--dry-run", is_flag=True, help="Only print what would be done.")


@click.group()
def service() -> None:
    """Run supervisor and API as services of this account (launchd or systemd)."""


@service.command()
@dry_run_option
@click.option("--anyway", is_flag=True, help="Also when something that they need is missing.")
@pass_app
def install(app: App, dry_run: bool, anyway: bool) -> int:
    """Look whether the services will find what they need, write their files and start them."""
    manager = manager_of(app)
    fit = _fit(app)
    if dry_run:
        for unit in manager.units:
            click.echo(f"# {unit.path}\n{unit.text}")
        _print_commands(manager.install)
        _tell_settings(app)
        return 0
    if not fit and not anyway:
        click.echo("Nothing was installed. `--anyway` installs as it is.", err=True)
        return FAILED
    app.paths.prepare()
    if manager.available:
        _run(manager.uninstall, tolerate=True)
    if any(Daemon(app, name).owner() for name in ("supervisor", "api")):
        raise Conflict(
            "pilotlight was started by hand: `pilotlight down` first (live sessions stay), then install again."
        )
    for unit in manager.units:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        unit.path.write_text(unit.text)
        unit.path.chmod(0o600)
        click.echo(f"Wrote {unit.path}")
    _tell_settings(app)
    return _apply(manager, manager.install)


@service.command()
@dry_run_option
@pass_app
def uninstall(app: App, dry_run: bool) -> int:
    """Stop the services and remove their files; live sessions stay."""
    manager = manager_of(app)
    if dry_run:
        _print_commands(manager.uninstall)
        for unit in manager.units:
            click.echo(f"rm {unit.path}")
        return 0
    if manager.available:
        _run(manager.uninstall, tolerate=True)
    for unit in manager.units:
        if unit.path.exists():
            unit.path.unlink()
            click.echo(f"Removed {unit.path}")
    if not manager.available:
        click.echo("No service manager answers here; if the services run elsewhere, stop them there with:")
        _print_commands(manager.uninstall)
    return 0


@service.command()
@dry_run_option
@pass_app
def status(app: App, dry_run: bool) -> int:
    """Show whether the services are installed and run."""
    manager = manager_of(app)
    if dry_run:
        _print_commands([manager.status])
        return 0
    for unit in manager.units:
        click.echo(f"{unit.path}: {'installed' if unit.path.exists() else 'not installed'}")
    if not all(unit.path.exists() for unit in manager.units):
        return NOT_RUNNING
    if not manager.available:
        click.echo(manager.advice)
        return FAILED
    return 0 if _run([manager.status], tolerate=True, show=True) else NOT_RUNNING


def _fit(app: App) -> bool:
    """Say what the services will miss; whether they can run."""
    from cli.daemons.service_checks import examine

    findings = examine(app, installation(app).environment)
    for finding in findings:
        click.echo(f"{finding.level}  {finding.name}: {finding.text}\n      -> {finding.fix}", err=True)
    return all(finding.level != "fail" for finding in findings)


def _tell_settings(app: App) -> None:
    """Say which settings of this environment the services keep; whoever sets them later would wonder."""
    passed = installation(app).environment
    settings = [f"{name}={passed[name]}" for name in ENVIRONMENT if name in passed]
    if settings:
        told = f"The services keep what this environment sets: {' '.join(settings)}."
        click.echo(f"{told} It wins over {app.paths.config_file}; install again to change it.", err=True)


def _apply(manager: Manager, commands: list[list[str]]) -> int:
    if not manager.available:
        click.echo(manager.advice, err=True)
        _print_commands(commands)
        return FAILED
    if not _run(commands):
        return FAILED
    click.echo("Installed and started. `pilotlight status` shows it; logs are where `pilotlight status` says.")
    return 0


def _run(commands: list[list[str]], *, tolerate: bool = False, show: bool = False) -> bool:
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_MANAGER_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            click.echo(f"pilotlight: {' '.join(command)}: {error}", err=True)
            return False
        if show:
            click.echo(done.stdout.rstrip())
        if done.returncode and not tolerate:
            click.echo(f"pilotlight: `{' '.join(command)}` failed: {done.stderr.strip() or done.returncode}", err=True)
            return False
        if done.returncode and show:  # of a status: something of it does not run
            return False
    return True


def _print_commands(commands: list[list[str]]) -> None:
    for command in commands:
        click.echo(" ".join(command))
