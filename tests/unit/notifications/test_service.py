"""From the journal to a recipient: told once, whenever the supervisor ends, never at the first start; failures are told of; one
that hangs keeps nobody waiting; links answer once; replies go to whoever left a token."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.bus.messages import Request
from shared.bus.notifications import Rules
from shared.bus.service_requests import AddRecipient, NoticeReceipt, RecipientRef, SetPresence, UpdateRecipient
from shared.config import ApnsConfig, NotifyChannel, NotifyConfig
from shared.errors import Conflict, Forbidden, NotFound
from supervisor.bus.operations.notifications import NotificationOps
from supervisor.notifications import outbox as outbox_module
from supervisor.notifications import rules as rules_module
from supervisor.notifications.channels.contract import Barred
from supervisor.notifications.channels.encryption import encode, public_bytes
from supervisor.notifications.links import LINK_SECONDS, Links
from supervisor.notifications.recipient import Recipient
from supervisor.notifications.recipients import id_of
from supervisor.notifications.rules import Notice
from supervisor.notifications.service import FAILED, Notifications
from supervisor.store.records import MessageRecord, SessionRecord
from supervisor.store.store import Store
from tests.harness import PATIENCE
from tests.push_double import HANG, Answer, Double, push_service
from tests.unit.notifications.test_web_push import decrypt

LOG = logging.getLogger("notifications")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules_module, "SETTLE_MS", {})
    monkeypatch.setattr(rules_module, "SHORT_MS", 1)
    monkeypatch.setattr(outbox_module, "FIRST_RETRY_SECONDS", 0.05)
    monkeypatch.setattr(outbox_module, "bounded", lambda after: after)


class Bench:
    """One supervisor's notifications after the other, over the same database, with one webhook."""

    def __init__(self, store: Store, folder: Path, double: Double, **config: Any) -> None:
        self.store, self.folder, self.double = store, folder, double
        hook = NotifyChannel(name="hook", kind="webhook", url=f"{double.url}/hook")
        given = {"channels": [hook], "contact": "mailto:ada@example.org", "push_hosts": ["localhost"], **config}
        self.config = NotifyConfig(private_hosts=["localhost"], ca_file=double.ca_file, **given)
        self.service = self.make()

    def make(self) -> Notifications:
        service = Notifications(
            self.store, lambda: self.config, lambda _: None, self.folder / "push-key.pem", "node", LOG
        )
        self.store.publish = service.offer
        service.seed({})
        return service

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Notifications]:
        self.service = self.make()
        task = asyncio.create_task(self.service.run())
        try:
            yield self.service
        finally:
            task.cancel()
            await asyncio.wait([task])

    def asks(self, session: str, identity: str = "w1") -> None:
        data = {"for": "permission", "id": identity, "title": "Claude asks to use Bash"}
        self.store.append("waiting", session, data)

    def notices(self, recipient: str | None = None) -> list[Notice]:
        import msgspec

        return [msgspec.json.decode(body, type=Notice) for body in self.store.notifications.notices(100, recipient)]

    def told(self) -> list[str]:
        return [json.loads(seen.body)["title"] for seen in self.double.seen]


@pytest.fixture
async def bench(store: Store, tmp_path: Path) -> AsyncIterator[Bench]:
    async with push_service(tmp_path) as double:
        yield Bench(store, tmp_path, double)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not (value := condition()):
            await asyncio.sleep(0.005)
    return value


async def test_what_waits_is_told_once_and_nothing_from_before_the_first_start(bench: Bench, store: Store) -> None:
    async with bench.running():
        bench.asks("s2")
        await until(lambda: bench.notices() and bench.notices()[0].state == "told")
    async with bench.running():
        bench.asks("s3")
        await until(lambda: len([n for n in bench.notices() if n.state == "told"]) == 2)

    assert bench.told() == ["session s2 asks for permission", "session s3 asks for permission"]
    assert len({seen.headers["webhook-id"] for seen in bench.double.seen}) == 2


async def test_nothing_is_told_of_what_was_before_the_first_start(store: Store, tmp_path: Path) -> None:
    data = {"for": "permission", "id": "w0", "title": "x"}
    store.append("waiting", "s1", data)
    async with push_service(tmp_path) as double:
        bench = Bench(store, tmp_path, double)
        async with bench.running():
            bench.asks("s2")
            await until(lambda: double.seen)

        assert bench.told() == ["session s2 asks for permission"]


