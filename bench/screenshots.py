"""Pictures of every view, in both themes and three sizes, into `.state/screenshots`, to be looked at beside the design.

The house is real, with the demo's model; what stands in the conversations is written for the pictures.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

from playwright.sync_api import Page

from bench.lab import parser
from tests.browser import cards
from tests.browser.lab import DESK, PHONE, Desk, desk
from tests.harness import ROOT, House, until

TABLET: Any = {"width": 834, "height": 1112}
SIZES = {"phone": PHONE, "tablet": TABLET, "desk": DESK}
FOLDER = ROOT / ".state" / "screenshots"
Look = tuple[Any, str, Any, str]
"""Theme, name of a size, the size, and how the names begin of the pictures that are asked for."""

LONG = ("new", "health", "settings", "help", "attention")
"""Whose whole length is shown as well."""

_LONG = (
    "Round once, where the sum is made, and keep the cents. The receipt and the invoice have to say the same, also for "
    "three of something that costs a third. "
)
_TESTS = (
    "Make the tests run without a network, whatever it takes. They have to be the same on a train as on CI, and to need "
    "nothing that is not in the repository. "
)
_IMPORTER = (
    "Move the importer to the queue, and keep the old command working for a while. Whoever calls it is told once a day, and "
    "it goes with the next release. "
)
_POEM = "def total(items):\n    return sum(item.price for item in items)\n"
_ANSWER = (
    "The cart rounded each line and then the sum, so a discount of 10 % could be a cent off.\n\n"
    "- rounding happens **once**, in `total()`\n- three tests for mixed rates\n\n"
    "```python\ndef total(items):\n    return round(sum(item.net for item in items), 2)\n```\n\n"
    "| case | before | after |\n|---|---|---|\n| 3 × 0.33 | 1.00 | 0.99 |\n| mixed | 12.35 | 12.34 |"
)


def main(argv: list[str]) -> int:
    """Make them all, and say where they are."""
    options = parser("screenshots", __doc__)
    options.add_argument("--only", default="", help="pictures whose name begins like this, such as over-menu")
    given = options.parse_args(argv)
    FOLDER.mkdir(parents=True, exist_ok=True)
    looks: list[Look] = [(theme, *size, given.only) for theme in ("light", "dark") for size in SIZES.items()]
    with desk() as made:
        for look in looks:
            _shoot(made, {"first-run": "/sessions"}, look)
        views = _furnish(made)
        for look in looks:
            _shoot(made, views, look)
            _shoot_cards(made, look)
            _shoot_others(made, look)
        if _wanted("offline", looks[0]):
            _shoot_offline(made, looks)
    print(FOLDER)
    return 0


def _wanted(views: str, look: Look) -> bool:
    """Whether one of the pictures whose names begin so is asked for."""
    return views.startswith(look[3]) or look[3].startswith(views)


def _picture(page: Page, view: str, look: Look, whole: bool = False) -> None:
    theme, name, _, only = look
    if f"{view}-{name}-{theme}".startswith(only):
        page.screenshot(path=FOLDER / f"{view}-{name}-{theme}.png", full_page=whole)


def _shoot(made: Desk, views: dict[str, str], look: Look) -> None:
    wanted = {view: path for view, path in views.items() if _wanted(view, look)}
    if not wanted:
        return
    page = _signed_in(made, look)
    for view, path in wanted.items():
        if path.startswith("/terminal"):
            page.goto(f"{made.url}{path}")
            page.wait_for_timeout(1500)
        else:
            if "/terminal" in page.url:
                page.goto(f"{made.url}/")
            page.evaluate("path => { location.hash = path }", path)
            page.locator("#main h1").first.wait_for(state="attached")
        if view == "search":
            page.get_by_role("combobox").fill("round")
        if view == "settings":
            page.get_by_label("Expire after, hours").fill("48")
        page.wait_for_timeout(900)
        _picture(page, view, look)
        if view in LONG:
            _picture(page, f"{view}-whole", look, whole=True)
    page.context.close()


def _signed_in(made: Desk, look: Look) -> Page:
    """On the only device there is, with an hour behind it: nobody waits that long for a chart."""
    for device in made.devices.records():
        made.devices.revoke(device.id)
    context = made.context(look[2], color_scheme=look[0], device_scale_factor=1)
    ids = [one["id"] for one in made.house.call("session.list")["sessions"] if one["memoryBytes"]]
    samples = {one: _samples(number) for number, one in enumerate(ids)}
    answer = {"success": True, "span": "hour", "total": [], "sessions": samples}
    context.route("**/api/metrics/samples?each=true", lambda route: route.fulfill(json=answer))
    return made.sign_in(context)


def _samples(number: int) -> list[dict[str, Any]]:
    now = int(time.time() * 1000)
    return [
        {
            "at": now - (59 - minute) * 60_000,
            "memoryBytes": 2e8 + 4e6 * minute * (number % 3) + 1e7 * math.sin(minute / 3 + number),
            "cpuPercent": max(0, 30 * math.sin(minute / 4 + number) - 4 * number),
            "messages": 0,
            "queue": 0,
        }
        for minute in range(60)
    ]


def _shoot_cards(made: Desk, look: Look) -> None:
    """Everything that can be asked for; none of it by a session."""
    if not _wanted("cards", look):
        return
    context = made.context(look[2], color_scheme=look[0], device_scale_factor=1)
    cards.put(context, cards.sessions(made.house))
    page = made.sign_in(context, path="/attention")
    page.wait_for_timeout(900)
    _picture(page, "cards-whole", look, whole=True)
    context.close()


def _shoot_others(made: Desk, look: Look) -> None:
    """What is no address: the door, what opens over a view, and the one question that is asked twice."""
    if _wanted("sign-in", look):
        context = made.context(look[2], color_scheme=look[0], device_scale_factor=1)
        page = context.new_page()
        page.goto(made.url)
        page.wait_for_timeout(700)
        _picture(page, "sign-in", look)
        context.close()
    if not _wanted("over", look):
        return
    page = _signed_in(made, look)
    more = page.get_by_label("More: Move the importer")
    more.click()
    page.wait_for_timeout(200)
    _picture(page, "over-menu", look)
    page.get_by_role("button", name="End session…").click()
    page.wait_for_timeout(300)
    _picture(page, "over-end", look)
    page.get_by_role("button", name="Keep it").click()
    more.click()
    page.get_by_role("button", name="Rename").click()
    page.wait_for_timeout(300)
    _picture(page, "over-rename", look)
    page.get_by_role("button", name="Cancel").click()
    more.click()
    page.get_by_role("button", name="Select").click()
    page.wait_for_timeout(300)
    _picture(page, "over-selection", look)
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("link", name="Move the importer").click()
    more.click()
    page.wait_for_timeout(300)
    _picture(page, "over-conversation-menu", look)
    about = page.get_by_role("button", name="About this session")
    if about.count():
        about.click()
        page.wait_for_timeout(300)
        _picture(page, "over-about", look)
    page.context.close()


def _shoot_offline(made: Desk, looks: list[Look]) -> None:
    """The supervisor is away, for longer than a restart takes."""
    contexts = [made.context(look[2], color_scheme=look[0], device_scale_factor=1) for look in looks]
    pages = [made.sign_in(context) for context in contexts]
    made.house.kill_supervisor()
    for look, page in zip(looks, pages, strict=True):
        page.bring_to_front()
        page.get_by_role("heading", name="Your sessions go on").wait_for()
        page.wait_for_timeout(300)
        _picture(page, "offline", look)
    made.house.start_supervisor()  # it puts away what it had, at the end


def _furnish(made: Desk) -> dict[str, str]:
    """Sessions in every state that a person meets; the paths of the views."""
    house = made.house
    _, shop = house.ask("Why is the total of the cart a cent off?", title="Rounding in the cart")
    house.send(f"[[say {_ANSWER}]]", shop)
    house.send('[[tool Bash {"command": "ls -l && echo 42 tests passed", "description": "Run the tests"}]]', shop)
    house.send(f"[[say {_ANSWER}]]", shop)
    _reword(house, shop)
    file = house.project / "cart.py"
    file.write_text(f"import decimal\n\n\nRATE = 0.2\n\n\n{_POEM}\n\ndef empty(items):\n    return not items\n")
    edit = {
        "file_path": str(file),
        "content": file.read_text()
        .replace("    return sum(item.price", "    return round(sum(item.price")
        .replace("items)\n\n\ndef empty", "items, 2)\n\n\ndef empty"),
    }
    _asks(
        house,
        f"{_LONG}[[tool Write {json.dumps(edit)}]]",
        "Round once, in total()",
    )
    _asks(
        house,
        "When the tests pass, push the branch and open a pull request that says what was wrong, and what it is now. "
        "Keep it short, and name the test that fails without it. "
        '[[tool Bash {"command": "git push origin fix/rounding", "description": "Push the branch"}]]',
        "Push the branch",
    )
    options = [
        {"label": "PostgreSQL", "description": "What production has"},
        {"label": "SQLite", "description": "One file, no service"},
    ]
    question = {
        "questions": [
            {
                "question": "Which database should the tests use?",
                "header": "Database",
                "options": options,
                "multiSelect": False,
            }
        ]
    }
    _asks(
        house,
        f"{_TESTS}[[tool AskUserQuestion {json.dumps(question)}]]",
        "Tests without a network",
    )
    busy = house.send(
        f"{_IMPORTER}[[gate work]]",
        wait=0,
        title="Move the importer",
    )["session"]["id"]
    house.until_state(busy, "busy")
    for text in ("Then run the long tests", "And write the changelog"):
        house.send(text, busy, wait=0)
    _, asleep = house.ask("What did we decide on names?", title="Names of the API")
    house.call("session.hibernate", {"sessionId": asleep})
    _, ended = house.ask("Try the old branch", title="An old branch")
    house.call("session.kill", {"sessionId": ended})
    asks = next(one["id"] for one in house.call("session.list")["sessions"] if one["title"] == "Push the branch")
    house.call("rule.add", {"tool": "Bash", "pattern": "git status*", "answer": "allow"})
    until(lambda: all(_measured(house, one) for one in (busy, shop)), "the sessions are measured", 90)
    return {
        "sessions": "/sessions", "conversation": f"/session/{shop}", "queue": f"/session/{busy}", "attention": "/attention",
        "asks": f"/session/{asks}", "ended": f"/session/{ended}",
        "new": "/new", "search": "/search", "health": "/health", "settings": "/settings", "help": "/help",
        "terminal": f"/terminal#{shop}",
    }  # fmt: skip


def _asks(house: House, text: str, title: str) -> None:
    session = house.send(text, wait=0, title=title)["session"]["id"]
    house.until_state(session, "waiting")


def _measured(house: House, session: str) -> bool:
    view = house.session(session)
    return view["memoryBytes"] is not None and view["cpuPercent"] is not None


def _reword(house: House, session: str) -> None:
    """What was said in the demo model's own words, as a person would say it: in the transcript, while nobody reads it."""
    house.call("session.hibernate", {"sessionId": session})
    conversation = house.session(session)["conversationId"]
    (path,) = house.claude_home.rglob(f"{conversation}.jsonl")
    words = iter(("What is wrong with it?", "Run the tests.", "Then round once, and show me both."))
    lines = []
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        content = entry.get("message", {}).get("content")
        if entry.get("type") == "user" and isinstance(content, str) and content.startswith("[["):
            entry["message"]["content"] = next(words)
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines) + "\n")
    house.call("session.wake", {"sessionId": session})
    house.until_state(session, "idle")
