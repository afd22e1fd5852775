"""What a prompt may mention. That the CLI takes exactly these forms for a path is tests/real/test_mentions.py."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.access.bus_keys import BusClientKey
from shared.bus.messages import Request
from shared.config import ChatConfig, Config
from shared.errors import Forbidden
from shared.paths import resolve
from supervisor.bus.access import permit
from supervisor.claude.texts import mentions
from supervisor.session import mention_rules
from supervisor.session.mention_rules import Reach
from supervisor.store.options import LaunchOptions

OWN = "8f18b2f1-c3d4-4b4e-9059-4ce12da03470"


@pytest.fixture
def reach(tmp_path: Path) -> Reach:
    for name in ("project/sub", "added", "outside", "home"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "outside" / "file").write_text("x")
    (tmp_path / "project" / "link").symlink_to(tmp_path / "outside")
    paths = resolve({"PILOTLIGHT_HOME": str(tmp_path / "pl")})
    return Reach.of(
        paths, OWN, str(tmp_path / "project"), tmp_path / "home", LaunchOptions(add_dirs=(str(tmp_path / "added"),))
    )


def code(reach: Reach, text: str, confined: bool = True, rule: str = "project") -> str | None:
    config = Config(chat=ChatConfig(mentions=rule))  # type: ignore[arg-type]
    try:
        mention_rules.check(config, lambda: reach, text, confined)
    except Forbidden as error:
        return error.error_code
    return None


def outside(tmp_path: Path) -> list[str]:
    file = f"{tmp_path}/outside/file"
    return [
        f"see @{file}, please",
        f'"quoted" @"{file}"',
        f'@" {file}"',
        f'@"\n{file}"',
        f"@{file}#L2-4",
        f"@{file}#a#b",
        f"你好。@{file}",
        f"what？@{file}é",
        f"no-break\xa0@{file}",
        "@../outside/file",
        "@sub/../../outside/file",
        "@link/file",
        "@~/.ssh/id_rsa",
        '@"~"',
        '@"/"',
        "@/proc/self/root/etc/passwd",
    ]


def test_whatever_leads_out_of_the_project_is_refused_to_whoever_may_not_answer(reach: Reach, tmp_path: Path) -> None:
    for text in outside(tmp_path):
        elsewhere = "/proc" in text
        assert code(reach, text) == ("mention_of_secret" if elsewhere else "mention_outside"), text
        assert code(reach, text, confined=False) == ("mention_of_secret" if elsewhere else None), text
        assert code(reach, text, confined=False, rule="refuse") is not None, text
        assert code(reach, text, rule="anywhere") == ("mention_of_secret" if elsewhere else None), text


def test_what_is_inside_and_what_is_no_mention_goes_on_as_before(reach: Reach, tmp_path: Path) -> None:
    attached = reach.paths.session_dir(OWN) / "attachments" / "m" / "a.txt"
    for text in (
        "@sub/file and @sub/../sub/file#L2",
        f"@{tmp_path}/project/sub and @{tmp_path}/added/x.py",
        f'@"{attached}"',
        "mail ada@example.org, `@/etc/passwd`, (@/etc/passwd), x:@/etc/passwd",
        "import x from '@/lib/x' and @babel/core",
        "an alias: @/no-such-folder/Button.tsx",
        '@"/etc/passwd',
        "@",
    ):
        for rule in ("project", "anywhere", "refuse"):
            assert code(reach, text, rule=rule) is None, (text, rule)


def test_secrets_are_refused_to_everybody_in_every_mode(reach: Reach, tmp_path: Path) -> None:
    home = reach.paths.home
    home.mkdir()
    (home / "token").write_text("t")
    (tmp_path / "project" / "t").symlink_to(home / "token")
    other = reach.paths.sessions_dir / "9f18" / "hooks.log"
    for text in (f"@{home}/token", "@t", f"@{other}", "@../pl/pilotlight.db"):
        for rule in ("project", "anywhere", "refuse"):
            assert code(reach, text, confined=False, rule=rule) == "mention_of_secret", (text, rule)


def test_a_name_counts_from_the_folder_that_claude_is_in(reach: Reach, tmp_path: Path) -> None:
    (tmp_path / "project" / "sub" / "up").symlink_to(tmp_path / "outside")
    assert code(reach, "@up/file") is None  # nothing of that name in the project
    moved = Reach.of(
        reach.paths, OWN, str(tmp_path / "project"), tmp_path, LaunchOptions(), str(tmp_path / "project" / "sub")
    )
    assert code(moved, "@up/file") == "mention_outside"


def test_how_far_a_session_reaches_is_not_asked_for_a_text_that_mentions_nothing() -> None:
    def asked() -> Reach:
        raise AssertionError("looked at the disk")

    for text in ("message", "ada@example.org", "@", "x" * 10_000):
        mention_rules.check(Config(), asked, text, True)


@given(st.text(alphabet='@"/. #~é。a\n', max_size=60))
def test_any_text_is_read_without_error(text: str) -> None:
    for name in mentions.names(text):
        mentions.candidates(name, [Path("/nowhere")], Path("/home/ada"))


def test_a_long_text_full_of_signs_is_read_at_once() -> None:
    began = time.monotonic()
    for text in (
        "。@" * 45_000,
        "@" + "é" * 90_000 + "a é",
        '@"' * 45_000,
        "@a" + "é" * 90_000,
        "@é " * 30_000,
        "@" * 90_000,
    ):
        list(mentions.names(text))
    assert time.monotonic() - began < 5


def test_a_key_below_answer_is_confined_whatever_it_asks_for() -> None:
    for scope, confined in (("chat", True), ("answer", None), ("admin", None)):
        client = BusClientKey(name="n", scope=scope, public_key="k", created_at=0)  # type: ignore[arg-type]
        request = Request(v=1, id="1", op="message.send", args={"text": "x"}, actor="key:n")
        assert permit(request, client).args.get("confined") is confined
    forged = Request(v=1, id="1", op="message.send", args={"text": "x", "confined": False}, actor="key:n")
    client = BusClientKey(name="n", scope="chat", public_key="k", created_at=0)
    assert permit(forged, client).args["confined"] is True
