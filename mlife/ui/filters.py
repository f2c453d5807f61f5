"""
How values are written on a page: Jinja filters, pure but for the clock of `ago`.

None is always written as an en dash. Times must be aware; they are shown in the reader's time zone, which the script
tells in a cookie (`reader_zone`), else in the server's.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from markupsafe import Markup

from mlife.core.errors import Misconfigured

NOTHING = "–"
_NO_TIME = Markup("–")
THIN = "\u202f"  # narrow, and never broken at the end of a line
_zone: ContextVar[tzinfo | None] = ContextVar("reader_zone", default=None)
_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (86400 * 14, 86400, "days"))


@contextmanager
def reader_zone(name: str | None) -> Iterator[None]:
    """Times inside are written in the time zone *name* (IANA); an unknown or missing one means the server's."""
    token = _zone.set(_known_zone(name))
    try:
        yield
    finally:
        _zone.reset(token)


def _known_zone(name: str | None) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # unknown name; a path; a folder of the zone database
        return None


def number(value: float | None, digits: int = 0) -> str:
    """*value* with thin separators: 48211 → `48 211`."""
    return NOTHING if value is None else f"{value:,.{digits}f}".replace(",", THIN).replace("-", "−")


def percent(share: float | None, digits: int = 0) -> str:
    """A share in [0, 1] as `36 %`; a share that is small or near one never rounds to 0 or 100."""
    if share is None:
        return NOTHING
    shown, least = round(share * 100, digits), 10**-digits
    if share > 0 and shown == 0:
        return f"<{THIN}{least:g}{THIN}%"
    if share < 1 and shown == 100:
        return f">{THIN}{100 - least:g}{THIN}%"
    return f"{number(shown, digits)}{THIN}%"


def filesize(count: int | None) -> str:
    """Bytes in decimal units: 12_345 → `12.3 kB`."""
    if count is None:
        return NOTHING
    size, unit = float(count), "B"
    for bigger in ("kB", "MB", "GB", "TB", "PB"):
        if size < 999.5:
            break
        size, unit = size / 1000, bigger
    return f"{size:.3g}{THIN}{unit}" if unit != "B" else f"{count}{THIN}B"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f}{THIN}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}{THIN}s"
    whole = round(seconds)
    days, rest = divmod(whole, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, secs = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (secs, "s")]
    first = next(i for i, (n, _) in enumerate(parts) if n)
    return " ".join(f"{n}{THIN}{unit}" for n, unit in parts[first : first + 2] if n)


def short_id(value: str | None, length: int = 8) -> str:
    """An id or digest shortened after its prefix: `sha256:0f3a…` keeps *length* characters; short ids stay whole."""
    if value is None:
        return NOTHING
    prefix, mark, rest = value.rpartition(":")
    if not mark:
        prefix, mark, rest = value.rpartition("-") if value.count("-") == 1 else ("", "", value)
    return value if len(rest) <= length + 4 else f"{prefix}{mark}{rest[:length]}…"


def initials(name: str) -> str:
    """A person in at most four letters: `mira`, `Ana Kovač` → `AK`, `bernadette` → `be`."""
    words = name.replace("@", " ").replace(".", " ").split()
    if len(name) <= 4 or not words:
        return name[:4]
    return (words[0][0] + words[1][0]).upper() if len(words) > 1 else name[:2]


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 report`, `412 reports`; *many* for words that don't take an s."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def day(when: datetime | None) -> Markup:
    """The day: `24 Nov`, with the year when it is another one."""
    if when is None:
        return _NO_TIME
    shown = _here(when)
    return _time(when, f"{shown.day} {shown:%b}" + (f" {shown.year}" if shown.year != datetime.now(UTC).year else ""))


def moment(when: datetime | None) -> Markup:
    """Day and minute in the reader's time zone."""
    return _NO_TIME if when is None else _time(when, f"{_here(when).day} {_here(when):%b %Y, %H:%M}")


def ago(when: datetime | None, now: datetime | None = None) -> Markup:
    """How long ago (`3 min ago`, `in 2 h`), the exact time on hover; after two weeks the day."""
    if when is None:
        return _NO_TIME
    seconds = ((now or datetime.now(UTC)) - when).total_seconds()
    for below, unit, name in _STEPS:
        if abs(seconds) < below:
            count = int(abs(seconds) // unit)
            if count == 0:
                return _time(when, "just now")
            said = f"{count}{THIN}{'day' if name == 'days' and count == 1 else name}"
            return _time(when, f"{said} ago" if seconds > 0 else f"in {said}")
    return day(when)


def _here(when: datetime) -> datetime:
    if when.tzinfo is None:
        raise Misconfigured(f"time {when.isoformat()} has no time zone", remedy="hand pages aware datetimes")
    return when.astimezone(_zone.get())


def _time(when: datetime, text: str) -> Markup:
    exact = _here(when)
    title = f"{exact:%Y-%m-%d %H:%M:%S} {exact.tzname() or ''}".strip()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(when.astimezone(UTC).isoformat(), title, text)


def as_json(value: object) -> str:
    """JSON to be read, as plain text: unlike `tojson` it is escaped wherever it is written."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def as_word(value: object) -> str:
    """*value* as one word of a shell command, whatever it holds: such commands are there to be copied."""
    return shlex.quote(str(value))


FILTERS = {
    "ago": ago,
    "as_json": as_json,
    "as_word": as_word,
    "day": day,
    "duration": duration,
    "filesize": filesize,
    "initials": initials,
    "moment": moment,
    "number": number,
    "percent": percent,
    "plural": plural,
    "short_id": short_id,
}
