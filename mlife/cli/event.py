"""`mlife event`: the log as CloudEvents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mlife.cli.terminal import print_json, with_home
from mlife.core.events import Event, Recorded, registry
from mlife.core.names import event_type

if TYPE_CHECKING:
    from mlife.runtime import Home

RUN = 1_000


@click.group("event")
def command() -> None:
    """Read the log: every fact, in the one order it happened."""


@command.command("tail")
@click.option("--after", type=click.IntRange(min=0), help="Start after this position (default: the last 20 events).")
@click.option(
    "--type", "types", multiple=True, help="Only this type, e.g. mlife.model.judged or …judged.v1; repeatable."
)
@click.option("--subject", help="Only this stream, e.g. badcase/bc-3f9a2c41b7d0.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many events.")
@click.option("--follow", "-f", is_flag=True, help="Go on as events come; Ctrl-C ends it.")
@with_home
def tail(
    home: Home, after: int | None, types: tuple[str, ...], subject: str | None, limit: int | None, follow: bool
) -> None:
    """
    Print events as CloudEvents, one JSON object a line.

    \b
    mlife event tail --type mlife.deployment.activated --follow
    mlife event tail --after 0 > history.ndjson
    """
    wanted = {event_type(t) for t in types}
    store = home.ports.store
    head = store.head()
    position = max(0, head - 20) if after is None else after
    left = limit if limit is not None else -1
    while True:
        events = store.read(position, RUN)
        for recorded in events:
            position = recorded.position
            if _is_wanted(recorded, wanted, subject):
                print_json(recorded.as_cloud_event())
                left -= 1
                if left == 0:
                    return
        if not events:
            if not follow:
                return
            store.wait(position, 1.0)


def _is_wanted(recorded: Recorded[Event], types: set[str], subject: str | None) -> bool:
    name = recorded.draft.type
    if types and name not in types and name.rsplit(".v", 1)[0] not in types:
        return False
    return subject is None or recorded.stream == subject


@command.command("types")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
def types(as_json: bool) -> None:
    """
    List the event types that the installed features declare.

    \b
    mlife event types
    """
    from mlife.cli.terminal import show
    from mlife.runtime import load_features

    load_features(("events",))
    rows = [
        {"type": k.type, "topic": k.topic, "stream": k.stream, "what": (k.cls.__doc__ or "").strip().split("\n", 1)[0]}
        for k in registry
    ]
    show(rows, as_json=as_json)
