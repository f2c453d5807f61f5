"""Alarms are told outside: signed, at least once, with one id, tried again, never lost, and no secret is shown."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from mlife.adapters import notifying
from mlife.adapters.notify_smtp import Mailbox
from mlife.adapters.notify_webhook import Webhook
from mlife.adapters.notifying import NotTaken, Target, ThreadedNotifier
from mlife.badcases import commands
from mlife.badcases.alarms import NEW_BADCASES
from mlife.badcases.alarms_rules import rule_of
from mlife.badcases.events import DeliveryFailed, DeliveryMade, DeliveryPlanned
from mlife.badcases.views import alarms, turns
from mlife.badcases.views.alarms import DeliveryView
from mlife.core.errors import Misconfigured
from mlife.core.ports import Notice
from mlife.runtime import Home, open_home, settings
from mlife.runtime.notifying import notifier_of
from tests.badcases.conftest import NOW, Field, report
from tests.badcases.receivers import Hook, Post, hook, post

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"l" * 32).decode()
NOTICE = Notice("msg_1", "mlife.alarm.raised", NOW, "MLife: 60 new", "60 new badcases", {"alarm_id": "alm-1"})


@pytest.fixture
def web() -> Iterator[Hook]:
    """An HTTP server."""
    with hook() as told:
        yield told


@pytest.fixture
def mail() -> Iterator[Post]:
    """An SMTP server."""
    with post() as told:
        yield told


def tell(home: Home, *targets: Target) -> ThreadedNotifier:
    """Let *home* tell these, instead of what is configured."""
    home.ports.extra["notifier"].close()
    notifier = ThreadedNotifier(targets)
    home.ports.extra["notifier"] = notifier
    home.closers.insert(0, notifier)
    return notifier


def local(web: Hook, *secrets: str) -> Webhook:
    return Webhook(f"private+{web.url}", secrets or (SECRET,), now=NOW.timestamp)


def letters_to(mail: Post) -> Mailbox:
    return Mailbox(f"smtp://127.0.0.1:{mail.port}?from=mlife@example.org&to=ann@example.org,bob@example.org")


def shift(field: Field) -> str:
    """A shift, and the id of its alarm."""
    field.send(*(report("9", "4", picture=n) for n in range(12)))
    settle(field)
    (alarm,) = field.read(turns.alarms)
    return str(alarm.alarm_id)


def settle(field: Field) -> None:
    """What is on its way arrives, and is recorded."""
    for _ in range(3):
        assert field.home.ports.extra["notifier"].wait(10)
        field.settle()


def told(field: Field, alarm_id: str) -> list[DeliveryView]:
    return list(field.read(alarms.deliveries_of, alarm_id))


def events(field: Field, *classes: type) -> list[object]:
    return [r.event for r in field.home.ports.store.read(0) if isinstance(r.event, classes)]


# --- webhooks ---


def test_a_webhook_is_signed_so_that_the_standard_s_check_passes(web: Hook) -> None:
    local(web, SECRET, OTHER).tell(NOTICE)

    (got,) = web.got
    sent = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    expected = [
        "v1," + base64.b64encode(hmac.new(letter * 32, sent, hashlib.sha256).digest()).decode()
        for letter in (b"k", b"l")
    ]
    assert got.headers["webhook-signature"].split(" ") == expected
    assert got.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert json.loads(got.body) == {
        "type": "mlife.alarm.raised",
        "timestamp": "2026-11-24T12:00:00.000000Z",
        "data": {"alarm_id": "alm-1"},
    }


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x", "http://localhost:1/x", "http://169.254.169.254/x"])
def test_a_private_address_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(NotTaken, match=r"private|public|this machine|address"):
        Webhook(url, (SECRET,)).tell(NOTICE)


@pytest.mark.parametrize(("status", "final"), [(500, False), (302, False), (404, False), (410, True)])
def test_anything_but_success_is_not_taken_and_no_redirect_is_followed(web: Hook, status: int, *, final: bool) -> None:
    web.answers = [status]
    with pytest.raises(NotTaken, match=f"answered {status}") as refused:
        local(web).tell(NOTICE)
    assert refused.value.is_final is final
    assert len(web.got) == 1


def test_a_target_that_is_away_is_not_taken() -> None:
    with pytest.raises(NotTaken, match="can't be reached"):
        Webhook("private+http://127.0.0.1:1/x", (SECRET,)).tell(NOTICE)


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("ftp://example.org/x", (SECRET,)),
        ("https://user:hidden@example.org/x", (SECRET,)),
        ("https://example.org/x", ()),
        ("https://example.org/x", ("whsec_hidden",)),
    ],
)
def test_a_webhook_that_can_t_be_is_refused_when_the_home_is_opened(url: str, secrets: tuple[str, ...]) -> None:
    with pytest.raises(Misconfigured) as refused:
        Webhook(url, secrets)
    assert "hidden" not in str(refused.value)


# --- letters ---


def test_a_letter_says_what_happened_and_keeps_its_id(mail: Post) -> None:
    letters_to(mail).tell(NOTICE)
    letters_to(mail).tell(NOTICE)

    first, second = mail.letters
    assert first["Subject"] == "MLife: 60 new"
    assert first["Message-ID"] == second["Message-ID"] == "<msg_1@example.org>"
    assert first.get_content().strip() == "60 new badcases"
    assert mail.envelopes[0] == ["ann@example.org", "bob@example.org"]


def test_what_others_named_adds_no_header_to_a_letter(mail: Post) -> None:
    notice = Notice("msg_2", "mlife.alarm.raised", NOW, "x\r\nBcc: eve@example.org", "y", {})
    letters_to(mail).tell(notice)

    assert mail.letters[0]["Bcc"] is None
    assert mail.envelopes[0] == ["ann@example.org", "bob@example.org"]


def test_a_server_that_says_no_has_not_taken_it(mail: Post) -> None:
    mail.refusals = 1
    with pytest.raises(NotTaken, match="answered 451"):
        letters_to(mail).tell(NOTICE)


@pytest.mark.parametrize(
    "url",
    ["smtp://h", "pop://h?from=a@b&to=c@d", "smtp://u:hidden@h?from=a@b&to=nobody", "smtp://h?from=a@b&to=c@d&x=1"],
)
def test_a_mail_setting_that_can_t_be_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="smtp") as refused:
        Mailbox(url)
    assert "hidden" not in str(refused.value)


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that takes connections and lets a byte drip now and then, but never a whole line."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = server.accept()
                    threading.Thread(target=dripping, args=(caller,), daemon=True).start()

        def dripping(caller: socket.socket) -> None:
            with caller, suppress(OSError):
                while not over.wait(0.1):
                    caller.sendall(b"2")

        threading.Thread(target=drip, daemon=True).start()
        yield server.getsockname()[1]
        over.set()
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("url", ["private+http://{}/x", "private+https://{}/x", "smtp://{}?{}", "smtps://{}?{}"])
def test_a_server_that_drips_is_cut_off(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifying, "TRY_SECONDS", 0.3)
    with silent() as port:
        at = url.format(f"127.0.0.1:{port}", "from=mlife@example.org&to=ann@example.org")
        target = Mailbox(at) if at.startswith("smtp") else Webhook(at, (SECRET,))
        began = time.monotonic()
        with pytest.raises(NotTaken):
            target.tell(NOTICE)
    assert time.monotonic() - began < 5


# --- deliveries ---


def test_a_target_that_does_not_answer_holds_no_other_target_up(field: Field, web: Hook, mail: Post) -> None:
    let_go = threading.Event()

    class Hangs(Webhook):
        def tell(self, notice: Notice) -> None:
            let_go.wait(10)
            super().tell(notice)

    tell(field.home, Hangs(f"private+{web.url}", (SECRET,)), letters_to(mail))
    for version in range(5):
        field.send(*(report(str(version), "p", picture=n, version=f"{version}.0") for n in range(12)))
    until = time.monotonic() + 5
    while len(mail.letters) < 5 and time.monotonic() < until:
        time.sleep(0.01)
        field.settle()
    letters = len(mail.letters)
    let_go.set()
    settle(field)

    assert letters == 5
    assert len({got.headers["webhook-id"] for got in web.got}) == 5


def test_an_alarm_is_told_to_everybody_once_and_that_is_recorded(field: Field, web: Hook, mail: Post) -> None:
    tell(field.home, local(web), letters_to(mail))
    alarm_id = shift(field)

    assert [(d.channel, d.word, d.attempts) for d in told(field, alarm_id)] == [
        ("webhook", "delivered", 1),
        ("mail", "delivered", 1),
    ]
    (got,) = web.got
    said = json.loads(got.body)
    assert said["data"]["alarm_id"] == alarm_id
    assert said["data"]["sentence"] == "1 new badcase of digit in version 1.0: 12 reports"
    assert len(mail.letters) == 1
    assert alarm_id in mail.letters[0].get_content()
    field.clock.move(days=3)
    settle(field)
    assert (len(web.got), len(mail.letters)) == (1, 1)


def test_a_failed_delivery_is_tried_again_later_under_the_same_id(field: Field, web: Hook) -> None:
    tell(field.home, local(web))
    web.answers = [500, 503]
    alarm_id = shift(field)
    (waiting,) = told(field, alarm_id)
    assert (waiting.word, waiting.problem, waiting.attempts) == ("tried again", "it answered 500", 1)
    assert waiting.due_at == field.clock.now() + timedelta(seconds=10)

    field.clock.move(seconds=9)
    settle(field)
    assert len(web.got) == 1
    field.clock.move(seconds=2)
    settle(field)
    field.clock.move(seconds=61)
    settle(field)

    (delivery,) = told(field, alarm_id)
    assert (delivery.word, delivery.attempts) == ("delivered", 3)
    assert {got.headers["webhook-id"] for got in web.got} == {delivery.delivery_id}
    assert len(web.got) == 3


def test_after_days_in_vain_it_is_given_up_and_that_is_shown(field: Field, web: Hook) -> None:
    tell(field.home, local(web))
    web.answers = [500] * 20
    alarm_id = shift(field)
    for _ in range(12):
        field.clock.move(days=2)
        settle(field)

    (delivery,) = told(field, alarm_id)
    assert (delivery.word, delivery.attempts) == ("given up", 9)
    assert field.read(alarms.deliveries_in_trouble) == 1
    assert len(web.got) == 9


def test_a_target_that_is_gone_for_good_is_given_up_at_once(field: Field, web: Hook) -> None:
    tell(field.home, local(web))
    web.answers = [410]
    alarm_id = shift(field)

    assert told(field, alarm_id)[0].word == "given up"


def test_a_process_that_dies_while_telling_tells_again_and_the_id_says_so(tmp_path: Path, web: Hook) -> None:
    chosen = settings(tmp_path / "home", config=tmp_path / "no.toml")

    class Dies(Webhook):
        def tell(self, notice: Notice) -> None:
            super().tell(notice)
            raise SystemExit  # told, and gone before it was recorded

    with open_home(chosen) as home:
        field = Field(home)
        tell(home, Dies(f"private+{web.url}", (SECRET,)))
        field.send(*(report("9", "4", picture=n) for n in range(12)))
        home.ports.extra["notifier"].wait(10)
        assert events(field, DeliveryMade, DeliveryFailed) == []
    with open_home(chosen) as home:
        field = Field(home)
        tell(home, local(web))
        settle(field)
        assert len(events(field, DeliveryPlanned)) == 1
        assert len(events(field, DeliveryMade)) == 1

    assert len(web.got) == 2
    assert len({got.headers["webhook-id"] for got in web.got}) == 1
    assert web.got[0].body == web.got[1].body


def test_a_rule_says_by_what_it_is_told(field: Field, web: Hook, mail: Post) -> None:
    tell(field.home, local(web), letters_to(mail))
    before = field.read(alarms.rule, NEW_BADCASES).rule
    rule = rule_of({"deliver": "mail"}, now=NOW, before=before)
    field.do(commands.change_rule, rule_id=NEW_BADCASES, rule=rule)
    shift(field)

    assert (len(web.got), len(mail.letters)) == (0, 1)


def test_the_end_of_an_alarm_is_told_too(field: Field, web: Hook) -> None:
    tell(field.home, local(web))
    quota = rule_of({"kind": "open_cost", "title": "quota", "line": 2, "lower": 1}, now=NOW)
    field.do(commands.create_rule, rule=quota)
    field.send(report("1", "2", picture=1), report("3", "4", picture=2))
    settle(field)
    (alarm,) = field.read(turns.alarms)
    field.do(commands.reject, badcase_id=alarm.badcase_ids[0], reason="wont_fix")
    settle(field)

    assert [json.loads(got.body)["type"] for got in web.got] == ["mlife.alarm.raised", "mlife.alarm.ended"]
    assert json.loads(web.got[1].body)["data"]["sentence"].endswith("over: 1 open badcases, at most 1 again")


def test_a_target_that_is_not_configured_any_more_is_given_up(field: Field, web: Hook) -> None:
    tell(field.home, local(web))
    web.answers = [500]
    alarm_id = shift(field)
    tell(field.home)
    field.clock.move(seconds=11)
    settle(field)

    (delivery,) = told(field, alarm_id)
    assert delivery.word == "given up"
    assert (delivery.problem or "").endswith("is not configured any more")


def test_secrets_are_in_no_event_and_no_row(field: Field, web: Hook) -> None:
    tell(field.home, local(web))
    web.answers = [500]
    alarm_id = shift(field)

    log = b"".join(r.draft.data for r in field.home.ports.store.read(0))
    assert b"hidden" not in log
    assert SECRET.encode() not in log
    assert "hidden" not in repr(told(field, alarm_id))


def test_targets_come_from_the_settings_and_without_them_nobody_is_told(tmp_path: Path, field: Field) -> None:
    assert field.home.ports.extra["notifier"].targets() == []
    shift(field)
    assert events(field, DeliveryPlanned) == []

    chosen = settings(
        tmp_path,
        config=tmp_path / "no.toml",
        webhook="https://hooks.example/a https://hooks.example/b",
        webhook_secret=SECRET,
        mail="smtp+starttls://mlife:hidden@mail.example?from=mlife@example.org&to=ann@example.org",
    )
    with closing(notifier_of(chosen)) as notifier:
        shown = [(t.channel, t.name) for t in notifier.targets()]
    assert [channel for channel, _ in shown] == ["webhook", "webhook", "mail"]
    assert len(set(shown)) == 3
    assert shown[2] == ("mail", "ann@example.org")
    assert "hidden" not in repr(chosen)
    assert SECRET not in repr(chosen)
