"""Everything that a session can ask for, made up: the real CLI asks each of them only after seconds, or only of an account.

They are put into the list that a browser reads, and nowhere else: no process stands behind them, and nothing answers for them.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from playwright.sync_api import BrowserContext, Route

from tests.harness import House

_RETRY = [{"id": "retry", "label": "Try again"}]
_DIFF = (
    "--- cart.py\n+++ cart.py\n@@ -7,3 +7,3 @@\n def total(items):\n"
    "-    return sum(item.price for item in items)\n+    return round(sum(item.price for item in items), 2)\n \n"
)
_QUESTIONS = [
    {
        "question": question,
        "header": "One",
        "multiSelect": several,
        "options": [{"label": label, "description": why} for label, why in options],
    }
    for question, several, options in (
        (
            "Which database should the tests use?",
            False,
            (("PostgreSQL", "What production has"), ("SQLite", "One file")),
        ),
        ("Which of them run at night?", True, (("The long ones", "About an hour"), ("The browsers", "Some minutes"))),
        ("What should happen to a test that fails now and then?", False, (("Mend it", ""), ("Put it aside", ""))),
    )
]
_ALLOW = [
    {"id": "allow", "label": "Yes"},
    {
        "id": "always",
        "label": "Yes, and do not ask again",
        "description": "allow Bash(git push *), in this project",
    },
    {"id": "deny", "label": "No"},
]
_FORM = [{"id": "accept", "label": "Accept"}, {"id": "decline", "label": "Decline"}]
_SCREEN = "Paste the code that your browser shows\n\n> \n\nEnter to confirm, Esc to cancel"


def _edit() -> dict[str, Any]:
    given = {"file_path": "/home/ada/shop/cart.py", "old_string": "sum(", "new_string": "round(sum("}
    return {"for": "permission", "tool": "Edit", "input": given, "preview": _DIFF, "choices": _ALLOW}


def cards() -> dict[str, dict[str, Any]]:
    """What is waited for, by the title of its session."""
    now = int(time.time() * 1000)
    bash = {"command": "git push origin fix/rounding", "description": "Push the branch"}
    page = {"url": "https://login.example.org/device?code=ABCD", "mode": "url"}
    plan = {"plan": "# Move the importer\n\n1. Put a queue before it\n2. Keep the old command\n3. Say so once a day"}
    until = now + 3600_000
    return {
        "Round once, in total()": _edit(),
        "Push the branch": {"for": "permission", "tool": "Bash", "input": bash, "choices": _ALLOW},
        "Shown at the terminal": {"for": "permission", "tool": "Bash", "input": bash},
        "Tests without a network": {
            "for": "question", "questions": _QUESTIONS, "choices": [{"id": "deny", "label": "No"}]
        },
        "Move the importer": {"for": "plan", "input": plan, "choices": [_ALLOW[0], _ALLOW[2]]},
        "A page to open": {
            "for": "elicitation", "title": "calendar asks you to open a page", "text": "Log in there.", "input": page,
            "fields": [], "choices": _FORM,
        },
        "A page that is none": {
            "for": "elicitation", "title": "calendar asks you to open a page", "text": "Log in there.",
            "input": {"url": "javascript:alert(1)"}, "fields": [], "choices": _FORM,
        },
        "A folder of somebody": {
            "for": "trust", "choices": [{"id": "1", "label": "Yes, I trust this folder"}, {"id": "2", "label": "No, exit"}]
        },
        "A code to paste": {
            "for": "dialog", "text": _SCREEN,
            "choices": [{"id": "enter", "label": "Enter"}, {"id": "escape", "label": "Escape"}],
        },
        "Not logged in": {
            "for": "login", "title": "Claude's service does not accept the login", "choices": _RETRY,
            "text": "Claude's service does not accept the login\nrun claude and log in with /login",
        },
        "At its limit": {
            "for": "rate_limit", "title": "Claude's usage limit is reached", "choices": _RETRY, "until": until,
            "text": "Claude's usage limit is reached",
        },
        "Too much to do": {
            "for": "rate_limit", "title": "Claude's service is overloaded or out of order", "choices": _RETRY,
            "until": until, "text": "Claude's service is overloaded or out of order",
        },
    }  # fmt: skip


def sessions(house: House) -> dict[str, dict[str, Any]]:
    """A session for each of them, by its title."""
    view = next(iter(house.call("session.list")["sessions"]), None) or house.session(house.ask("Hello")[1])
    now = int(time.time() * 1000)
    made = {}
    for number, (title, asked) in enumerate(cards().items()):
        waiting = {
            "id": str(uuid.uuid4()),
            "title": title,
            "text": "",
            "choices": [],
            "since": now - number * 60_000,
        } | asked
        about = {"id": str(uuid.uuid4()), "title": title, "state": "waiting", "waiting": waiting}
        made[title] = view | about | {"projectPath": "/home/ada/shop", "queueLength": 0, "currentMessage": None}
    return made


def put(context: BrowserContext, made: dict[str, dict[str, Any]]) -> list[tuple[str, Any]]:
    """Have this browser believe that there are these sessions and no others; what it answers to them, as it comes."""
    answers: list[tuple[str, Any]] = []

    def answered(route: Route) -> None:
        session = next(one for one in made.values() if one["id"] in route.request.url)
        answers.append((session["title"], route.request.post_data_json))
        route.fulfill(json={"success": True, "session": session | {"state": "idle", "waiting": None}})

    everything = {"success": True, "sessions": list(made.values())}
    context.route("**/api/sessions?includeEnded=true", lambda route: route.fulfill(json=everything))
    context.route("**/api/sessions/*/answer", answered)
    return answers
