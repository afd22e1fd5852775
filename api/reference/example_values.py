"""What the examples tell of: one session, its message, what it asks, and who is told of it, in the types of the wire.

What must not regress: all of it belongs together, so that whoever reads the reference from its top meets one session.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from api.reference import service_shapes
from api.reference.call import ID as SESSION
from api.reference.call import MESSAGE_ID as MESSAGE
from shared.bus.messages import Choice, LastWords, MessageView, NodeView, RuleView, SessionView, Waiting
from shared.bus.move_requests import MoveStep
from shared.bus.notifications import NoticeView, Quiet, RecipientView, Rules

REQUEST = "9934309e09c74685808c4ee2ffa2c98a"
PROJECT = "/tmp"
AT = 1795429790991
HOUR = 3_600_000
YES: Literal[True] = True

USAGE = {"input_tokens": 12, "output_tokens": 5}
IDLE = SessionView(
    id=SESSION,
    state="idle",
    project_path=PROJECT,
    created_at=AT - HOUR,
    last_activity=AT,
    message_count=2,
    queue_length=0,
    title="Fix the build",
    conversation_id="8c82c545-a3b0-4826-a0d7-f798799fcf85",
    pid=4711,
    holder_pid=4710,
    generation=1,
    expires_at=AT + 24 * HOUR,
    memory_bytes=412_000_000,
    cpu_percent=0.4,
    claude_version="2.1.330",
    last_words=LastWords(role="assistant", text="BANANA", at=AT),
    seen_at=AT,
)
RECIPIENT = RecipientView(
    id="r_2f1c",
    kind="webpush",
    name="Ada's phone",
    place="fcm.googleapis.com",
    rules=Rules(content="title", quiet=Quiet(start="22:00", end="07:00"), zone="Europe/Vienna"),
    status="ok",
    created_at=AT - 24 * HOUR,
    seen_at=AT,
    success_at=AT,
    by="device:Ada's phone",
)
NOTICE = NoticeView(
    recipient="r_2f1c",
    recipient_name="Ada's phone",
    key="mac-mini/6f2a:17",
    kind="waiting",
    title="Fix the build asks for permission",
    state="told",
    at=AT,
    session=SESSION,
    told_at=AT + 1700,
    shown_at=AT + 2100,
    via="mac-mini/6f2a:17",
)
ASKED = Waiting(
    id="w_5c1e",
    kind="permission",
    title="Bash",
    text="Claude wants to run `make test`.",
    choices=[
        Choice(id="allow", label="Allow once"),
        Choice(id="always", label="Allow always", description="Bash(make test)"),
        Choice(id="deny", label="Deny"),
    ],
    since=AT,
    tool="Bash",
    input={"command": "make test", "description": "Run the tests"},
)
WAITS = msgspec.structs.replace(IDLE, state="waiting", waiting=ASKED, current_message=MESSAGE)
_STEPS = {"accepted": AT, "queued": AT + 3, "typed": AT + 50, "submitted": AT + 85, "answered": AT + 1900}
ANSWERED = MessageView(
    id=MESSAGE,
    session_id=SESSION,
    state="answered",
    text="What word did I ask you to remember?",
    created_at=AT,
    steps=_STEPS,
    request_id=REQUEST,
    reply="BANANA",
    usage=USAGE,
)
QUEUED = msgspec.structs.replace(
    ANSWERED, state="queued", steps={"accepted": AT, "queued": AT + 3}, reply=None, usage=None, queue_position=1
)

LEGACY: dict[str, Any] = {
    "session_id": SESSION,
    "project_path": PROJECT,
    "created_at": AT - HOUR,
    "last_activity": AT,
    "message_count": 2,
    "expires_at": AT + 24 * HOUR,
    "state": "idle",
    "pid": 4711,
}

MOVE = MoveStep(id="mv_4c039b79f8ee45cfbb8296d2ef93e0de", to="mini2", moved=True)
NODE = NodeView(id="c0ffee0123456789", name="workstation")

PHONE = service_shapes.Device(
    id="5f2c9a01",
    name="Ada's phone",
    scope="answer",
    created_at=AT - HOUR,
    last_used_at=AT,
    expires_at=AT + 90 * 24 * HOUR,
)

BOT = service_shapes.Token(name="ci-bot", scope="chat", created_at=AT - HOUR)

RULE = RuleView(
    tool="Bash", pattern="git status*", answer="allow", id="r_5f2c9a01", by="device:Ada's phone", at=AT, used=3
)
