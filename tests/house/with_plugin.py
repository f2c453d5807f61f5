"""Opens a home as any program does, reports failures, says what came of it: `python -m tests.house.with_plugin`."""

import json
import sys
from datetime import UTC, datetime

from mlife.badcases.events import BadcaseReported
from mlife.core.command import Given
from mlife.core.events import Event, registry
from mlife.core.handler import handlers
from mlife.core.projection import projections
from mlife.core.rebuild import verify
from mlife.runtime import open_home, settings


def report(given: Given, *, uid: str, badcase_id: str, dark: bool) -> list[Event]:
    """A report as intake makes it."""
    return [
        BadcaseReported(
            system="dms",
            function="emotion",
            version="2.3.0",
            data=({"uri": "s3://cam/1.jpg"},),
            prediction={"type": "class", "label": "sad"},
            observed_at=datetime(2026, 1, 2, tzinfo=UTC),
            fields={"place": "tunnel", "dark": dark},
            report_id=uid,
            uid=uid,
            badcase_id=badcase_id,
            fingerprint=badcase_id,
            fingerprint_version=1,
            content_sha256="0" * 64,
        )
    ]


def main(folder: str) -> None:
    """Report, let everything follow, and tell."""
    with open_home(settings(folder)) as home:
        for uid, badcase_id, dark in (("1", "bc-1", True), ("2", "bc-2", False), ("3", "bc-1", True)):
            home.do(report, uid=uid, badcase_id=badcase_id, dark=dark)
        while home.runner.step():
            pass
        from nightlamp.views import lamps  # type: ignore[import-not-found]

        with home.ports.views.read() as read:
            lit = lamps(read)
        answer = {
            "lamps": lit,
            "event": registry.kind("mlife.lamp.lit").type,
            "handler": "nightlamp.light" in handlers,
            "differences": verify(home.ports, projections["lamps"]),
            "letters": [str(x) for x in home.book.letters("nightlamp.light")],
        }
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1])
