"""What a session is given: the services that it shares with all others, and those who find out what it does."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Protocol

from shared.config import Config
from shared.paths import Paths
from supervisor.claude import command_line
from supervisor.session.unreadable import Unreadable
from supervisor.store.store import Store
from supervisor.terminal.holder_launch import SparePool
from supervisor.turn.early_reply import EarlyReply
from supervisor.turn.turn import StopReport
from supervisor.turn.turn_assembler import TurnAssembler


@dataclass
class Services:
    """What every session shares."""

    store: Store
    paths: Paths
    config: Callable[[], Config]
    environment: dict[str, str]
    claude_home: Path
    log: logging.Logger
    demo: bool = False
    spares: SparePool = field(default_factory=SparePool)

    @property
    def home(self) -> Path:
        """The home folder of its Claude."""
        return Path(command_line.environment(self.config().claude, self.environment)["HOME"])


class Logs(Protocol):
    """What a session's logs have told (log_reader)."""

    turns: TurnAssembler
    unreadable: Unreadable
    stops: dict[str, tuple[StopReport, float]]
    """What the Stop hook of each of the last turns has said, and when it was read."""

    early: EarlyReply
    had_plans: bool
    """Whether a background task or something planned may have begun the turn of the last Stop, which lists what is left."""

    stopped_at: int
    """When the last Stop hook was read (ms since the epoch)."""

    def read(self, seconds: float = inf) -> bool:
        """Take in what is new, each line once; for about so long. Whether that was all."""

    def begin_again(self) -> None:
        """The hooks' log was removed, and will be written from its start."""

    def turn_over(self) -> None:
        """No turn is open any more."""

    def settled(self) -> None:
        """Remember that nothing before the present end of the transcript is open."""


class Watch(Protocol):
    """Whoever judges what the session is doing (observer)."""

    def look_again(self) -> None:
        """The status file has become old news."""

    def look_at_status(self) -> None:
        """Read the status file now."""

    def dialog_over(self) -> None:
        """The dialog on the screen was answered here: if it is there once more, it is asked again."""

    def forget_process(self) -> None:
        """What the process before has shown is true of it only."""
