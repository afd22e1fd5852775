"""The dashboard's files: what is vendored is what npm has, nothing is loaded from elsewhere, and the budgets of bytes hold."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

from api.reference import calls
from api.web import assets, vendor
from api.web.routes import POLICY, TERMINAL_POLICY
from shared import node
from shared.bus import events
from tests.api_caller import Caller
from tests.unit.api.test_openapi import furnished

FREE = frozenset({"MIT", "BSD-3-Clause", "Apache-2.0"})
PAGE = {"Authorization": None, "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Caller:
    return Caller(tmp_path_factory.mktemp("home"), furnished())


def test_what_is_vendored_is_what_the_lock_says() -> None:
    lock = json.loads(vendor.LOCK.read_text())
    here = {path.name for path in vendor.VENDOR.iterdir() if path.is_file()} - {vendor.LOCK.name}
    assert here == set(lock["files"])
    for name, said in lock["files"].items():
        assert hashlib.sha256((vendor.VENDOR / name).read_bytes()).hexdigest() == said["sha256"], name
    assert {name: package["version"] for name, package in lock["packages"].items()} == vendor.VERSIONS
    for package in lock["packages"].values():
        assert package["licence"] in FREE
        assert (vendor.VENDOR / package["licenceFile"]).stat().st_size > 200
    assert not re.search(r'from\s*"(?!\./)[^"]*"', (vendor.VENDOR / "preact.js").read_text()), "a bare import is left"


def test_a_module_that_is_not_understood_is_refused() -> None:
    for text in ('import x from"y"', "import*as x from'y'", "export const a=1", "export default 1;export default 2"):
        with pytest.raises(ValueError):
            vendor.wrapped(text)
    assert vendor.wrapped('import{a as b}from"x";var c=b;export{c as d};') == (
        "const {a: b} = m_x;var c=b;\nreturn { d: c };"
    )


def test_a_browser_gets_the_page_and_a_program_what_it_got(ask: Caller) -> None:
    page = ask("GET", "/", headers=PAGE)
    assert page.content_type == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"] == POLICY
    assert page.headers["Cache-Control"] == "no-cache"
    for accept in (None, "*/*", "application/json", "application/json, text/html;q=0.5"):
        answer = ask("GET", "/", headers={"Authorization": None, "Accept": accept})
        assert answer.json["name"] == "pilotlight", accept
        assert "Accept" in answer.headers["Vary"]
    again = ask("GET", "/", headers={**PAGE, "If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_policies_let_nothing_in() -> None:
    for policy in (POLICY, TERMINAL_POLICY):
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe-eval" not in policy
        assert "http" not in policy
    assert "unsafe-inline" not in POLICY


def test_no_page_has_a_script_or_a_style_in_it() -> None:
    for path in (assets.STATIC / "pages").glob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text), path.name
        assert all(tag.endswith("></script>") for tag in re.findall(r"<script[^>]*>.*?</script>", text)), path.name


def test_files_are_kept_for_ever_and_others_are_404(ask: Caller) -> None:
    names = [str(path.relative_to(assets.STATIC)) for path in assets.STATIC.rglob("*") if path.is_file()]
    for name in [*names, "app.css"]:
        if name.startswith("pages/"):
            continue
        answer = ask("GET", f"/static/{assets.version()}/{name}", headers={"Authorization": None})
        assert answer.status_code == 200, name
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for path in (
        "0/app.css",
        f"{assets.version()}/../routes.py",
        f"{assets.version()}/pages/index.html",
        f"{assets.version()}/no",
    ):
        answer = ask("GET", f"/static/{path}", headers={"Authorization": None})
        assert answer.status_code == 404, path
        assert answer.headers["Cache-Control"] == "no-store"


def test_every_class_that_has_a_style_is_one_that_something_has() -> None:
    styles = "".join(re.sub(r"/\*.*?\*/", "", (assets.STATIC / name).read_text(), flags=re.S) for name in assets.STYLES)
    rules = re.findall(r"([^{}]+)\{", styles)
    styled = {found for rule in rules for found in re.findall(r"\.([a-zA-Z][\w-]*)", rule)}
    said = "".join(path.read_text() for path in assets.STATIC.rglob("*") if path.suffix in {".js", ".html"})
    known = set(re.findall(r"[\w-]+", said))
    made = re.compile(r"s-\w+|k\d")  # by a state, by a kind of word
    assert not {name for name in styled - known if not made.fullmatch(name)}


def test_every_import_names_a_file_and_every_icon_a_symbol() -> None:
    icons = set(re.findall(r'<symbol id="i-([\w-]+)"', (assets.STATIC / "icons.svg").read_text()))
    for path in (assets.STATIC / "app").glob("*.js"):
        text = path.read_text()
        for name in re.findall(r'(?:from|import)\s*\(?"(\.[^"]+)"', text):
            assert (path.parent / name).resolve().is_file(), f"{path.name}: {name}"
        for name in re.findall(r'icon[=:]\s*"([\w-]+)"', text):
            assert name in icons, f"{path.name}: {name}"
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySetInnerHTML|\beval\(|new Function", text
        )
        assert "http://" not in text.replace("http://www.w3.org/", ""), path.name


def test_the_stream_hears_every_kind_of_event_that_there_is() -> None:
    listed = re.search(r"const KINDS = \[(.*?)\];", (assets.STATIC / "app/stream.js").read_text(), re.DOTALL)
    assert listed is not None
    assert set(re.findall(r'"(\w+)"', listed[1])) == {*events.KINDS, "gap", "node"}


_SERVER_BYTES = len(
    "HTTP/1.1 200 OK\r\nServer: gunicorn\r\nDate: Sun, 29 Nov 2026 15:44:41 GMT\r\nConnection: keep-alive\r\n"
)


def test_the_first_view_is_within_its_budget(tmp_path: Path) -> None:
    node.establish(tmp_path, "n", "e7")  # what it adds to an answer is sent as well
    ask = Caller(tmp_path, furnished())
    page = ask("GET", "/", headers={**PAGE, "Accept-Encoding": "gzip"})
    text = gzip.decompress(page.data).decode()
    asked = dict.fromkeys(re.findall(r'(?:href|src)="(/static/[^"]+\.(?:js|css))"', text))
    icon = re.search(r'rel="icon" href="([^"]+)"', text)
    assert icon is not None
    answers = {path: ask("GET", path, headers={"Accept-Encoding": "gzip"}) for path in [*asked, icon[1]]}
    sizes = {path: len(answer.data) for path, answer in answers.items()}
    sent = [len(answer.data) + len(str(answer.headers)) + _SERVER_BYTES for answer in (page, *answers.values())]
    assert len(sent) <= 12, sizes
    assert sum(sent) < 60_000, (sum(sent), sizes)
    assert sizes[f"/static/{assets.version()}/app.css"] < 16_000
    first = set(assets.FIRST)
    for name in first - {"vendor/preact.js"}:
        source = (assets.STATIC / name).read_text()
        for found in re.findall(r'^(?:import|export)[^"]*from "(\.[^"]+)"', source, re.MULTILINE):
            target = (assets.STATIC / name).parent.joinpath(found).resolve().relative_to(Path(assets.STATIC).resolve())
            assert str(target) in first, f"{name} imports {target}, which is not fetched beside it"


def test_a_module_is_sent_without_what_is_for_readers_and_with_all_that_runs() -> None:
    for path in (assets.STATIC / "app").glob("*.js"):
        sent = assets.asset(f"app/{path.name}")
        assert sent is not None
        lines = sent.body.decode().splitlines()
        assert not [line for line in lines if re.search(r"^\s*(//|/\*\*.*\*/$)|; //[^\"'`]*$", line)], path.name
        comment = False
        for line in path.read_text().splitlines():
            comment = comment or bool(re.match(r"\s*/\*\*", line))
            if not comment and not re.match(r"\s*//", line):
                assert re.fullmatch(re.escape(lines.pop(0)) + r"( //.*)?", line.lstrip(" ")), path.name
            comment = comment and not line.endswith("*/")
        assert not lines, path.name


_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_TOKEN = re.compile(r"""(?P<none>\s+|//[^\n]*|/\*.*?\*/)|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[\w$]+|.""", re.DOTALL)
_RULE = re.compile(r"/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/")
_BEHIND_A_VALUE = re.compile(r"[\w$)\]}`]$")


def tokens(source: str) -> list[str]:
    """A module as a browser reads it: without comments and space, but with the space in its texts, save that before the
    lines of `html`, which draws none."""
    found: list[str] = []
    within: list[str] = []
    at = 0
    while at < len(source):
        if within and within[-1] != "{":
            text = _TEMPLATE.match(source, at)
            assert text is not None
            found.append(re.sub(r"\n +", "\n", text[0]) if within[-1] == "`html" else text[0])
            ends = source[text.end()] == "`"
            within.pop() if ends else within.append("{")
            found.append("`" if ends else "${")
            at = text.end() + (1 if ends else 2)
            continue
        rule = source[at] == "/" and not (found and (_BEHIND_A_VALUE.search(found[-1]) and found[-1] != "return"))
        token = (_RULE if rule and source[at : at + 2] not in ("//", "/*") else _TOKEN).match(source, at)
        assert token is not None, source[at : at + 40]
        at = token.end()
        if token.lastgroup == "none":
            continue
        if token[0] == "`":
            within.append("`" + (found[-1] if found else ""))
        elif token[0] == "{":
            within.append("{")
        elif token[0] == "}":
            within.pop()
        found.append(token[0])
    return found


def test_a_module_that_is_sent_is_the_program_that_was_written() -> None:
    for path in (assets.STATIC / "app").glob("*.js"):
        sent = assets.asset(f"app/{path.name}")
        assert sent is not None
        assert tokens(sent.body.decode()) == tokens(path.read_text()), path.name
    assert tokens("a(`x\n  y`)") != tokens("a(`x\ny`)")
    assert tokens("a(html`<p>${{b: /`/}}\n  </p>`) // c") == tokens("a(html`<p>${{b:/`/}}\n</p>`)")


def test_what_a_stylesheet_quotes_is_sent_as_it_was_written() -> None:
    quoted = re.compile(r"""\"[^\"]*\"|'[^']*'|url\([^)]*\)""")
    written = "".join(
        re.sub(r"/\*.*?\*/", "", (assets.STATIC / name).read_text(), flags=re.S) for name in assets.STYLES
    )
    sent = assets.asset("app.css")
    assert sent is not None
    assert quoted.findall(sent.body.decode()) == quoted.findall(written.replace('@import url("tokens.css");', ""))


def test_every_call_that_the_views_make_is_one_that_there_is(ask: Caller) -> None:
    rules = [re.sub(r"<[^>]+>", "[^/]+", call.path) for call in calls.CALLS]
    queries = {
        call.path: set(call.query.__struct_encode_fields__)
        for call in calls.CALLS
        if call.query and "<" not in call.path
    }
    for path in (assets.STATIC / "app").glob("*.js"):
        for found in re.findall(r"[\"`](/api/[^\"`\s]*)[\"`]", path.read_text()):
            plain, _, query = re.sub(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", "x", found).partition("?")
            assert any(
                re.fullmatch(rule, plain.removesuffix("x") if plain.endswith("eventsx") else plain) for rule in rules
            ), found
            if plain in queries and query:
                assert {part.partition("=")[0] for part in query.split("&")} <= queries[plain], found
