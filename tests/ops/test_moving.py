"""Moving house between the sizes: nothing is lost, nothing happens twice, and both sides are proved equal."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaConsumer
from sqlalchemy import select

from mlife.adapters.kafka_connection import connection
from mlife.adapters.topics_kafka import ensure_topics
from mlife.core import moving
from mlife.core.errors import Corrupt, HomeUnusable, Invalid, MLifeError, Refused
from mlife.core.events import registry
from mlife.core.handler import DeadLetter
from mlife.core.moving import compare, move
from mlife.core.moving.log import RUN_BYTES, Trail
from mlife.core.ports import Append
from mlife.core.projection import projections
from mlife.core.topics import LOG, topics
from mlife.runtime import Home
from mlife.runtime.moving import hand_over, refuse_if_moved, settings_in
from mlife.runtime.relaying import open_relay_book
from tests.conftest import drain
from tests.ops.conftest import command, config, environment, houses, mlife, opened, report, take
from tests.ops.serving import until
from tests.processes import finish, hear, start

SEALED = {"reporter": "Ada"}


@pytest.fixture(params=["embedded", "cluster"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Configuration of an empty home of either size."""
    folder = tmp_path / "elsewhere"
    if request.param == "embedded":
        return config(tmp_path, home=str(folder))
    store, files = request.getfixturevalue("postgres_url"), request.getfixturevalue("s3_url")
    return config(tmp_path, home=str(folder), store=store, files=files)


@pytest.fixture
def target(elsewhere: Path) -> Iterator[Home]:
    """That home, opened."""
    with opened(elsewhere) as home:
        yield home


@pytest.fixture
def full(embedded: Home) -> Home:
    """A home with reports, sealed ones among them, files, effects of handlers, and a parked fact."""
    take(embedded, *range(40))
    take(embedded, 40, 41, **SEALED)
    drain(embedded)
    for n in range(5):
        embedded.ports.blobs.put(b"bytes %d" % n)
    embedded.book.park(DeadLetter("serving.judge", "mdl-1", 3, 3, "ValueError: no"))
    embedded.book.park(DeadLetter("serving.judge", "mdl-1", 4, 0, ""))
    return embedded


def rows(home: Home) -> list[tuple[object, ...]]:
    """Every event of *home*, with all that the log says of it."""
    return [(r.position, r.version, *r.draft) for r in home.ports.store.read(0, 100_000)]


def test_everything_that_a_home_keeps_arrives_and_is_proved_equal(full: Home, target: Home) -> None:
    with houses(full, target) as (here, there):
        equal = move(here, there)

    assert rows(target) == rows(full)
    assert (equal.events, equal.copied) == (len(rows(full)), len(rows(full)))
    assert (equal.files.count, equal.files.copied, equal.missing) == (5, 5, ())
    assert list(target.ports.blobs) == list(full.ports.blobs)  # type: ignore[call-overload]
    assert target.book.positions() == full.book.positions()
    assert target.book.letters() == full.book.letters()
    (sealed,) = [r for r in target.ports.store.read(0, 100_000) if r.json.get("report_id") == "r40"]
    assert sealed.json["reporter"].startswith("sealed:")
    assert target.sealer.open(sealed.json)["reporter"] == "Ada"


def test_what_was_handled_is_not_handled_again_and_the_tables_come_out_the_same(full: Home, target: Home) -> None:
    with houses(full, target) as (here, there):
        move(here, there)
    before = target.ports.store.head()

    assert drain(target) == before

    assert tables(target, before) == tables(full, before)


def tables(home: Home, at: int) -> dict[str, list[tuple[object, ...]]]:
    """The rows of every query table."""
    with home.ports.views.read(min_position=at) as read:
        return {
            table.name: sorted((tuple(row) for row in read.all(select(table))), key=repr)
            for projection in projections.values()
            for table in projection.tables
        }


def test_a_move_goes_there_and_back_into_the_home_that_it_began_in(full: Home, target: Home) -> None:
    with houses(full, target) as (here, there):
        move(here, there)
    drain(target)
    take(target, 100, 101, reporter="Bob")
    drain(target)

    with houses(target, full) as (here, there):
        equal = move(here, there)

    assert rows(full) == rows(target)
    assert equal.copied < equal.events
    take(full, 102)  # it is the home again
    with pytest.raises(MLifeError, match="was moved to"):
        take(target, 103)


def test_a_moved_log_takes_no_events_until_the_move_is_undone(full: Home, target: Home) -> None:
    with houses(full, target) as (here, there):
        move(here, there)
    head = full.ports.store.head()

    with pytest.raises((HomeUnusable, Invalid), match="was moved to"):
        take(full, 200)
    assert full.ports.store.head() == head
    with pytest.raises(Refused, match="was moved to"):
        refuse_if_moved(full.settings)
    refuse_if_moved(target.settings)

    undone = mlife("migrate", "--undo", "--home", full.settings.home)
    assert undone.returncode == 0, undone.stderr
    refuse_if_moved(full.settings)
    assert take(full, 201) == head + 1


