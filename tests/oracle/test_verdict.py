"""The verdict can say no: each kind of fault, planted by hand, is found; and nothing is found where none is."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import orjson
import pytest

from mlife.core.events import Draft, Recorded, derived_id
from tests.oracle import verdict
from tests.oracle.journal import Attempt, Saw, print_of
from tests.oracle.verdict import Message

TOPIC = "mlife.oracle"


def event(
    position: int,
    kind: str,
    stream: str,
    version: int,
    *,
    id: bytes | None = None,
    actor: str | None = None,
    cause: bytes | None = None,
    **fields: Any,
) -> Recorded[Any]:
    data = orjson.dumps(fields)
    key = str(fields.get("purse_id", fields.get("coin", "")))
    event_id = id or derived_id(kind, position)
    draft = Draft(
        *(event_id, stream, 0, f"mlife.{kind}.v1", key, position, "/mlife", None, cause, actor, None, data),
        hashlib.sha256(data).digest(),
    )
    return Recorded(position, version, draft)


def effect(position: int, kind: str, stream: str, version: int, of: Recorded[Any], call: int, **fields: Any) -> Any:
    key = f"oracle.receipt:{UUID(bytes=of.draft.id)}:{call}"
    said = {"purse_id": "pur-1", "payment": of.position, **fields}
    return event(
        *(position, kind, stream, version),
        id=derived_id(key, 0),
        actor="handler oracle.receipt",
        cause=of.draft.id,
        **said,
    )


def story() -> list[Recorded[Any]]:
    """Two payments and what follows from them, and two sightings."""
    first = event(1, "purse.paid", "purse/pur-1", 1, purse_id="pur-1", amount=10, balance=10)
    seen = event(2, "coin.sighted", "sighting/a", 1, coin="coin-1")
    second = event(3, "purse.paid", "purse/pur-1", 2, purse_id="pur-1", amount=9, balance=19)
    return [
        first,
        seen,
        second,
        effect(4, "purse.receipted", "receipt/pur-1", 1, first, 1, number=1),
        effect(5, "purse.receipted", "receipt/pur-1", 2, second, 1, number=2),
        event(6, "coin.sighted", "sighting/b", 1, coin="coin-1"),
        effect(7, "purse.stamped", "stamp/pur-1/3", 1, second, 2),
    ]


def changed(log: Sequence[Recorded[Any]], place: int, **draft: Any) -> list[Recorded[Any]]:
    """*log* with other words at *place*; the digest is made to fit."""
    old = log[place]
    if "data" in draft:
        draft.setdefault("digest", hashlib.sha256(draft["data"]).digest())
    new = Recorded(old.position, old.version, old.draft._replace(**draft))
    return [*log[:place], new, *log[place + 1 :]]


def without(log: Sequence[Recorded[Any]], place: int) -> list[Recorded[Any]]:
    return [*log[:place], *log[place + 1 :]]


def swapped(log: Sequence[Recorded[Any]], place: int) -> list[Recorded[Any]]:
    return [*log[:place], log[place + 1], log[place], *log[place + 2 :]]


def attempt(*events: Recorded[Any], at: float = 0.0, **said: Any) -> Attempt:
    """An append of *events* that was acknowledged."""
    drafts = [(r.draft.id.hex(), print_of(r.draft)) for r in events]
    told: dict[str, Any] = {
        "told_at": at + 1.0,
        "positions": [r.position for r in events],
        "known": [False] * len(events),
    }
    return Attempt("writer", at, whole=True, drafts=drafts, **{**told, **said})


def refused(*events: Recorded[Any]) -> Attempt:
    return attempt(*events, refused="Conflict", told_at=None, positions=(), known=())


def saw(log: Sequence[Recorded[Any]]) -> Saw:
    return Saw("follower", [(r.position, r.draft.id.hex(), print_of(r.draft)) for r in log])


def nobody_else(r: Recorded[Any]) -> bool:
    return False


LOG = story()
MINE = [attempt(LOG[0]), attempt(LOG[1]), attempt(LOG[2]), attempt(LOG[5])]
LOOK = {
    "part": "reader",
    "at": 1.0,
    "position": 3,
    "payments": 2,
    "newest": 3,
    "below": 2,
    "purses": [2, 19],
    "coins": 1,
}


def messages(log: Sequence[Recorded[Any]]) -> list[Message]:
    def header(r: Recorded[Any]) -> dict[str, str]:
        return {f"ce_{k}": str(v) for k, v in r.as_cloud_event().items() if k not in {"data", "datacontenttype"}}

    return [Message(TOPIC, 0, n, r.draft.key, header(r), r.draft.data) for n, r in enumerate(log)]


def topic_of(kind: str) -> str:
    return TOPIC


def test_nothing_is_found_where_all_is_well() -> None:
    assert verdict.order(LOG) == []
    assert verdict.balances(LOG) == []
    assert verdict.kept(LOG, MINE) == []
    assert verdict.wanted(LOG, MINE, verdict.is_effect(LOG)) == []
    assert verdict.whole(LOG, MINE) == []
    assert verdict.real_time(MINE) == []
    assert verdict.followed(LOG, saw(LOG)) == []
    assert verdict.looked(LOG, [LOOK, LOOK | {"position": 7, "coins": 2}]) == []
    assert verdict.effects(LOG) == []
    assert verdict.receipts(LOG) == []
    assert verdict.published(LOG, messages(LOG), topic_of) == []
    assert verdict.carried(LOG, [(0, [LOG[:3], LOG[3:]]), (1, [LOG])]) == []


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (without(LOG, 5), "position 7 stands where 6"),
        (changed(LOG, 5, id=LOG[0].draft.id), "2 times"),
        ([*LOG[:2], Recorded(3, 3, LOG[2].draft), *LOG[3:]], "version 3, and 2 is next"),
        (changed(LOG, 1, data=b"{}", digest=LOG[1].draft.digest), "digest does not cover"),
    ],
)
def test_a_log_with_a_gap_a_double_a_wrong_version_or_digest_is_found(log: list[Recorded[Any]], said: str) -> None:
    assert any(said in sentence for sentence in verdict.order(log))


def test_a_sum_that_two_believed_is_found() -> None:
    lost = changed(LOG, 2, data=orjson.dumps({"purse_id": "pur-1", "amount": 9, "balance": 9}))

    assert "the payments before make 19" in verdict.balances(lost)[0]


def test_an_acknowledged_event_that_is_gone_moved_or_other_is_found() -> None:
    assert "not in the log" in verdict.kept(LOG[:5], MINE)[0]
    assert "was acknowledged at 6" in verdict.kept(changed(LOG, 5, id=b"x" * 16), MINE)[0]
    assert "is not what was written" in verdict.kept(changed(LOG, 5, data=b"{}"), MINE)[0]
    assert "is not what was written" in verdict.kept(changed(LOG, 5, actor="somebody"), MINE)[0]


def test_an_event_that_nobody_wrote_or_that_was_refused_is_found() -> None:
    others = verdict.is_effect(LOG)

    assert "nobody wrote it" in verdict.wanted(LOG, MINE[:-1], others)[0]
    assert "was refused" in verdict.wanted(LOG, [*MINE[:-1], refused(LOG[5])], others)[0]
    assert "nobody wrote it" in verdict.wanted(LOG, MINE, verdict.is_effect(without(LOG, 2)))[0]


def test_a_torn_decision_is_found() -> None:
    assert "torn" in verdict.whole(LOG, [attempt(LOG[0], LOG[2])])[0]
    assert "torn" in verdict.whole(LOG[:5], [attempt(LOG[4], LOG[5], told_at=None, positions=(), known=())])[0]


def test_an_answer_that_comes_before_one_that_was_given_earlier_is_found() -> None:
    late = attempt(LOG[1], at=5.0)

    assert "after 3 had been acknowledged" in verdict.real_time([attempt(LOG[2], at=1.0), late])[0]
    assert verdict.real_time([attempt(LOG[2], at=4.5), late]) == []  # at the same time: either order is right
    assert verdict.real_time([attempt(LOG[2], at=1.0), replace(late, known=[True])]) == []


def test_an_old_answer_that_names_another_place_is_found() -> None:
    told = {"part": "writer", "id": LOG[0].draft.id.hex(), "position": 1}

    assert verdict.answers(LOG, [told]) == []
    assert "which is at 1" in verdict.answers(LOG, [told | {"position": 2}])[0]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (without(LOG, 3), "missed"),
        (swapped(LOG, 3), "saw 5 after 3"),
        ([*LOG[:4], LOG[3], *LOG[4:]], "1 events twice"),
        (changed(LOG, 3, data=b"{}"), "the log does not have"),
        (LOG[:5], "missed"),
    ],
)
def test_a_follower_that_missed_doubled_or_reordered_is_found(seen: list[Recorded[Any]], said: str) -> None:
    assert any(said in sentence for sentence in verdict.followed(LOG, saw(seen)))


@pytest.mark.parametrize(
    ("look", "said"),
    [
        ({"position": 2}, "2 payments up to 2, and the log has 1"),
        ({"payments": 1}, "1 payments up to 3, and the log has 2"),
        ({"purses": [2, 10]}, "the purses say [2, 10]"),
        ({"purses": [1, 10]}, "the purses say [1, 10]"),
        ({"coins": 0}, "0 sightings, and the log has 1"),
    ],
)
def test_a_look_that_the_log_does_not_explain_is_found(look: dict[str, Any], said: str) -> None:
    assert any(said in sentence for sentence in verdict.looked(LOG, [LOOK | look]))


@pytest.mark.parametrize("what", ["position", "payments", "coins"])
def test_a_reader_that_saw_something_vanish_is_found(what: str) -> None:
    looks = [LOOK | {"at": 7.0, what: 9}, LOOK | {"at": 8.0}]

    for crash in (2.0, 8.5):
        assert any(f"{what} went back from 9" in s for s in verdict.looked(LOG, looks, crashes=[crash]))
    assert not any("went back" in s for s in verdict.looked(LOG, looks, crashes=[7.5]))


def test_an_effect_that_is_missing_doubled_or_of_another_cause_is_found() -> None:
    again = effect(8, "purse.stamped", "stamp/pur-1/3", 2, LOG[2], 3)

    assert "has the effects ['mlife.purse.receipted.v1'], not" in verdict.effects(LOG[:6])[0]
    assert "has the effects" in verdict.effects([*LOG, again])[0]
    assert "do not follow" in verdict.effects(changed(LOG, 6, id=b"x" * 16))[0]
    assert "a cause that is not in the log" in verdict.effects(LOG[1:])[0]


def test_receipts_out_of_order_are_found() -> None:
    turned = changed(LOG, 3, data=orjson.dumps({"purse_id": "pur-1", "payment": 3, "number": 1}))

    assert "receipt 2 for the payment at 3, after 1 for 3" in verdict.receipts(turned)[0]


def test_a_topic_that_misses_turns_or_changes_something_is_found() -> None:
    good = messages(LOG)
    twice = [*good[:3], *good[1:]]

    assert verdict.published(LOG, twice, topic_of) == []
    assert "was never published" in verdict.published(LOG, good[:-1], topic_of)[0]
    assert "for the first time behind" in verdict.published(LOG, [good[1], good[0], *good[2:]], topic_of)[0]
    assert "other bytes" in verdict.published(LOG, [replace(good[0], value=b"{}"), *good[1:]], topic_of)[0]
    assert "has the key" in verdict.published(LOG, [replace(good[0], key="x"), *good[1:]], topic_of)[0]
    assert "in two partitions" in verdict.published(LOG, [replace(good[0], partition=1), *good[1:]], topic_of)[0]
    lied = replace(good[0], headers=good[0].headers | {"ce_actor": "me"})
    assert "says {'actor': 'me'}" in verdict.published(LOG, [lied, *good[1:]], topic_of)[0]
    assert "the log does not have" in verdict.published(LOG[:6], good, topic_of)[0]


def test_a_partition_with_a_hole_another_word_or_another_end_is_found() -> None:
    assert verdict.carried(LOG, [(0, [LOG[:3], LOG[1:5], LOG[4:]])]) == []
    assert "goes on with 5 after 3" in verdict.carried(LOG, [(0, [LOG[:3], LOG[4:]])])[0]
    assert "something else than the log at 6" in verdict.carried(LOG, [(0, [changed(LOG, 5, actor="x")])])[0]
    assert "[1] ends at 6" in verdict.carried(LOG, [(0, [LOG]), (1, [LOG[:6]])])[0]
    assert "ends at 0" in verdict.carried(LOG, [(0, [])])[0]


def test_a_report_of_a_customer_that_is_lost_doubled_or_invented_is_found() -> None:
    def reported(position: int, report_id: str) -> Recorded[Any]:
        said = {"client": verdict.STREAM, "report_id": report_id}
        return event(position, "badcase.reported", f"report/{position}", 1, **said)

    log = [reported(1, "a"), reported(2, "b"), reported(3, "b")]

    assert "c was delivered" in verdict.taken_in(log, ["a", "b", "c"], ["a", "c"])[0]
    assert "b is in the log 2 times" in verdict.taken_in(log, ["a", "b"], ["a"])[0]
    assert "nobody sent it" in verdict.taken_in(log, ["b"], [])[1]


def test_a_message_that_can_not_be_read_and_is_lost_or_one_that_can_and_is_put_aside_is_found() -> None:
    assert verdict.put_aside([b"{", b"x"], [b"x", b"{", b"{"]) == []
    assert "is not in mlife.feedback.dlq" in verdict.put_aside([b"{", b"x"], [b"x"])[0]
    assert "can be read or was never sent" in verdict.put_aside([b"x"], [b"x", b"y"])[0]
