"""Where a new session comes from: its project folder, and the conversation that it goes on with, if any."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

from shared.bus.session_requests import CreateSession
from shared.errors import Conflict, InvalidRequest, NotFound, StorageFailed
from supervisor.claude import status_file
from supervisor.claude.fork import copy
from supervisor.claude.home import find_transcript, holds_conversation, transcript_path
from supervisor.history.library import project_of
from supervisor.session import move
from supervisor.session.services import Services
from supervisor.state.states import State


def project_folder(given: str) -> Path:
    """The project as a real path. Raise InvalidRequest when it is no directory."""
    project = Path(given).expanduser()
    if not project.is_absolute():
        raise InvalidRequest(f"projectPath must be an absolute path, not {given!r}.", code="invalid_project_path")
    try:
        if not project.exists():
            raise InvalidRequest(
                f"projectPath {project} does not exist. Create the folder first.", code="invalid_project_path"
            )
        if not project.is_dir():
            raise InvalidRequest(f"projectPath {project} is not a directory.", code="invalid_project_path")
        project = project.resolve()
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"projectPath cannot be used: {error}.", code="invalid_project_path") from error
    return project


def default_project(services: Services) -> str:
    """The folder of a session for which none was named."""
    configured = services.config().sessions.project_path
    if configured:
        return configured
    workspace = services.paths.home / "workspace"
    workspace.mkdir(mode=0o700, exist_ok=True)
    return str(workspace)


@dataclass(frozen=True)
class Fork:
    """A conversation that was copied: its id, which will be its session's, too, and its transcript."""

    session_id: str
    transcript: Path

    def discard(self) -> None:
        """Nobody wants it."""
        self.transcript.unlink(missing_ok=True)


def fork(services: Services, request: CreateSession) -> Fork | None:
    """The copy of the conversation as it is now that a fork begins with; None when none is asked for. It may be long: off the
    loop. Raise as `source`, and StorageFailed."""
    if not request.fork:
        return None
    _refuse_asleep(request)
    if request.resume is None:
        raise InvalidRequest("`fork` needs a conversation in `resume`.", code="resume_required")
    project = project_folder(request.project_path)
    source = _existing(services.claude_home, request.resume, project)
    session_id = str(uuid.uuid4())
    target = transcript_path(services.claude_home, str(project), session_id)
    try:
        if not holds_conversation(source):
            raise Conflict("Nothing was said in this conversation yet: open a new session.", code="nothing_to_fork")
        copy(source, target, request.resume, session_id, request.fork_before)
        if request.fork_before is not None and not holds_conversation(target):
            target.unlink()
            raise Conflict("Nothing was said before this message: open a new session.", code="nothing_to_fork")
    except LookupError:
        raise NotFound(
            "There is no message of a person with this id in the present conversation of this session.",
            code="entry_not_found",
        ) from None
    except OSError as error:
        raise StorageFailed(f"The conversation cannot be copied: {error}.") from error
    return Fork(session_id, target)


def source(services: Services, request: CreateSession, project: Path) -> Path | None:
    """The transcript of the existing conversation that a session goes on with.

    Raise NotFound, InvalidRequest for another project than the conversation's, Conflict when it is open anywhere.
    """
    _refuse_asleep(request)
    if request.resume is None:
        return None
    home = services.claude_home
    path = _existing(home, request.resume, project)
    _refuse_open(services, request.resume)
    return path


def _refuse_asleep(request: CreateSession) -> None:
    if request.asleep and (request.resume is None or request.fork):
        raise InvalidRequest("`asleep` needs a conversation in `resume`, and no `fork`.", code="resume_required")


def _existing(home: Path, conversation: str, project: Path) -> Path:
    path = find_transcript(home, conversation)
    if path is None:
        raise NotFound(
            f"There is no conversation {conversation[:80]!r} on this machine. `GET /api/conversations` lists them.",
            code="conversation_not_found",
        )
    its_project = project_of(path)
    if its_project is not None and Path(its_project).resolve() != project:
        raise InvalidRequest(
            f"The conversation was held in {its_project}: give that as projectPath.", code="invalid_project_path"
        )
    return path


def _refuse_open(services: Services, conversation: str) -> None:
    record = services.store.session_of_conversation(conversation)
    if record is not None:
        move.refuse(record)
        what = "Reopen it" if record.state == State.ENDED else "Send to it"
        raise Conflict(
            f"Session {record.id} has this conversation. {what}, or fork it.",
            code="conversation_known",
            data={"sessionId": record.id},
        )
    pid = status_file.owner(services.claude_home, conversation)
    if pid is not None:
        raise Conflict(
            f"Another `claude` (pid {pid}) has this conversation open. Close it there first, or fork it.",
            code="conversation_in_use",
        )
