"""Claude's hooks by their names: which are asked for, of which releases, and which wait for an answer.

What must not regress: a hook that a release does not know makes it open each session with a dialog, so none is asked for of a
release that may not have it.
"""

from __future__ import annotations

from shared import releases

SESSION_START, SESSION_END = "SessionStart", "SessionEnd"
USER_PROMPT_SUBMIT = "UserPromptSubmit"
MESSAGE_DISPLAY = "MessageDisplay"
PRE_TOOL_USE, POST_TOOL_USE, POST_TOOL_USE_FAILURE = "PreToolUse", "PostToolUse", "PostToolUseFailure"
PERMISSION_REQUEST, PERMISSION_DENIED = "PermissionRequest", "PermissionDenied"
NOTIFICATION = "Notification"
ELICITATION, ELICITATION_RESULT = "Elicitation", "ElicitationResult"
STOP, STOP_FAILURE = "Stop", "StopFailure"
SUBAGENT_START, SUBAGENT_STOP = "SubagentStart", "SubagentStop"
PRE_COMPACT, POST_COMPACT = "PreCompact", "PostCompact"
CWD_CHANGED = "CwdChanged"
POST_MODEL_SWITCH = "PostModelSwitch"

TOOL_ENDED = (POST_TOOL_USE, POST_TOOL_USE_FAILURE, PERMISSION_DENIED)
"""A tool's use is over, in whatever way."""

TOOL_USED = (PRE_TOOL_USE, *TOOL_ENDED)

ASKING_EVENTS = (PERMISSION_REQUEST, ELICITATION)
"""Their hooks wait for an answer."""

ASYNC_EVENTS = (
    SESSION_START,
    USER_PROMPT_SUBMIT,
    MESSAGE_DISPLAY,
    *TOOL_USED,
    NOTIFICATION,
    ELICITATION_RESULT,
    STOP,
    STOP_FAILURE,
    SUBAGENT_START,
    SUBAGENT_STOP,
    PRE_COMPACT,
    POST_COMPACT,
    CWD_CHANGED,
    SESSION_END,
)
NEWER_EVENTS: dict[str, releases.Release] = {POST_MODEL_SWITCH: (2, 1, 330)}
"""Events that not every release knows, and from which one on they are asked for. WorktreeCreate and WorktreeRemove are nobody's
here: whoever registers them makes the worktrees himself."""

TOOL_EVENTS = frozenset({*TOOL_USED, PERMISSION_REQUEST})
"""Hooks that are registered with a pattern of tools."""

TELL_THE_MODE = (USER_PROMPT_SUBMIT, POST_TOOL_USE, STOP)
"""They say the permission mode as it is now; a tool's beginning says the one before."""

STARTED_ANEW, STARTED_BY_FORK, STARTED_BY_CLEAR = "startup", "fork", "clear"
"""What SessionStart gives as its source."""
