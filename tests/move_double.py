"""The steps of a move as the API sees them, in memory: the part of the supervisor's double that two nodes share."""

from __future__ import annotations

from typing import Any

from shared.bus import move_requests
from shared.errors import Conflict
from tests.session_double import SessionOperations


class MoveSteps(SessionOperations):
    """Operations on the views of sessions. Bundles are the test's: there is none."""

    def op_session_leave(self, args: move_requests.LeaveFor) -> Any:
        view = self._session(args.session_id)
        if not view.get("movedTo"):
            view.update(movingTo=args.node, state="hibernated")
        return self._step(args.node, view)

    def op_session_stay(self, args: move_requests.StayHere) -> Any:
        view = self._session(args.session_id)
        told = self._step(view["movingTo"], view) if view.get("movingTo") else None
        view["movingTo"] = None
        return {"session": view, "move": told}

    def op_session_bundle(self, args: move_requests.PackBundle) -> Any:
        self._session(args.session_id)
        raise Conflict("No such move of this session is under way.", code="no_such_move")

    def op_session_import(self, args: move_requests.TakeBundle) -> Any:
        return {"digest": "0" * 64, "arrived": False}

    def op_session_decline(self, args: move_requests.DeclineBundle) -> Any:
        return {}

    def op_session_release(self, args: move_requests.ReleaseSession) -> Any:
        view = self._session(args.session_id)
        if not view.get("movingTo") and not view.get("movedTo"):
            raise Conflict("No such move of this session is under way.", code="no_such_move")
        node = view.get("movingTo") or view["movedTo"].partition("~")[0]
        view.update(state="ended", endReason="moved", movingTo=None, movedTo=f"{node}~{view['id']}")
        return self._step(node, view)

    def op_session_arrive(self, args: move_requests.ArriveHere) -> Any:
        return self._session(args.session_id)

    @staticmethod
    def _step(node: str, view: dict[str, Any]) -> dict[str, Any]:
        moved = bool(view.get("movedTo"))
        return {"id": "mv_" + "0" * 32, "to": node, "moved": moved, "word": "w" if moved else None}