def test_what_another_process_is_told_is_written_arrives_and_the_rest_is_refused(
    full: Home, target: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "CLOSE_ENOUGH", 5)
    writer = start("ops.writer", full.settings.home, 1_000)
    said = [hear(writer) for _ in range(20)]

    with houses(full, target) as (here, there):
        move(here, there)
    rest, _ = finish(writer)

    *told, refused = (line for line in (*said, *rest.split("\n")) if line)
    assert "was moved to" in refused
    assert rows(target) == rows(full)
    assert int(told[-1]) == target.ports.store.head()


def test_a_move_that_is_killed_again_and_again_goes_on_where_it_stopped(
    embedded: Home, tmp_path: Path, postgres_url: str, s3_url: str
) -> None:
    take(embedded, *range(30_000))
    for n in range(300):
        embedded.ports.blobs.put(b"bytes %d" % n)
    file = config(tmp_path, home=str(tmp_path / "cluster"), store=postgres_url, files=s3_url)
    words = command("migrate", "--home", embedded.settings.home, "--to", file, "--json", "--no-tables")
    chance = random.Random(4)
    kills = 0
    while True:
        child = subprocess.Popen(
            words, env=environment(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            out, err = child.communicate(timeout=chance.uniform(0.8, 1.8) if kills < 5 else 120)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            kills += 1
            continue
        break

    assert child.returncode == 0, err
    told = json.loads(out)
    assert kills == 5
    assert (told["events"], told["files"]["count"], told["missing"]) == (30_000, 300, [])
    with opened(file) as target:
        assert rows(target)[-1] == rows(embedded)[-1]
    checked = mlife("migrate", "--home", embedded.settings.home, "--to", file, "--check", "--json")
    assert json.loads(checked.stdout)["digest"] == told["digest"]


def test_a_target_with_events_of_its_own_is_refused_and_stays_as_it_was(full: Home, target: Home) -> None:
    take(target, 7_000)

    with houses(full, target) as (here, there), pytest.raises(Refused, match=r"at position 1 .* has"):
        move(here, there)

    assert len(rows(target)) == 1
    take(target, 7_001)
    take(full, 7_002)


def test_a_target_that_has_gone_on_is_refused(full: Home, target: Home) -> None:
    with houses(full, target) as (here, there):
        move(here, there)
    take(target, 7_000)

    with houses(full, target) as (here, there), pytest.raises(Refused, match=r"was moved to .* before"):
        move(here, there)
    with houses(full, target) as (here, there):
        assert compare(here, there).more == 1


def test_a_home_that_somebody_runs_is_not_moved(full: Home, target: Home) -> None:
    with full.running():
        until(lambda: full.ports.locks.is_held("runner"))
        with houses(full, target) as (here, there), pytest.raises(Refused, match="a process projects and handles"):
            move(here, there)
    assert target.ports.store.head() == 0


def test_a_home_is_not_moved_into_a_cluster_that_works(
    full: Home, postgres_url: str, kafka_url: str, tmp_path: Path
) -> None:
    file = config(tmp_path, home=str(tmp_path / "b"), store=postgres_url, bus=kafka_url)
    with opened(file) as target, houses(full, target) as (here, there):
        with (
            open_relay_book(target.settings) as book,
            book.lead(),
            pytest.raises(Refused, match="a relay publishes it"),
        ):
            move(here, there)
        kafka = connection(kafka_url)
        ensure_topics(kafka, topics(registry, partitions=kafka.partitions))
        worker = KafkaConsumer(
            kafka.topic(LOG), group_id=kafka.topic("mlife-handlers"), bootstrap_servers=list(kafka.servers)
        )
        worker.poll(5_000)
        with pytest.raises(Refused, match=r"workers run \(mlife-handlers\)"):
            move(here, there)
        worker.close()
        assert move(here, there).events == full.ports.store.head()


def test_somebody_who_writes_to_the_target_meanwhile_is_noticed(
    full: Home, target: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meddle(what: str, done: int, total: int) -> None:
        if what == "comparing events":
            take(target, 9_000)

    with houses(full, target) as (here, there), pytest.raises(Refused, match="somebody writes to it"):
        move(here, there, tell=meddle)
    take(full, 9_001)  # the source is as it was


def test_damage_of_the_source_is_found_and_not_carried_on(full: Home, target: Home) -> None:
    name = next(iter(full.ports.blobs))  # type: ignore[call-overload]
    path = full.ports.blobs.path(name)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(b"other bytes")

    with houses(full, target) as (here, there), pytest.raises(Corrupt, match="has been changed"):
        move(here, there)
    path.write_bytes(b"bytes 0")


def test_comparing_says_what_is_not_there_and_what_is_damaged(full: Home, target: Home) -> None:
    with houses(full, target) as (here, there):
        nothing = compare(here, there)
        count = len(rows(full))
        assert nothing.different == (f"{count} of {count} events are not there yet", "5 of 5 files are not there")

        move(here, there)
        assert compare(here, there).different == ()
        assert target.ports.store.head() == count


def test_a_file_that_was_lost_or_changed_after_the_move_is_found(full: Home, tmp_path: Path) -> None:
    with opened(config(tmp_path, home=str(tmp_path / "b"))) as target, houses(full, target) as (here, there):
        move(here, there)
        first, second, *_ = there.files
        (path, gone) = (there.files.path(first), there.files.path(second))
        assert path is not None
        assert gone is not None
        path.chmod(0o644)
        path.write_bytes(b"other bytes")
        gone.unlink()

        assert compare(here, there).different == ("1 of 5 files are not there", f"file {first} is damaged")


def test_what_was_erased_before_the_move_is_erased_in_a_target_that_still_had_it(full: Home, target: Home) -> None:
    with houses(full, target) as (here, there):
        there.keys.replace(here.keys.items())
        full.keys.drop("Ada")
        equal = move(here, there)

    assert equal.keys == 0
    assert list(there.keys.items()) == []


def test_files_that_the_log_names_and_nobody_has_are_told(full: Home, target: Home) -> None:
    from mlife.core.events import Draft, derived_id

    digest = "ab" * 32
    data = json.dumps({"sha256": digest, "md5": "0" * 32, "size": 3}).encode()
    facts = (derived_id("lost"), f"file/{digest}", 1, "mlife.file.stored.v1", digest, 1, "/mlife")
    draft = Draft(*facts, None, None, None, None, data, hashlib.sha256(data).digest())
    full.ports.store.append(Append([draft]))

    with houses(full, target) as (here, there):
        assert move(here, there).missing == (digest,)


def test_large_events_are_moved_few_at_a_time(embedded: Home, target: Home) -> None:
    for n in range(60):
        take(embedded, n, description="x" * 1_900, fields={f"f{k}": "y" * 900 for k in range(30)})
    with houses(embedded, target) as (here, there):
        trail = Trail(here, there)
        trail.copy(10, lambda *_: None)
        average = sum(len(r.draft.data) for r in embedded.ports.store.read(0, 10)) // 10
        assert trail._size == pytest.approx(RUN_BYTES // (average + 200), abs=1)


def test_the_targets_configuration_seals_what_the_source_sealed_and_asks_for_the_same_token(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('home = "a"\ntoken = "a long one"\n[personal]\ndms = ["client", "device"]\n')
    theirs = config(tmp_path, home=str(tmp_path / "b"), store="postgresql://u:secret@127.0.0.1:1/x")
    theirs.chmod(0o640)

    added = hand_over(settings_in(mine), theirs)

    assert added == ["[personal]", "token"]
    told = settings_in(theirs)
    assert told.personal == {"dms": frozenset({"client", "device"})}
    assert (told.token, told.store) == ("a long one", "postgresql://u:secret@127.0.0.1:1/x")
    assert theirs.stat().st_mode & 0o777 == 0o640
    assert hand_over(settings_in(mine), theirs) == []


def test_a_target_that_would_seal_less_is_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[personal]\ndms = ["client", "device"]\n')
    theirs = tmp_path / "theirs.toml"
    theirs.write_text('[personal]\ndms = ["client"]\n')

    with pytest.raises(Refused, match="does not seal device of dms"):
        hand_over(settings_in(mine), theirs)


def test_the_command_says_what_it_did_and_only_once(tmp_path: Path) -> None:
    told = tmp_path / "reports.ndjson"
    told.write_text("\n".join(json.dumps(report(n)) for n in range(30)))
    assert mlife("badcase", "report", told, "--home", tmp_path / "a").returncode == 0
    file = config(tmp_path, home=str(tmp_path / "b"))

    moved = mlife("migrate", "--home", tmp_path / "a", "--to", file)
    assert moved.returncode == 0, moved.stderr
    assert "SHA-256 over all rows, the same on both sides" in moved.stdout
    assert "30" in mlife("badcase", "list", "--home", tmp_path / "b").stdout

    again = mlife("migrate", "--home", tmp_path / "a", "--to", file)
    assert (again.returncode, "was moved to" in again.stderr) == (1, True)
    assert mlife("migrate", "--home", tmp_path / "a", "--to", file, "--check").returncode == 0
    assert mlife("migrate", "--home", tmp_path / "a", "--to", tmp_path / "none.toml").returncode == 1
    assert mlife("migrate", "--home", tmp_path / "a").returncode == 2
