"""The API described by its own code: complete, true (schemathesis finds nothing), and readable without a network."""

from __future__ import annotations

import io
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import positive_data_acceptance

from api.http import forms
from api.reference import calls, descriptions, openapi, page, vocabulary
from api.reference.call import BYTES, ID, MESSAGE_ID, Call
from api.reference.portable import portable
from api.terminals import messages
from shared.access.tokens import SCOPES
from tests.api_caller import Caller
from tests.api_double import FakeSupervisor

EXAMPLES = int(os.environ.get("PILOTLIGHT_EXAMPLES", "6"))


def furnished() -> FakeSupervisor:
    """With the session and the message that the examples name."""
    supervisor = FakeSupervisor()
    waiting = {"id": "w1", "for": "trust", "title": "Trust?", "text": "…", "choices": [], "since": 1}
    supervisor.add_session(id=ID, state="waiting", waiting=waiting)
    supervisor.messages[MESSAGE_ID] = {
        "id": MESSAGE_ID, "sessionId": ID, "state": "queued", "text": "x", "createdAt": 1,
        "steps": {"accepted": 1},
    }  # fmt: skip
    return supervisor


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Caller:
    return Caller(tmp_path_factory.mktemp("home"), furnished(), rate_per_minute=0)


@pytest.fixture(scope="module")
def document(ask: Caller) -> Any:
    return ask("GET", "/api/openapi.json", headers={"Authorization": None}).json


@pytest.fixture(scope="module")
def api_schema(ask: Caller) -> Any:
    # Beside its own list: what is too long is refused with 413.
    refused = ["400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429", "5xx"]
    config = schemathesis.Config.from_dict({"checks": {"negative_data_rejection": {"expected-statuses": refused}}})
    return schemathesis.openapi.from_wsgi("/api/openapi.json", ask.app, config=config)


CASES = [
    pytest.param(call, mode, id=f"{mode.value} {call.method} {call.path}")
    for call in calls.CALLS
    for mode in GenerationMode
    if (mode is GenerationMode.POSITIVE or call.query or call.body or "<id>" in call.path)
    and not (mode is GenerationMode.POSITIVE and 101 in call.answers)  # a WebSocket, and schemathesis speaks plain HTTP
]


@pytest.mark.parametrize(("call", "mode"), CASES)
def test_schemathesis_finds_nothing(call: Call, mode: GenerationMode, api_schema: Any, ask: Caller) -> None:
    operation = api_schema[re.sub(r"<(\w+)>", r"{\1}", call.path)][call.method]

    @settings(
        max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate], database=None,
        suppress_health_check=list(HealthCheck), derandomize=True,
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Case) -> None:
        # Which settings exist, and how they limit each other, is the supervisor's word and in no schema.
        # Nor is it in a schema which code signs a browser in.
        spared = [positive_data_acceptance] if call.path in ("/api/settings", "/api/sign-in") else []
        case.call_and_validate(headers={"Authorization": f"Bearer {ask.token}"}, excluded_checks=spared)

    check()


