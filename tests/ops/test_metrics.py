"""`/metrics` is OpenMetrics as its own parser reads it, and says what is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from mlife.core import metrics
from mlife.core.errors import Unavailable
from mlife.core.handler import DeadLetter
from mlife.core.health.watch import BusSeen, Watch
from mlife.core.metrics import Counter, Histogram, Metric, exposition, gauge
from mlife.runtime import Home
from mlife.server import make_app
from mlife.ui.watching import seen_families
from tests.conftest import drain
from tests.ops.conftest import report, take

Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(text: str) -> Values:
    """Every sample of *text*, which must be OpenMetrics to the letter."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(values: Values, metric: str, /, **labels: str) -> float:
    return values[metric, tuple(sorted(labels.items()))]


@contextmanager
def served(home: Home, token: str | None = None) -> Iterator[TestClient]:
    with TestClient(make_app(home, token=token)) as client:
        yield client


def figures(client: TestClient, **headers: str) -> Values:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    return read(answer.text)


def test_it_says_where_the_log_is_and_how_far_everything_follows(home: Home) -> None:
    take(home, *range(20))
    drain(home)
    head = home.ports.store.head()
    take(home, *range(20, 25))
    home.book.park(DeadLetter("serving.judge", "mdl-1", 3, 3, "no"))

    with served(home) as client:
        values = figures(client)

    assert value(values, "mlife_log_position") == head + 5
    assert value(values, "mlife_part_reachable", part="log") == 1
    assert value(values, "mlife_part_reachable", part="files") == 1
    assert value(values, "mlife_follower_position", kind="projection", name="badcases") == head
    assert value(values, "mlife_follower_lag_events", kind="projection", name="badcases") == 5
    assert 0 < value(values, "mlife_follower_lag_seconds", kind="projection", name="badcases") < 60
    assert value(values, "mlife_dead_letters", handler="serving.judge") == 1
    assert value(values, "mlife_dead_letters", handler="serving.activate") == 0


def test_a_stopped_projection_is_a_state_of_its_own(home: Home) -> None:
    take(home, 1)
    drain(home)
    (standing,) = [s for s in home.ports.views.standings() if s.name == "data"]
    home.ports.views.stop(standing, "it can't fold this")

    with served(home) as client:
        values = figures(client)

    told = {"kind": "projection", "name": "data"}
    assert value(values, "mlife_follower_state", **told, mlife_follower_state="stopped") == 1
    assert value(values, "mlife_follower_state", **told, mlife_follower_state="live") == 0


def test_requests_are_counted_by_the_pattern_of_their_route_and_never_by_what_a_client_made_up(home: Home) -> None:
    with served(home) as client:
        before = figures(client)
        for n in range(30):
            client.get(f"/badcases/bc-{n}")
            client.get(f"/nothing/{n}")
            client.request(f"MADEUP{n}", "/badcases")
        after = figures(client)

    def grown(**labels: str) -> float:
        key = ("mlife_http_requests_total", tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0)

    assert grown(method="GET", route="/badcases/{badcase_id}", status="404") == 30
    assert grown(method="GET", route="none", status="404") == 30
    assert sum(name == "mlife_http_requests_total" for name, _ in after.keys() - before.keys()) <= 4
    assert value(after, "mlife_http_request_seconds_count", method="GET", route="/badcases/{badcase_id}") >= 30


def test_a_bucket_counts_what_took_as_long_or_less() -> None:
    times = Histogram(Metric("t_seconds", "histogram", "Times.", ("what",), "seconds"))
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        times.add("x", seconds=seconds)

    values = read(exposition([times.family()]).decode())

    assert [value(values, "t_seconds_bucket", what="x", le=le) for le in ("0.001", "0.25", "0.5", "10.0", "+Inf")] == [
        2, 2, 3, 3, 4
    ]  # fmt: skip
    assert value(values, "t_seconds_sum", what="x") == pytest.approx(99.3015)


@pytest.mark.parametrize("text", ['a "quoted" word', "back\\slash", "two\nlines", "ключ = {1}", 'all\\"\n', ""])
def test_any_text_is_a_label(text: str) -> None:
    counts = Counter(Metric("c", "counter", f"Help with {text}", ("label",)))
    counts.add(text, count=2)

    assert read(exposition([counts.family()]).decode()) == {("c_total", (("label", text),)): 2}


def test_a_metric_without_samples_is_left_out_and_an_empty_answer_is_one() -> None:
    assert exposition([gauge(metrics.HEAD, [])]) == b"# EOF\n"


def test_names_are_unique_and_units_stand_at_their_end() -> None:
    declared = [m for m in vars(metrics).values() if isinstance(m, Metric)]

    assert len({m.name for m in declared}) == len(declared)
    for metric in declared:
        assert metric.name.startswith("mlife_")
        assert metric.name.endswith(metric.unit)
        assert metric.help.endswith((".", "?"))


def test_the_token_is_needed_as_for_everything_else(home: Home) -> None:
    with served(home, token="secret-of-seven") as client:
        assert client.get("/metrics").status_code == 401
        figures(client, authorization="Bearer secret-of-seven")


def test_intake_is_counted(home: Home) -> None:
    with served(home) as client:
        before = figures(client)
        lines = [report(n) for n in (1, 2, 3)] + [report(3), {"nonsense": True}]
        client.post("/api/v1/reports", content="\n".join(map(json.dumps, lines)))
        after = figures(client)

    def grown(answer: str) -> float:
        key = ("mlife_intake_items_total", (("answer", answer),))
        return after[key] - before.get(key, 0)

    assert (grown("accepted"), grown("known"), grown("refused")) == (3, 1, 1)


def test_what_the_bus_says_is_told_and_that_it_is_away_too(home: Home) -> None:
    seen = [BusSeen({("g", "mlife.log"): 7}, 2), Unavailable("kafka is away")]

    def ask() -> BusSeen:
        now = seen.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    def look() -> Values:
        watch = Watch(home.ports.store, home.ports.views, home.book, home.do.clock, relay=lambda: 3, bus=ask)
        return read(exposition(seen_families(watch.latest())).decode())

    take(home, *range(5))
    there = look()
    assert value(there, "mlife_consumer_lag_records", group="g", topic="mlife.log") == 7
    assert value(there, "mlife_feedback_unreadable_records") == 2
    assert value(there, "mlife_follower_lag_events", kind="relay", name="") == 2
    away = look()
    assert (value(away, "mlife_part_reachable", part="bus"), value(away, "mlife_part_reachable", part="log")) == (0, 1)
