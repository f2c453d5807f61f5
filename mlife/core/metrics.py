"""
Figures for a monitoring system: every name in one place, and their text form (OpenMetrics 1.0).

The text form is written here and not by a client library: that would be a dependency of every installation for forty
lines, and a registry beside ours. The tests read it with a parser that others wrote.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One metric family.

    Args:
        name: in full, with its unit at the end, without `_total`.
        kind: what its samples are.
        help: what it counts, in a sentence.
        labels: names of its labels.
        unit: the last word of the name, where it is a unit.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram", "info", "stateset"]
    help: str
    labels: tuple[str, ...] = ()
    unit: str = ""


BUILD = Metric("mlife_build", "info", "The program that answers.", ("version", "python", "size"))
REACHABLE = Metric("mlife_part_reachable", "gauge", "1 if the part answered when it was last asked.", ("part",))
LOOKED = Metric("mlife_looked_seconds", "gauge", "How long ago the figures of the log were taken.", unit="seconds")
HEAD = Metric("mlife_log_position", "gauge", "The log's last position: how many events it has.")
FOLLOWER_POSITION = Metric(
    "mlife_follower_position", "gauge", "The last event that it has dealt with.", ("kind", "name")
)
FOLLOWER_LAG = Metric("mlife_follower_lag_events", "gauge", "Events behind the log.", ("kind", "name"), "events")
FOLLOWER_LATE = Metric(
    "mlife_follower_lag_seconds",
    "gauge",
    "How long the first event that it has not dealt with has been waiting.",
    ("kind", "name"),
    "seconds",
)
FOLLOWER_STATE = Metric(
    "mlife_follower_state", "stateset", "Is it live, stopped at an event, or was it never here?", ("kind", "name")
)
DEAD_LETTERS = Metric("mlife_dead_letters", "gauge", "Facts that a handler has parked.", ("handler",))
GROUP_LAG = Metric(
    "mlife_consumer_lag_records", "gauge", "Records that a consumer group has not read.", ("group", "topic"), "records"
)
UNREADABLE = Metric("mlife_feedback_unreadable_records", "gauge", "Records in mlife.feedback.dlq.", unit="records")
INTAKE = Metric("mlife_intake_items", "counter", "Reports and traffic counts that this process judged.", ("answer",))
TURNED_AWAY = Metric(
    "mlife_intake_turned_away", "counter", "Requests that were told to come back, unread, and why.", ("why",)
)
INTAKE_LIMIT = Metric(
    "mlife_intake_limit", "gauge", "What a sender who is not named in [intake] may bring; 0: no limit.", ("limit",)
)
REQUESTS = Metric("mlife_http_requests", "counter", "Requests answered.", ("method", "route", "status"))
REQUEST_SECONDS = Metric(
    "mlife_http_request_seconds",
    "histogram",
    "From a request's first byte to the head of its answer.",
    ("method", "route"),
    "seconds",
)

STATES: Final = ("live", "stopped", "missing")
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""Seconds; upper ends of the histogram's buckets."""

Sample = tuple[str, Mapping[str, str], float]
"""Suffix of the name, labels, value."""


@dataclass(frozen=True, slots=True)
class Family:
    """A metric and its samples of now."""

    metric: Metric
    samples: Sequence[Sample]


def gauge(metric: Metric, values: Iterable[tuple[Sequence[str], float]]) -> Family:
    """*metric* with a value for each tuple of label values."""
    return Family(metric, [("", dict(zip(metric.labels, labels, strict=True)), value) for labels, value in values])


def info(metric: Metric, *labels: str) -> Family:
    """*metric* as a fact: its labels, and 1."""
    return Family(metric, [("_info", dict(zip(metric.labels, labels, strict=True)), 1)])


def stateset(metric: Metric, states: Sequence[str], now: Iterable[tuple[Sequence[str], str]]) -> Family:
    """*metric* with 1 for the state that each is in, and 0 for the others."""
    samples: list[Sample] = []
    for labels, state in now:
        own = dict(zip(metric.labels, labels, strict=True))
        samples += [("", {**own, metric.name: s}, float(s == state)) for s in states]
    return Family(metric, samples)


class Counter:
    """Counts what this process did, by labels; any thread may add."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], float] = {}

    def add(self, *labels: str, count: float = 1) -> None:
        """Count *count* more under *labels*, in the metric's order."""
        with self._lock:
            self._counts[labels] = self._counts.get(labels, 0) + count

    def family(self) -> Family:
        """The counts of now."""
        with self._lock:
            counts = sorted(self._counts.items())
        names = self.metric.labels
        return Family(self.metric, [("_total", dict(zip(names, labels, strict=True)), n) for labels, n in counts])


class Histogram:
    """How long things took, by labels; any thread may add."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._lock = threading.Lock()
        self._found: dict[tuple[str, ...], tuple[list[int], list[float]]] = {}

    def add(self, *labels: str, seconds: float) -> None:
        """Something under *labels* took *seconds*."""
        place = bisect_left(BUCKETS, seconds)
        with self._lock:
            counts, total = self._found.setdefault(labels, ([0] * (len(BUCKETS) + 1), [0.0]))
            counts[place] += 1
            total[0] += seconds

    def family(self) -> Family:
        """The buckets of now; each counts what took as long or less."""
        with self._lock:
            found = sorted((labels, list(counts), total[0]) for labels, (counts, total) in self._found.items())
        samples: list[Sample] = []
        for labels, counts, total in found:
            own = dict(zip(self.metric.labels, labels, strict=True))
            so_far = 0
            for end, count in zip([*map(str, BUCKETS), "+Inf"], counts, strict=True):
                so_far += count
                samples.append(("_bucket", {**own, "le": end}, so_far))
            samples += [("_count", own, so_far), ("_sum", own, total)]
        return Family(self.metric, samples)


intake = Counter(INTAKE)
turned_away = Counter(TURNED_AWAY)
requests = Counter(REQUESTS)
request_seconds = Histogram(REQUEST_SECONDS)


def exposition(families: Iterable[Family]) -> bytes:
    """*families* as OpenMetrics text; those without samples are left out."""
    return ("\n".join([*_lines(families), "# EOF"]) + "\n").encode()


def _lines(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        if not family.samples:
            continue
        m = family.metric
        yield f"# TYPE {m.name} {m.kind}"
        if m.unit:
            yield f"# UNIT {m.name} {m.unit}"
        yield f"# HELP {m.name} {_escaped(m.help)}"
        for suffix, labels, value in family.samples:
            told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{m.name}{suffix}{f'{{{told}}}' if told else ''} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