async def test_what_happened_while_the_supervisor_was_away_is_told_when_it_returns(bench: Bench) -> None:
    bench.asks("s1")
    async with bench.running():
        await bench.double.requests(1)

    assert bench.told() == ["session s1 asks for permission"]


async def test_a_restart_between_outbox_and_channel_loses_nothing_and_says_the_same_key(bench: Bench) -> None:
    bench.double.will(HANG, Answer())
    async with bench.running():
        bench.asks("s1")
        await bench.double.requests(1)
    assert [notice.state for notice in bench.notices()] == ["sending"]

    async with bench.running():
        await until(lambda: bench.notices()[0].state == "told")

    first, second = bench.double.seen
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert bench.store.notifications.outbox() == []


async def test_a_restart_after_the_channel_tells_nothing_again(bench: Bench) -> None:
    for _ in range(3):
        async with bench.running():
            if not bench.double.seen:
                bench.asks("s1")
            await until(lambda: bench.notices() and bench.notices()[0].state == "told")
            await asyncio.sleep(0)

    assert len(bench.double.seen) == 1


async def test_what_is_answered_elsewhere_is_withdrawn_where_it_was_told(bench: Bench) -> None:
    async with bench.running():
        bench.asks("s1")
        await until(lambda: bench.notices() and bench.notices()[0].state == "told")
        bench.store.append("answered", "s1", {"id": "w1", "for": "permission", "by": "token:laptop", "choice": "allow"})
        await bench.double.requests(2)

    withdrawal = json.loads(bench.double.seen[1].body)
    assert withdrawal["withdrawn"] is True
    assert withdrawal["title"] == "session s1: answered (allow) by token:laptop"
    assert (bench.notices()[0].state, bench.notices()[0].reason) == ("withdrawn", "answered (allow) by token:laptop")


async def test_the_badge_is_what_waits_now(bench: Bench) -> None:
    async with bench.running():
        for count, session in enumerate(("s1", "s2", "s3"), 1):
            bench.asks(session, f"w{count}")
            await bench.double.requests(count)
        bench.store.append("answered", "s1", {"id": "w1", "for": "permission", "by": "token:laptop", "choice": "allow"})
        await bench.double.requests(4)
        bench.store.append("expired", "s2", {"id": "w2", "for": "permission", "cause": "ended"})
        await bench.double.requests(5)

    badges = [json.loads(seen.body)["badge"] for seen in bench.double.seen]
    assert badges == [1, 2, 3, 2, 1]


async def test_a_channel_that_fails_is_told_once_and_stands_in_the_list_until_it_succeeds(bench: Bench) -> None:
    bench.double.will(Answer(403), Answer(403), Answer(200))
    async with bench.running() as service:
        for count in range(3):
            bench.asks(f"s{count}")
            state = "told" if count == 2 else "failed"
            await until(
                lambda count=count, state=state: [n.state for n in bench.notices()[: -count or None]] == [state]
            )
            failing = [(recipient.name, recipient.error) for recipient in service.failing()]
            assert failing == ([] if count == 2 else [("hook", "It answered 403")])

    events = [event.data for event in bench.store.events(0, 100, None, [FAILED])]
    assert [(data["recipient"], data["channel"], data["why"]) for data in events] == [
        ("hook", "webhook", "It answered 403")
    ]


async def test_a_channel_is_tried_again_until_it_takes_it(bench: Bench) -> None:
    bench.double.will(Answer(503), Answer(429, {"retry-after": "1"}), Answer(500), Answer(200))
    async with bench.running():
        bench.asks("s1")
        await until(lambda: bench.notices() and bench.notices()[0].state == "told")

    assert len({seen.headers["webhook-id"] for seen in bench.double.seen}) == 1
    assert len(bench.double.seen) == 4


