"""The supervisor speaks to HTTP clients; at the prompt its advice has to name commands.

`tests/unit/cli/test_wording.py` looks through every sentence of the supervisor's for a call that is not translated here.
"""

from __future__ import annotations

import re

_COMMANDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), command)
    for pattern, command in (
        (r"`GET /api/sessions\?includeEnded=true`", "`pilotlight ls --all`"),
        (r"`GET /api/sessions`", "`pilotlight ls`"),
        (r"`GET /api/conversations`", "`pilotlight import`"),
        (r"`POST /api/sessions/(?P<id>[^/`]*)/reopen`", r"`pilotlight reopen \g<id>`"),
        (r"`POST /api/sessions/(?P<id>[^/`]*)/fork`", r"`pilotlight fork \g<id>`"),
        (r"Delete the session instead: `DELETE /api/sessions/<id>`", "End the session with `pilotlight kill ID`"),
        (r"`DELETE /api/sessions/(?P<id>[^/`]*)`", r"`pilotlight kill \g<id>`"),
        (r"use the commands call for commands", "use `pilotlight command ID /...` for commands"),
        (r"put \{question: answer\} into `answers`", "answer each with `--to QUESTION=ANSWER`"),
        (r"Put \{field: answer\} into `answers`", "Answer each with `--to FIELD=ANSWER`"),
        (r"Put them into `answers`, or decline", "Answer each with `--to FIELD=ANSWER`, or decline"),
        (
            r"Answer all of them in `answers`, or say `partial: true`",
            "Answer all of them with `--to`, or say `--partial`",
        ),
        (r"`choice`", "`--choice`"),
        (r"`updatedInput`", "`--input`"),
        (r"`before` must be the `next` of the page that follows", "--before takes what `pilotlight history` said last"),
    )
)


def at_the_prompt(message: str) -> str:
    """A sentence of the supervisor's for somebody who types commands."""
    for pattern, command in _COMMANDS:
        message = pattern.sub(command, message)
    return message
