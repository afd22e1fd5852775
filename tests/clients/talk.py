"""A conversation through the client that openapi-python-client makes. Address, token and folder come as arguments."""

from __future__ import annotations

import json
import sys
from uuid import UUID

from generated.api.messages import chat, get_history
from generated.api.sessions import get_session
from generated.client import AuthenticatedClient
from generated.models.chat_request import ChatRequest
from generated.models.history import History
from generated.models.message_outcome import MessageOutcome
from generated.models.problem import Problem


def said(client: AuthenticatedClient, message: str, project: str, session: UUID | None = None) -> MessageOutcome:
    """The answer to one message."""
    body = ChatRequest(message=message, project_path=project, session_id=session, wait=60)
    answer = chat.sync(client=client, body=body)
    assert isinstance(answer, MessageOutcome), answer
    return answer


def main(address: str, token: str, project: str) -> None:
    """Say two things, look at the history, and at what is not there."""
    client = AuthenticatedClient(base_url=address, token=token, timeout=None)
    first = said(client, "Remember the word BANANA", project)
    session = UUID(first.session_id)
    second = said(client, "What word did I ask you to remember?", project, session)
    history = get_history.sync(session, client=client)
    refused = get_session.sync(UUID(int=0), client=client)
    assert isinstance(history, History)
    assert isinstance(refused, Problem)
    roles = [entry.role.value for entry in history.entries]
    print(json.dumps({"reply": second.reply, "roles": roles, "refused": refused.code, "session": first.session_id}))


if __name__ == "__main__":
    main(*sys.argv[1:])
