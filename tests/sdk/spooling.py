"""A device: keeps reports in a spool one after the other, and says which are kept, until it is killed."""

import sys
import time
from datetime import UTC, datetime

from mlife.sdk import Spool


def report(number: int) -> dict[str, object]:
    """Report *number* of a device; the same number is the same report."""
    return {
        "system": "dms", "function": "emotion", "version": "2.3.0", "client": "fleet-7", "report_id": f"r{number}",
        "observed_at": datetime(2026, 11, 20, 3, tzinfo=UTC), "data": [{"uri": f"s3://cam/{number}.jpg"}],
        "prediction": {"type": "class", "label": "happy"}, "truth": {"type": "class", "label": "sad"},
    }  # fmt: skip


if __name__ == "__main__":
    folder, url, first = sys.argv[1], sys.argv[2], int(sys.argv[3])
    spool = Spool(folder, url or None, linger=0.01, batch=50)
    while True:
        spool.report_many([report(first), report(first + 1)])
        print(first + 1, flush=True)  # noqa: T201 - what is kept
        first += 2
        time.sleep(0.004)  # a fast disk would take ten thousand a second, which the server then has to be sent
