"""Where a new session comes from: its project folder, and the conversation that it goes on with, if any."""

from __future__ import annotations

from pathlib import Path

from shared.bus.operations import CreateSession
from shared.errors import Conflict, InvalidRequest, NotFound
from supervisor.claude import status_file
from supervisor.claude.home import find_transcript, transcript_path
from supervisor.history.library import project_of
from supervisor.session.services import Services
from supervisor.session.states import State


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


def origin(services: Services, request: CreateSession, project: Path, identity: str) -> Path | None:
    """The transcript of a session that goes on from an existing conversation: that one's, or the fork's own.

    Raise NotFound, InvalidRequest for another project than the conversation's, Conflict when it is open anywhere.
    """
    if request.resume is None:
        if request.fork:
            raise InvalidRequest("`fork` needs a conversation in `resume`.", code="resume_required")
        return None
    home = services.claude_home
    path = find_transcript(home, request.resume)
    if path is None:
        raise NotFound(
            f"There is no conversation {request.resume[:80]!r} on this machine. `GET /api/conversations` lists them.",
            code="conversation_not_found",
        )
    held_in = project_of(path)
    if held_in is not None and Path(held_in).resolve() != project:
        raise InvalidRequest(
            f"The conversation was held in {held_in}: give that as projectPath.", code="invalid_project_path"
        )
    if request.fork:
        return transcript_path(home, str(project), identity)
    for record in services.store.sessions(include_ended=True):
        if record.conversation_id == request.resume:
            what = "Reopen it" if record.state == State.ENDED else "Send to it"
            raise Conflict(
                f"Session {record.id} has this conversation. {what}, or fork it.",
                code="conversation_known",
                data={"sessionId": record.id},
            )
    pid = status_file.owner(home, request.resume)
    if pid is not None:
        raise Conflict(
            f"Another `claude` (pid {pid}) has this conversation open. Close it there first, or fork it.",
            code="conversation_in_use",
        )
    return path