async def test_a_browser_that_is_gone_is_forgotten_and_one_that_hangs_keeps_nobody_waiting(bench: Bench) -> None:
    browser = ec.generate_private_key(ec.SECP256R1())
    keys = {"p256dh": encode(public_bytes(browser.public_key())), "auth": encode(b"0123456789abcdef")}

    async with bench.running() as service:
        target = {"endpoint": f"{bench.double.url}/push/1", "keys": keys, "expirationTime": None}
        phone = service.recipients.register("webpush", "phone", target, None)
        again = service.recipients.register("webpush", "phone of Ada", target, None)
        service.changed(phone)
        assert (again.id, [d.name for d in service.recipients.all()]) == (phone.id, ["hook", "phone of Ada"])
        bench.double.will(HANG, Answer(201))  # whichever of the two comes first hangs
        bench.asks("s1")
        await bench.double.requests(2)
        await until(lambda: [n.state for n in bench.notices() if n.state == "told"])
        pushed = [seen for seen in bench.double.seen if seen.path == "/push/1"]
        assert json.loads(decrypt(pushed[0].body, browser, b"0123456789abcdef"))["session"] == "s1"

    bench.double.will(Answer(410))
    async with bench.running() as service:
        bench.asks("s2", "w2")
        await until(lambda: phone.id not in [recipient.id for recipient in service.recipients.all()])
        with pytest.raises(NotFound):
            service.recipients.get(phone.id)
    assert "r_" not in str(bench.store.notifications.outbox())


async def test_an_event_that_cannot_be_read_keeps_no_other_from_being_told(bench: Bench) -> None:
    async with bench.running():
        bench.store.append("warning", "s1", {"expiresInSeconds": "soon"})
        bench.asks("s2")
        await bench.double.requests(1)

    assert bench.told() == ["session s2 asks for permission"]


async def test_a_test_tells_each_hop_and_the_recipient_says_the_rest(bench: Bench) -> None:
    async with bench.running() as service:
        recipient = service.recipients.get("c_hook")
        result = await service.test(recipient)
        service.received(recipient, result.notice.key, "shown")
        bench.double.will(Answer(401, body=b"who are you"))
        refused = await service.test(recipient)

        assert (result.accepted, [hop["hop"] for hop in result.hops]) == (True, ["sent", "accepted"])
        assert (refused.accepted, refused.detail) == (False, "It answered 401: who are you")
        newest, shown = service.log(10, None)
        assert (newest.state, newest.reason) == ("failed", "It answered 401: who are you")
        assert (shown.state, shown.shown_at is not None) == ("told", True)
        assert service.recipient_view(service.recipients.get("c_hook")).status == "failing"


async def test_a_link_answers_once_for_one_request_and_an_hour(store: Store) -> None:
    from supervisor.notifications.channels.contract import Choice, Note

    now = [1_000_000]
    links = Links(store, lambda: now[0])
    note = Note(key="k", kind="waiting", tag="s1", title="", body="", at=0, session="s1", waiting="w1",
                choices=(Choice(id="allow", label="Allow"), Choice(id="deny", label="Deny")))  # fmt: skip
    made = links.with_links(note, "d1", "https://here.example.org")
    allow, deny = [str(choice.url).rpartition("/")[2] for choice in made.choices]

    assert str(made.choices[0].url) == f"https://here.example.org/api/notifications/links/{allow}"
    link = links.redeem(allow)
    assert (link.session, link.waiting, link.choice) == ("s1", "w1", "allow")
    with pytest.raises(Conflict):
        links.redeem(allow)
    links.restore(allow, link)
    assert links.redeem(allow).choice == "allow"
    now[0] += LINK_SECONDS * 1000
    with pytest.raises(Conflict):
        links.redeem(deny)
    with pytest.raises(NotFound):
        links.redeem("made-up")
    assert allow not in (store._path.read_bytes() + store._path.with_name("pilotlight.db-wal").read_bytes()).decode(
        "latin-1"
    )
    assert links.with_links(note, "d1", None) == note