def test_every_route_is_in_the_table_and_has_a_scope(ask: Caller) -> None:
    routes = {
        (method, rule.rule)
        for rule in ask.app.url_map.iter_rules()
        if rule.endpoint == "web.index" or not rule.endpoint.startswith("web.")  # pages and files are no calls
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert routes == {(call.method, call.path) for call in calls.CALLS}
    assert {call.scope for call in calls.CALLS} <= {None, *SCOPES}
    public = {call.path for call in calls.CALLS if call.scope is None}
    links = "/api/notifications/links/<token>"
    assert public == {"/", "/health", "/api/docs", "/api/openapi.json", "/api/sign-in", links}


def test_every_call_is_described_with_errors_and_examples(document: Any) -> None:
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"].endswith("."), where
            assert {"403", "500"} <= set(operation["responses"]), where
            if operation["x-scope"]:
                assert "401" in operation["responses"], where
            content = operation.get("requestBody", {}).get("content", {BYTES: {}})
            assert BYTES in content or "example" in content["application/json"], where
    names = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(names) == len(set(names))
    for response in document["components"]["responses"].values():
        example = response["content"]["application/json"]["example"]
        assert {"success", "error", "code", "type", "title", "status", "detail"} <= set(example)


def test_a_form_is_described_where_one_is_taken_and_its_example_is_accepted(ask: Caller, document: Any) -> None:
    rules = {(method, rule.rule): rule for rule in ask.app.url_map.iter_rules() for method in rule.methods or ()}
    taken = set()
    for call in calls.CALLS:
        view: Any = ask.app.view_functions[rules[call.method, call.path].endpoint]
        operation = document["paths"][re.sub(r"<(\w+)>", r"{\1}", call.path)][call.method.lower()]
        content = operation.get("requestBody", {}).get("content", {})
        assert (forms.FORM in content) is bool(getattr(view, "multipart", False)), call.path
        if forms.FORM in content:
            taken.add(call.path)
            schema = document["components"]["schemas"][content[forms.FORM]["schema"]["$ref"].rpartition("/")[2]]
            example = content[forms.FORM]["example"]
            assert set(example) <= set(schema["properties"])
            fields = {**example, "file": [(io.BytesIO(b"text"), name) for name in example["file"]]}
            headers = {"Authorization": f"Bearer {ask.token}"}
            path = call.path.replace("<id>", ID)
            answer = ask.app.test_client().post(path, data=fields, content_type=forms.FORM, headers=headers)
            assert answer.status_code in (200, 202), answer.json
            assert [item.name for item in ask.supervisor.last("message.send").attachments] == example["file"]
    assert taken == {"/api/chat", "/api/sessions/<id>/messages"}


def test_the_words_of_the_terminal_are_described(ask: Caller, document: Any) -> None:
    words = document["paths"]["/api/sessions/{id}/terminal"]["get"]["x-websocket"]
    text = ask("GET", "/api/docs", headers={"Authorization": None}).get_data(as_text=True)
    for way, kinds in (("received", messages.RECEIVED), ("sent", messages.SENT)):
        names = [word["$ref"].rpartition("/")[2] for word in words[way]]
        assert names == [kind.__name__ for kind in kinds]
        assert all(f'href="#schema-{name}"' in text for name in names)


def test_the_folders_that_are_sent_in_examples_are_there_on_any_machine(document: Any) -> None:
    bodies = [
        content["example"]
        for methods in document["paths"].values()
        for operation in methods.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
        if isinstance(content.get("example"), dict)
    ]
    folders = {body[name] for body in bodies for name in ("projectPath", "cwd", "folder") if name in body}
    assert folders
    assert [folder for folder in folders if not Path(folder).is_dir()] == []


def test_every_answer_has_an_example_that_its_schema_accepts(document: Any) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                for kind, media in response.get("content", {}).items():
                    where = f"{method} {path} {status} {kind}"
                    if status == "101" or (path.endswith(("/screen", "/export")) and "example" not in media):
                        continue  # a WebSocket; other forms of what has an example
                    assert "example" in media, where
                    if kind == "application/json":
                        schema = {**media["schema"], "components": document["components"]}
                        jsonschema_rs.validate(schema, media["example"])


def test_every_reference_leads_somewhere(document: Any) -> None:
    text = repr(document)
    for kind, name in set(re.findall(r"'#/components/(\w+)/(\w+)'", text)):
        assert name in document["components"][kind], name


def test_everything_is_described(document: Any) -> None:
    """To mend: say it in `api/reference/descriptions.py` or `vocabulary.py`, or take out what is said there of nothing."""
    members = {
        f"{name}.{member}": said
        for name, schema in document["components"]["schemas"].items()
        for member, said in schema.get("properties", {}).items()
    }
    parameters = {
        f"{method.upper()} {path}?{parameter['name']}": parameter
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        for parameter in operation["parameters"]
    }
    silent = [name for name, said in {**members, **parameters}.items() if not said.get("description")]
    assert silent == []
    assert [name for name in descriptions.OF if name not in {**members, **parameters}] == []
    names = {name.rpartition(".")[2] for name in members} | {name.rpartition("?")[2] for name in parameters}
    assert [name for name in vocabulary.MEMBERS if name not in names] == []


def test_the_document_says_things_in_ways_that_every_generator_knows(document: Any) -> None:
    assert portable(document) == document
    for name, schema in document["components"]["schemas"].items():
        properties = schema.get("properties", {})
        # A class of this name and its member would be one variable.
        assert re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower() not in map(str.lower, properties), name
        assert not {"anyOf", "oneOf"} & set(schema), name
    for path, methods in document["paths"].items():
        named = set(re.findall(r"{(\w+)}", path))
        for operation in methods.values():
            assert {part["name"] for part in operation["parameters"] if part["in"] == "path"} == named, path
    kinds = document["paths"]["/api/chat"]["post"]["responses"]["200"]["content"]
    assert list(kinds) == ["application/json"]


@pytest.mark.parametrize(
    ("schema", "accepted", "refused"),
    [
        ({"enum": [True]}, [True], [False, 1, None]),
        ({"enum": ["a", "b", None]}, ["a", None], ["c", 1]),
        ({"enum": [None, 3]}, [3, None], ["3", 4]),
        ({"type": "array"}, [[], [1, "a"]], ["a", None]),
        (
            {"type": "array", "prefixItems": [{"type": "integer"}] * 2, "items": False, "minItems": 2, "maxItems": 2},
            [[1, 2]],
            [[1], [1, 2, 3], ["a", 2]],
        ),
        ({"properties": {"enum": {"enum": [1]}, "type": {"type": "array"}}}, [{"enum": 1, "type": []}], [{"enum": 2}]),
    ],
)
def test_the_portable_form_accepts_the_same(schema: Any, accepted: list[Any], refused: list[Any]) -> None:
    form = portable(schema)
    assert form != schema
    for made in (schema, form):
        assert all(jsonschema_rs.is_valid(made, value) for value in accepted)
        assert not any(jsonschema_rs.is_valid(made, value) for value in refused)


PRIVATE_NAMES = """
    Asked Away Backwards Bill Body Chat Commanded Delivered Done Door Elsewhere Extend Form Found House Input Invite Invited
    KeptAlive Listing Look Me Nothing OneScreen OneSession Open Origin Page Place Post Queue Question Record Recorded Refusal
    Release Since Steal Terminated Wanted Wish Word Writer
    """
"""Words that say nothing to who reads them without our code: as a whole name, or before an ending that we give to many."""

SAYING = {"Chat", "Record", "Error"}
"""What says enough before such an ending: `ChatRequest`, `ErrorBody`."""

PRIVATE_PARTS = """
    backwards bill book chore chores deaths door elsewhere grab hold house household identity journal logbook nothing origin place
    pulse remains rest restful room rooms salvage sight stray strays talk visit wish word
    """
"""Words that may be in no public name."""


def told_privately(name: str) -> bool:
    stem = re.sub(r"(Body|Form|Request|Query|Result)+$", "", name)
    parts = {part.lower() for part in re.findall(r"[A-Z][a-z]*|[a-z]+", name)}
    names = set(PRIVATE_NAMES.split())
    return name in names or stem in names - SAYING or not parts.isdisjoint(PRIVATE_PARTS.split())


@pytest.mark.parametrize(
    "name", ["WishBody", "PlaceBody", "PostBodyForm", "Look", "Open", "NothingRequest", "OriginSession"]
)
def test_a_private_word_is_known_for_one(name: str) -> None:
    assert told_privately(name)


def test_no_public_name_is_private_language(document: Any) -> None:
    types = {kind for call in calls.CALLS for kind in (call.query, call.body and call.body.kind) if kind is not None}
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    public = {
        *document["components"]["schemas"],
        *(kind.__name__ for kind in types if kind.__module__.startswith("api.")),
        *(tag["name"] for tag in document["tags"]),
        *(operation["operationId"] for operation in operations),
    }
    assert sorted(filter(told_privately, public)) == []


def test_every_error_that_can_be_raised_has_an_example() -> None:
    from shared.errors import BY_STATUS

    assert set(BY_STATUS) <= set(openapi.ERRORS)


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        assert not {name for name in found if name.startswith("on") or name == "style"}
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        if found.get("id"):
            self.names.add(found["id"] or "")


def test_the_page_needs_nothing_but_itself(ask: Caller, document: Any) -> None:
    answer = ask("GET", "/api/docs", headers={"Authorization": None})
    text = answer.get_data(as_text=True)
    seen = Page()
    seen.feed(text)

    assert (answer.status_code, answer.mimetype) == (200, "text/html")
    policy = answer.headers["Content-Security-Policy"]
    assert policy == page.POLICY
    assert "unsafe" not in policy
    assert "script-src" not in policy
    assert not {"script", "link", "img", "iframe", "form"} & set(seen.tags)
    assert {link for link in seen.links if not link.startswith("#")} == {"/api/openapi.json"}
    assert {link[1:] for link in seen.links if link.startswith("#")} <= seen.names
    for path in document["paths"]:
        assert path in text
