"""The demo model over real sockets: streaming, gates, failures, the control surface, and a clean stop."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.home import demo_environment, prepare_home
from demo.server import DemoModel
from tests.harness import PATIENCE, until


@pytest.fixture
def model() -> Iterator[DemoModel]:
    with DemoModel() as running:
        yield running


def body(prompt: str, stream: bool = True, session: str = "s-1") -> dict[str, Any]:
    return {
        "model": "claude-demo",
        "stream": stream,
        "tools": [{"name": "Bash"}],
        "metadata": {"user_id": json.dumps({"session_id": session})},
        "messages": [{"role": "user", "content": [{"type": "text", "text": prompt}]}],
    }


class Client:
    """One keep-alive connection."""

    def __init__(self, model: DemoModel) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", model.port, timeout=PATIENCE)

    def request(self, method: str, path: str, value: Any = None, **headers: str) -> tuple[int, bytes]:
        raw = json.dumps(value).encode() if value is not None else None
        self.connection.request(method, path, raw, headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def ask(self, prompt: str, **more: Any) -> tuple[int, str]:
        """Status, and the reply's text or the error's type."""
        status, raw = self.request("POST", "/v1/messages?beta=true", body(prompt, **more))
        if status != 200:
            return status, json.loads(raw)["error"]["type"]
        if not more.get("stream", True):
            return status, "".join(block["text"] for block in json.loads(raw)["content"])
        events = [json.loads(line[6:]) for line in raw.decode().splitlines() if line.startswith("data: ")]
        assert events[-1]["type"] == "message_stop"
        return status, "".join(event.get("delta", {}).get("text", "") for event in events)


@pytest.fixture
def client(model: DemoModel) -> Client:
    return Client(model)


@pytest.mark.parametrize("stream", [True, False])
def test_echo_is_exact_over_the_wire(client: Client, stream: bool) -> None:
    text = "# Zeile\n\n日本語 👩\u200d💻 " * 700 + "end"
    assert client.ask(f"echo: {text}", stream=stream) == (200, text)


def test_turns_hold_the_prompt_as_received(model: DemoModel, client: Client) -> None:
    client.ask('\n\n<pasted_content id="a">\nhi\n</pasted_content id="a">\n')
    client.ask("again", session="s-2")
    client.request("POST", "/v1/messages", {**body("<session>x</session>"), "tools": []})
    first, second = model.turns()
    assert (first.text, first.prompt[:3], first.conversation, first.index, first.attempt) == (
        "hi",
        "\n\n<",
        "s-1",
        0,
        1,
    )
    assert (second.prompt, second.model, second.conversation) == ("again", "claude-demo", "s-2")
    assert [request.kind for request in model.requests()] == ["turn", "turn", "side"]


def test_a_gate_holds_until_it_is_released(model: DemoModel, client: Client) -> None:
    answers: list[tuple[int, str]] = []
    waiting = threading.Thread(target=lambda: answers.append(client.ask("[[gate g]] [[say through]]")))
    waiting.start()
    assert model.wait_for_gate("g", PATIENCE)
    assert not answers
    assert model.gates() == {"g": 1}
    assert model.release("g") == 1
    waiting.join(PATIENCE)
    assert answers == [(200, "through")]


def test_a_release_before_arrival_lets_one_request_through(model: DemoModel, client: Client) -> None:
    assert model.release("g") == 0
    assert client.ask("[[gate g]] [[say through]]") == (200, "through")
    assert not model.wait_for_gate("g", 0)


def test_a_midgate_has_sent_half_of_the_text(model: DemoModel, client: Client) -> None:
    client.connection.request("POST", "/v1/messages", json.dumps(body("[[midgate g]] [[say aaaabbbb]]")))
    response = client.connection.getresponse()
    assert model.wait_for_gate("g", PATIENCE)
    half = response.read1(65536)
    assert b"aaaa" in half
    assert b"bbbb" not in half
    model.release("g")
    assert b"bbbb" in response.read()


def test_a_client_that_leaves_frees_the_gate(model: DemoModel, client: Client) -> None:
    client.connection.request("POST", "/v1/messages", json.dumps(body("[[gate g]]")))
    assert model.wait_for_gate("g", PATIENCE)
    client.connection.close()
    until(lambda: not model.gates(), "the gate is free")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ],
)
def test_errors_have_the_real_shape(client: Client, status: int, error: str) -> None:
    assert client.ask(f"[[status {status}]]") == (status, error)


def test_limited_failures_count_per_request(model: DemoModel, client: Client) -> None:
    assert [client.ask("[[status 529 x2]] [[say up]]")[0] for _ in range(3)] == [529, 529, 200]
    assert client.ask("[[status 529 x2]] [[say up]]", session="s-2")[0] == 529
    assert [turn.attempt for turn in model.turns()] == [1, 2, 3, 1]


def test_ordered_failures_spare_side_requests(model: DemoModel, client: Client) -> None:
    model.fail_next(429, times=2, retry_after=7)
    assert client.request("POST", "/v1/messages", {**body("<session>x</session>"), "tools": []})[0] == 200
    client.connection.request("POST", "/v1/messages", json.dumps(body("x")))
    response = client.connection.getresponse()
    assert (response.status, response.headers["retry-after"]) == (429, "7")
    response.read()
    assert [client.ask("x")[0] for _ in range(2)] == [429, 200]


def test_a_dropped_stream_ends_without_its_end(client: Client) -> None:
    client.connection.request("POST", "/v1/messages", json.dumps(body("[[drop]] [[say aaaabbbb]]")))
    with pytest.raises(http.client.IncompleteRead):
        client.connection.getresponse().read()


def test_a_spread_reply_takes_its_time_in_many_pieces(client: Client) -> None:
    started = time.monotonic()
    assert client.ask("[[stream 0.3]] [[say 0123456789]]") == (200, "0123456789")
    assert 0.25 < time.monotonic() - started < PATIENCE


def test_control_from_another_process(client: Client) -> None:
    assert client.request("GET", "/_demo/health") == (200, b'{"ok": true}')
    assert client.request("POST", "/_demo/release/g%201")[0] == 200
    assert client.request("GET", "/_demo/gates") == (200, b"{}")
    assert client.request("POST", "/_demo/fail", {"status": 529, "times": 1})[0] == 200
    assert client.request("POST", "/_demo/fail", {"status": 200})[0] == 400
    assert [client.ask("hé")[0] for _ in range(2)] == [529, 200]
    turns = json.loads(client.request("GET", "/_demo/turns")[1])
    assert [turn["prompt"] for turn in turns] == ["hé", "hé"]


def test_probes_counts_and_unknown_paths(client: Client) -> None:
    assert client.request("GET", "/")[0] == 200
    assert client.request("HEAD", "/") == (200, b"")
    assert json.loads(client.request("POST", "/v1/messages/count_tokens", body("x"))[1])["input_tokens"] > 0
    status, raw = client.request("GET", "/v1/nothing")
    assert (status, json.loads(raw)["error"]["type"]) == (404, "not_found_error")


def test_bodies_may_be_chunked_or_compressed(model: DemoModel, client: Client) -> None:
    raw = json.dumps(body("echo: x", stream=False)).encode()
    client.connection.request("POST", "/v1/messages", iter([raw[:9], raw[9:]]), encode_chunked=True)
    assert json.loads(client.connection.getresponse().read())["content"][0]["text"] == "x"
    client.connection.request("POST", "/v1/messages", gzip.compress(raw), {"content-encoding": "gzip"})
    assert json.loads(client.connection.getresponse().read())["content"][0]["text"] == "x"
    client.connection.request("POST", "/v1/messages", b"not json")
    assert client.connection.getresponse().status == 400


def test_a_rebound_name_is_refused(client: Client) -> None:
    assert client.request("GET", "/_demo/turns", None, host="evil.example")[0] == 403


def test_twenty_clients_are_served_at_once(model: DemoModel) -> None:
    answers: list[tuple[int, str]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(Client(model).ask("[[gate g]] [[say ok]]"))) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    until(lambda: model.gates() == {"g": 20}, "all of them stand at the gate")
    assert model.release("g") == 20
    for thread in threads:
        thread.join(PATIENCE)
    assert answers == [(200, "ok")] * 20


def test_stop_ends_waiting_requests_and_frees_the_port() -> None:
    model = DemoModel()
    model.start()
    port = model.port
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        raw = json.dumps(body("[[gate g]]")).encode()
        connection.sendall(
            b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(raw) + raw
        )
        assert model.wait_for_gate("g", PATIENCE)
        model.stop()
        model.stop()
        assert connection.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_prepared_home_keeps_what_is_there(tmp_path: Path) -> None:
    home, first, second = tmp_path / "home", tmp_path / "one", tmp_path / "two"
    prepare_home(home, [first])
    prepare_home(home, [second])
    state = json.loads((home / ".claude.json").read_text())
    assert state["hasCompletedOnboarding"] is True
    assert all(state["projects"][str(path)]["hasTrustDialogAccepted"] for path in (first, second))
    assert json.loads((home / ".claude" / "settings.json").read_text())["tui"] == "default"


def test_a_home_without_onboarding_shows_the_first_dialogs(tmp_path: Path) -> None:
    prepare_home(tmp_path, onboarded=False)
    assert "hasCompletedOnboarding" not in json.loads((tmp_path / ".claude.json").read_text())


def test_the_environment_names_nothing_but_the_demo(tmp_path: Path) -> None:
    environment = demo_environment(tmp_path, "http://127.0.0.1:1")
    assert environment["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:1"
    assert "PATH" not in environment
    assert "TERM" not in environment