async def test_a_reply_goes_to_whoever_left_a_token(store: Store, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.p8"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o600)
    session = SessionRecord(id="s1", project_path="/home/ada/shop", created_at=1, last_activity=1, state="idle",
                            conversation_id="c1")  # fmt: skip
    store.save_session(session)
    async with push_service(tmp_path) as double:
        apns = ApnsConfig(key_file=str(file), key_id="K", team_id="T", topic="org.example.app", url=double.url)
        bench = Bench(store, tmp_path, double, channels=[], apns=apns)
        async with bench.running() as service:
            phone = service.recipients.register("apns", "a phone", {"token": "abcd"}, Rules(kinds=[]))
            for name, reply in (("m1", "BANANA"), ("m2", "long " * 2000)):
                message = MessageRecord(id=name, session_id="s1", state="submitted", rank=1.0, text="?", created_at=1)
                store.add_message(message)
                service.wish_reply(name, phone)
                message.state, message.reply = "answered", reply
                store.save_message(message)
                store.append("message", "s1", {"message": name, "state": "answered", "at": 1})
            short, long = await double.requests(2)

        told = {json.loads(seen.body)["messageId"]: json.loads(seen.body) for seen in (short, long)}
        assert (told["m1"]["content"], told["m1"]["truncated"], told["m1"]["sessionId"]) == ("BANANA", False, "s1")
        assert told["m1"]["aps"]["alert"] == {"title": "shop", "body": "BANANA"}
        assert (told["m2"]["truncated"], told["m2"]["fetch"]) == (True, "/api/messages/m2")
        assert told["m2"]["content"].startswith("long long")
        assert all(len(seen.body) <= 4096 and seen.path == "/3/device/abcd" for seen in (short, long))
        assert bench.notices() == []


def test_what_cannot_be_reached_is_refused_with_what_to_do(tmp_path: Path) -> None:
    from supervisor.notifications.workshop import Workshop

    workshop, config = Workshop(tmp_path / "key.pem"), NotifyConfig(contact="mailto:ada@example.org")

    def refusal(kind: Any, target: dict[str, Any], config: NotifyConfig = config) -> str:
        with pytest.raises(Barred) as caught:
            workshop.check(Recipient(id=id_of(kind, target), kind=kind, name="x", target=target), config)
        return str(caught.value)

    assert "notify.apns" in refusal("apns", {"token": "abcd"})
    assert "notify.contact" in refusal(
        "webpush", {"endpoint": "https://fcm.googleapis.com/x", "keys": {}}, NotifyConfig()
    )
    assert "no push service" in refusal("webpush", {"endpoint": "https://evil.example.org/x", "keys": {}})
    assert "keys cannot be used" in refusal("webpush", {"endpoint": "https://fcm.googleapis.com/x", "keys": {}})
    assert "private address" in refusal("webhook", {"url": "https://10.0.0.1/"})
    assert "missing" in refusal("ntfy", {"server": "https://ntfy.sh"})
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_secrets_are_in_files_that_are_ours_alone(tmp_path: Path) -> None:
    from supervisor.notifications.secrets import reveal

    file = tmp_path / "secret"
    file.write_text("tk_1\n")
    file.chmod(0o600)
    assert reveal(f"file:{file}") == "tk_1"
    assert reveal("tk_2") == "tk_2"
    file.chmod(0o644)
    with pytest.raises(Barred, match="chmod 600"):
        reveal(f"file:{file}")


async def test_a_recipient_is_changed_silenced_and_removed_by_whoever_registered_it(bench: Bench) -> None:
    anything: Any = None
    async with bench.running() as service:
        handlers = {op: handler for op, _, handler in NotificationOps(service, lambda: bench.config, anything).rows()}

        async def ask(op: str, actor: str, arguments: Any) -> Any:
            return await handlers[op](arguments, Request(v=1, id="r", op=op, actor=actor))

        keys = {
            "p256dh": encode(public_bytes(ec.generate_private_key(ec.SECP256R1()).public_key())),
            "auth": encode(b"a" * 16),
        }
        target = {"endpoint": f"{bench.double.url}/p", "keys": keys}
        register = AddRecipient(kind="webpush", name="phone", target=target)
        phone = (await ask("recipient.add", "device:phone", register)).id
        foreign: list[tuple[str, Any]] = [
            ("recipient.update", UpdateRecipient(recipient_id=phone, rules=Rules(kinds=[]), own=True)),
            ("recipient.presence", SetPresence(recipient_id=phone, present=True, own=True)),
            ("recipient.test", RecipientRef(recipient_id=phone, own=True)),
            ("notification.receipt", NoticeReceipt(recipient_id=phone, key="k", step="shown", own=True)),
            ("recipient.remove", RecipientRef(recipient_id=phone, own=True)),
        ]
        for op, arguments in foreign:
            with pytest.raises(Forbidden, match="phone is not yours"):
                await ask(op, "device:laptop", arguments)
        for op, arguments in foreign[:2]:
            assert (await ask(op, "device:phone", arguments)).by == "device:phone"
        again = await ask("recipient.add", "device:its new name", register)
        assert (again.id, again.by) == (phone, "device:its new name"), "whoever knows the address has the device"
        await ask("recipient.remove", "token:owner", RecipientRef(recipient_id=phone))
        assert service.recipients.find(phone) is None
