"""The steps by which a session goes from one node to another, at the two nodes; a gateway takes them in their order.

What must not regress: a bundle is given to the supervisor only when all of it has come, and is on the disk; what breaks off
leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response, g, request
from msgspec import Struct

from api.context import api
from api.http import files, requests
from api.http.problems import json_response
from shared.bus.move_requests import (
    ArriveHere,
    DeclineBundle,
    Digest,
    LeaveFor,
    MoveId,
    NodeName,
    PackBundle,
    ReleaseSession,
    StayHere,
    TakeBundle,
)
from shared.bus.service_requests import Nothing
from shared.errors import InvalidRequest, StorageFailed

routes = Blueprint("moves", __name__)

PACK_SECONDS = 600.0
"""Packing, and reading a bundle, goes at the speed of the disk."""

ROOM_BYTES = 64 * 1024 * 1024
"""What is left free on the disk that a bundle is put on."""

_CHUNK = 256 * 1024


class MoveTarget(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The node that it moves to; at a gateway also the folder of its project there, if that is another one."""

    node: NodeName
    project_path: str | None = None


class MoveQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which move."""

    move: MoveId


class BundleQuery(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which move, and the folder of the project on this node, if it is another one."""

    move: MoveId
    project_path: str | None = None


class HandOverRequest(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`digest` is what the other node has answered to the bundle."""

    move: MoveId
    digest: Digest


class ArrivalRequest(Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`word` is what the other node has told when it let go of the session."""

    move: MoveId
    word: str


@routes.post("/api/sessions/<id>/move")
def move_session(id: str) -> Response:
    """Move a session to another node. At a gateway: all of it; repeat it until it is done.

    At a node it is the first step: the session sleeps, accepts nothing, and can be fetched as a bundle. A session that is at
    work, or has messages to send, is not moved (409).
    """
    session, wanted = requests.session_id(id), requests.action(MoveTarget, key=False)
    asked = LeaveFor(session_id=session, node=wanted.node, key=g.request_id)
    return _step(api().act("session.leave", asked, PACK_SECONDS))


@routes.delete("/api/sessions/<id>/move")
def call_off_move(id: str) -> Response:
    """Call a move off: the session is here again. 409 when it has moved."""
    session = requests.session_id(id)
    requests.action(Nothing, key=False)
    found = api().call("session.stay", StayHere(session_id=session, key=g.request_id))
    return json_response({"success": True, "session": found["session"], "move": found["move"]})


@routes.get("/api/sessions/<id>/bundle")
def fetch_bundle(id: str) -> Response:
    """All of a session that leaves, for the other node."""
    session, asked = requests.session_id(id), requests.query(MoveQuery)
    found = api().act("session.bundle", PackBundle(session_id=session, move=asked.move), PACK_SECONDS)
    path = api().paths.moves_dir / found["file"]
    try:
        file = path.open("rb")  # it is closed when it has been sent
    except OSError as error:
        raise StorageFailed(f"The bundle cannot be read: {error.strerror}. Ask again.") from None

    def pieces() -> Iterator[bytes]:
        with file:
            while data := file.read(_CHUNK):
                yield data

    response = Response(pieces(), content_type="application/octet-stream")
    response.headers["Content-Length"] = str(found["bytes"])
    response.headers["Content-Disposition"] = 'attachment; filename="session.tar"'
    return response


@routes.put("/api/sessions/<id>/bundle")
@files.taken
def bring_bundle(id: str) -> Response:
    """Keep a bundle. It is no session before `arrive`; what would keep it from becoming one is refused here."""
    session, asked = requests.session_id(id), requests.query(BundleQuery)
    requests.idempotency_key()
    upload = _kept(api().paths.moves_dir)
    wanted = TakeBundle(session_id=session, move=asked.move, upload=upload.name, project_path=asked.project_path)
    try:
        found = api().act("session.import", wanted, PACK_SECONDS)
    finally:
        upload.unlink(missing_ok=True)
    return json_response({"success": True, "digest": found["digest"], "arrived": found["arrived"]})


def _kept(folder: Path) -> Path:
    """The body of this request as a file. Raise StorageFailed, or InvalidRequest when it has broken off."""
    length = request.content_length or 0
    if "Transfer-Encoding" in request.headers:
        raise InvalidRequest("Say how long the bundle is (Content-Length).", code="missing_length")
    request.max_content_length = length + 1  # long ones may come; and at a limit reading on, for the end, is refused
    path = folder / f"{uuid.uuid4().hex}.part"
    try:
        if shutil.disk_usage(folder).free < 2 * length + ROOM_BYTES:
            raise StorageFailed(f"There is no room for a session of {length // 1024} kB: free some space.")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while data := request.stream.read(_CHUNK):
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
            whole = file.tell() == length
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise StorageFailed(f"The bundle cannot be kept: {error.strerror}.") from None
        raise
    if not whole:
        path.unlink(missing_ok=True)
        raise InvalidRequest("The bundle has broken off on its way. Send it again.", code="bundle_damaged")
    return path


@routes.delete("/api/sessions/<id>/bundle")
def decline_bundle(id: str) -> Response:
    """Throw a bundle away of which no session was made: the move was called off."""
    session, asked = requests.session_id(id), requests.query(MoveQuery)
    requests.action(Nothing, key=False)
    api().call("session.decline", DeclineBundle(session_id=session, move=asked.move, key=g.request_id))
    return json_response({"success": True})


@routes.post("/api/sessions/<id>/release")
def release_session(id: str) -> Response:
    """Let go of a session whose bundle the other node has. Here it has ended (`moved`), and says where it is."""
    session, wanted = requests.session_id(id), requests.action(HandOverRequest, key=False)
    asked = ReleaseSession(session_id=session, move=wanted.move, digest=wanted.digest, key=g.request_id)
    return _step(api().act("session.release", asked, 0.0))


@routes.post("/api/sessions/<id>/arrive")
def arrive_session(id: str) -> Response:
    """Make a session of the bundle."""
    session, wanted = requests.session_id(id), requests.action(ArrivalRequest, key=False)
    asked = ArriveHere(session_id=session, move=wanted.move, word=wanted.word, key=g.request_id)
    view = api().act("session.arrive", asked, PACK_SECONDS)
    return json_response({"success": True, "session": view})


def _step(found: dict[str, object]) -> Response:
    return json_response({"success": True, "move": found})
