"""What a message may have Claude read by `@path`, before anybody is asked (`chat.mentions`).

A mention is read past every permission, so it is judged here: when a message is accepted, and again right before it is
typed, since a link may have been made and Claude may have changed its folder meanwhile. What must not regress: pilotlight's own
secrets and other sessions are refused to everybody; the rest outside the project to whoever could not allow it if asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.config import Config
from shared.errors import Forbidden
from shared.paths import Paths
from supervisor.claude.settings import protection
from supervisor.claude.texts import mentions
from supervisor.store.options import LaunchOptions

LONGEST = 200


@dataclass(frozen=True)
class Reach:
    """The folders of one session: what a mention may read, and what it may start from."""

    paths: Paths
    session_id: str
    inside: Sequence[Path]
    bases: Sequence[Path]
    home: Path

    @classmethod
    def of(
        cls, paths: Paths, session_id: str, project: str, home: Path, launch: LaunchOptions, now: str | None = None
    ) -> Reach:
        """Of a session, or of one that a message is about to open; Claude is in the folder `now`."""
        folders = [Path(project), *map(Path, launch.add_dirs)]
        attached = paths.session_dir(session_id) / protection.ATTACHMENTS
        return cls(
            paths,
            session_id,
            [folder.resolve() for folder in (*folders, attached)],
            list(dict.fromkeys([*folders, *([Path(now)] if now else [])])),
            home,
        )


def check(config: Config, reach_of: Callable[[], Reach], text: str, confined: bool) -> None:
    """Refuse a text for what it mentions. `confined`: whoever sends it may not answer for Claude. Raise Forbidden. How far the
    session reaches is asked of the disk, and only for a text that mentions something."""
    names = list(mentions.names(text))
    if not names:
        return
    reach = reach_of()
    for name in names:
        for path in mentions.candidates(name, reach.bases, reach.home):
            elsewhere = any(path.is_relative_to(folder) for folder in mentions.ELSEWHERE)
            if elsewhere or protection.is_secret(reach.paths, reach.session_id, path):
                raise _refused(name, "which no message may have Claude read.", "mention_of_secret")
            if any(path.is_relative_to(folder) for folder in reach.inside):
                continue
            if config.chat.mentions == "refuse":
                raise _refused(
                    name, "outside the project, which `chat.mentions: refuse` allows nobody.", "mention_outside"
                )
            if config.chat.mentions == "project" and confined:
                why = "outside the project without asking; that takes the scope `answer`. Leave the @ out, attach the file"
                raise _refused(name, f"{why}, or see chat.mentions in config.yaml.", "mention_outside")


def _refused(name: str, why: str, code: str) -> Forbidden:
    shown = name if len(name) <= LONGEST else f"{name[:LONGEST]}…"
    return Forbidden(f"`@{shown}` would have Claude read a file or folder {why}", code=code, data={"mention": shown})
