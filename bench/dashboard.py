"""The dashboard in a real browser: bytes and requests of the first view, its first useful paint, long tasks with 200 sessions at
ten events a second, and how long a conversation of 5,000 messages takes to open at its end.

The house, its API, the reader of transcripts and the browser are real. The 200 sessions and their events are made up and given to
the page where it hears of them: processes for so many would be measured instead.
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

from playwright.sync_api import BrowserContext, Page, Route

from bench.lab import finish, parser, percentile
from tests.browser.lab import DESK, PHONE, Desk, desk, lengthen
from tests.harness import until

KILOBYTES, REQUESTS = 60.0, 12
PAINT_MS, LONG_TASK_MS, OPEN_MS = 1000.0, 50.0, 500.0
SESSIONS, MESSAGES, EVENTS_A_SECOND, SECONDS, ROUNDS = 200, 5000, 10, 10, 5

_USEFUL = """
  const mark = () => {
    if (window.useful || !document.querySelector("SELECTOR")) return;
    requestAnimationFrame(() => setTimeout(() => (window.useful ??= performance.now())));
  };
  new MutationObserver(mark).observe(document, {childList: true, subtree: true});
"""
_LONG = """
  window.long = [];
  const seen = (list) => window.long.push(...list.getEntries().map((entry) => entry.duration));
  new PerformanceObserver(seen).observe({entryTypes: ["longtask"]});
"""
_EVENTS = """async ([ids, many, pause]) => {
  const channel = new BroadcastChannel("pilotlight-events");
  for (let n = 0; n < many; n++) {
    const session = ids[(n * 37) % ids.length];
    const data = {from: "idle", to: "busy", cause: "bench"};
    const body = {v: 1, epoch: "e", seq: 1e9 + n, at: Date.now(), kind: "state", session, data};
    channel.postMessage({type: "event", kind: "state", place: null, body});
    await new Promise((done) => setTimeout(done, pause));
  }
}"""


def main(argv: list[str]) -> int:
    """Run it and print the figures."""
    options = parser("dashboard", __doc__).parse_args(argv)
    with desk(whole=True) as made:
        made.house.ask("Hello", title="First")
        figures: dict[str, Any] = _first_view(made) | _crowd(made) | _long_conversation(made)
    verdicts = {
        f"first view within {KILOBYTES:g} kB and {REQUESTS} requests": figures["first view, kB compressed"] < KILOBYTES
        and figures["first view, requests"] <= REQUESTS,
        f"first useful paint within {PAINT_MS:g} ms": figures["first useful paint, ms p50"] <= PAINT_MS,
        f"no task over {LONG_TASK_MS:g} ms at {EVENTS_A_SECOND} events a second": figures["long tasks, count"] == 0,
        f"{MESSAGES:,} messages open within {OPEN_MS:g} ms": figures["long conversation, ms p50"] <= OPEN_MS,
        "no page has complained": not made.complaints,
    }
    print(*made.complaints[:5], sep="\n", file=sys.stderr)
    return finish(f"dashboard, {SESSIONS} sessions, {MESSAGES:,} messages", figures, verdicts, options.json)


def _first_view(made: Desk) -> dict[str, Any]:
    """Without a cache, signed in."""
    signed = made.context()
    made.sign_in(signed)
    state = signed.storage_state()
    signed.close()
    useful, painted, sizes = [], [], []
    for _ in range(ROUNDS):
        context = made.context(DESK, storage_state=state, service_workers="block")
        context.add_init_script(_USEFUL.replace("SELECTOR", ".row .title"))
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        files: dict[str, float] = {}
        static: set[str] = set()
        network.on(
            "Network.requestWillBeSent",
            lambda said, static=static: (
                static.add(said["requestId"]) if "/api/" not in said["request"]["url"] else None
            ),
        )
        network.on(
            "Network.loadingFinished",
            lambda said, files=files: files.update({said["requestId"]: said["encodedDataLength"]}),
        )
        page.goto(f"{made.url}/")
        useful.append(_painted(page))
        painted.append(
            float(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"))
        )
        sizes.append([size for name, size in files.items() if name in static])
        context.close()
    first = min(sizes, key=len)
    return {
        "first view, kB compressed": sum(first) / 1000,
        "first view, requests": len(first),
        "first paint, ms p50": percentile(painted, 50),
        "first useful paint, ms p50": percentile(useful, 50),
        "first useful paint, ms max": max(useful),
    }


def _painted(page: Page) -> float:
    """When the first useful view was there, in milliseconds after the navigation began."""
    return float(until(lambda: page.evaluate("window.useful"), "the first view is painted"))


def _crowd(made: Desk) -> dict[str, Any]:
    """200 sessions in the list, and ten events a second about any of them."""
    view = made.house.call("session.list")["sessions"][0]
    crowd = [
        {
            **view,
            "id": str(uuid.uuid4()),
            "title": f"Session {n}",
            "state": "idle",
            "projectPath": f"/home/ada/project-{n % 9}",
        }
        for n in range(SESSIONS)
    ]
    known = {one["id"]: one for one in crowd}
    context = made.context(DESK, service_workers="block")
    context.add_init_script(_LONG)

    def many(route: Route) -> None:
        route.fulfill(json={"success": True, "sessions": crowd})

    def one(route: Route) -> None:
        found = known.get(route.request.url.rpartition("/")[2])
        route.fulfill(
            json={"success": True, "session": {**found, "lastActivity": int(time.time() * 1000)}}
        ) if found else route.continue_()

    context.route("**/api/sessions?*", many)
    context.route("**/api/sessions/*", one)
    page = made.sign_in(context)
    page.locator(".row").nth(20).wait_for()
    page.wait_for_timeout(1500)
    page.evaluate("window.long.length = 0")
    page.evaluate(_EVENTS, [[one["id"] for one in crowd], EVENTS_A_SECOND * SECONDS, 1000 / EVENTS_A_SECOND])
    tasks = [float(task) for task in page.evaluate("window.long")]
    rows = page.locator(".row").count()
    context.close()
    return {
        "rows in the page": rows,
        "long tasks, count": sum(task > LONG_TASK_MS for task in tasks),
        "longest task, ms": max(tasks, default=0.0),
    }


def _long_conversation(made: Desk) -> dict[str, Any]:
    """Opened on a phone, from the list, with the transcript on the disk and nothing of it in the browser."""
    _, session = made.house.ask("The last thing that was said", title="Long")
    made.house.call("session.hibernate", {"sessionId": session})
    lengthen(made.house, session, MESSAGES)
    opened = []
    for _ in range(ROUNDS):
        context: BrowserContext = made.context(PHONE, service_workers="block")
        page: Page = made.sign_in(context)
        page.evaluate(
            "import(document.querySelector('script[type=module]').src.replace('main.js', 'conversation.js')).then(() => 1)"
        )
        opened.append(float(page.evaluate(
            """async (session) => {
              const began = performance.now();
              location.hash = `/session/${session}`;
              for (;;) {
                const flow = document.querySelector(".flow");
                const there = flow && flow.querySelectorAll("[data-entry]").length > 20;
                if (there && flow.scrollHeight - flow.scrollTop - flow.clientHeight < 80) break;
                await new Promise((done) => requestAnimationFrame(done));
              }
              return performance.now() - began;
            }""",
            session,
        )))  # fmt: skip
        context.close()
    return {"long conversation, ms p50": percentile(opened, 50), "long conversation, ms max": max(opened)}
