"""Shell completion: commands and options by click, session ids by asking the supervisor that runs.

Completing must never hang or complain: whatever goes wrong is no suggestion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem, get_completion_class

from cli.context import App
from cli.output import printable, state_text
from shared.errors import InternalError, PilotlightError

VARIABLE = "_PILOTLIGHT_COMPLETE"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def sessions(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The sessions whose ids begin so, with what they do."""
    app = context.find_object(App)
    try:
        views = app.sessions(include_ended=True) if app is not None else []
    except PilotlightError:
        return []
    found = [view for view in views if view.id.startswith(incomplete)]
    return [
        CompletionItem(view.id, help=printable(f"{state_text(view)}  {view.title or view.project_path}", 60))
        for view in found
    ]


def session_argument(command: _Command) -> _Command:
    """The argument ID of a command, which the shell can complete."""
    return click.argument("session_id", metavar="ID", shell_complete=sessions)(command)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, options and session ids.

    \b
    bash: echo 'eval "$(pilotlight completion bash)"' >> ~/.bashrc
    zsh:  echo 'eval "$(pilotlight completion zsh)"' >> ~/.zshrc
    fish: pilotlight completion fish > ~/.config/fish/completions/pilotlight.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise InternalError(f"There is no completion for {shell} in this release of click.")
    root = context.find_root()
    source = kind(root.command, {}, "pilotlight", VARIABLE).source()
    if shell == "zsh":  # a fresh one has not loaded its completion system
        first, rest = source.split("\n", 1)
        source = f"{first}\n(( $+functions[compdef] )) || {{ autoload -Uz compinit && compinit -i }}\n{rest}"
    click.echo(source)
