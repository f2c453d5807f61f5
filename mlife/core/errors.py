"""
Every exception of MLife. Each says what happened, with the values, and what to do about it.

Doors (CLI, HTTP, pages) translate by class: `Refused` and its kin are the caller's to mend, `Unavailable` is worth a
retry, the rest is a fault of the installation.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

Thing = TypeVar("Thing")


class MLifeError(Exception):
    """
    Something that MLife can explain.

    Args:
        message: what happened, with the values.
        remedy: what to do about it; empty when the message says it already.
    """

    status = 500
    title = "Internal fault"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class Refused(MLifeError):
    """A command that the rules do not allow now."""

    status = 409
    title = "Refused"


class Reused(Refused):
    """An idempotency key that was used before for something else: neither is the old answer right, nor is it new."""

    status = 422
    title = "Same key, other content"


class NotFound(MLifeError):
    """No such thing."""

    status = 404
    title = "Not found"


def no_such(noun: str, id: str) -> NotFound:
    """What is said of an id that no *noun* has: `no_such("task", "tsk-7")`."""
    return NotFound(f"there is no {noun} {id}", remedy=f"look for it in the list of {noun}s, or by `mlife {noun} list`")


def there_is(found: Thing | None, noun: str, id: str) -> Thing:
    """
    What was *found*.

    Raises:
        NotFound: it is None.
    """
    if found is None:
        raise no_such(noun, id)
    return found


class Invalid(MLifeError):
    """
    Input that can't be read as what it should be.

    Args:
        refusals: the items at fault, each with its field, value, problem and what was expected.
    """

    status = 422
    title = "Invalid input"

    def __init__(self, message: str, *, remedy: str = "", refusals: tuple[Refusal, ...] = ()) -> None:
        super().__init__(message, remedy=remedy)
        self.refusals = refusals

    def __str__(self) -> str:
        lines = [super().__str__(), *(f"  {r}" for r in self.refusals[:20])]
        return "\n".join(lines)


class Conflict(MLifeError):
    """
    Another writer was faster: a stream that the decision read has grown since.

    Args:
        stream: the stream, e.g. `task/tsk-7`.
        expected: the version that the decision was made on.
        actual: the version that the stream has now.
    """

    status = 412
    title = "Conflict"

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(
            f"stream {stream} is at version {actual}, not {expected}",
            remedy="read it again, decide again, append again",
        )
        self.stream, self.expected, self.actual = stream, expected, actual


class Unavailable(MLifeError):
    """A part that is needed can't be reached or has not caught up; the same request may work later."""

    status = 503
    title = "Not available now"
    retry_after = 1


class TooMany(Unavailable):
    """
    Somebody brings more than they may; the same request will work later.

    Args:
        retry_after: seconds after which it will.
    """

    status = 429
    title = "Too much at once"

    def __init__(self, message: str, *, remedy: str = "", retry_after: int) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class HomeUnusable(MLifeError):
    """The home can't be written: full disk, read-only, or not ours."""

    status = 507
    title = "Home can't be written"


class Corrupt(MLifeError):
    """The log does not say what it must: a gap, a broken digest, an unknown event type."""


class Misconfigured(MLifeError):
    """A setting, a plug-in or a declaration is wrong."""


class Parked(MLifeError):
    """A handler or projection gave up on an event; it waits for a person."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    One item of a batch that was not taken.

    Args:
        line: the item's line (or place in the array), from 1.
        field: dotted path of the field at fault; empty when it is the item as a whole.
        value: what stood there, shortened to 200 characters.
        problem: what is wrong with it.
        expected: what would be right.
    """

    line: int
    field: str
    value: str
    problem: str
    expected: str

    def __str__(self) -> str:
        at = f"line {self.line}" + (f", {self.field}" if self.field else "")
        shown = f" {self.value!r}" if self.value else ""
        return f"{at}:{shown} {self.problem}" + (f"; expected {self.expected}" if self.expected else "")

    def as_json(self) -> dict[str, Any]:
        """The refusal as the contract's batch answer spells it."""
        return asdict(self)


def in_a_line(fault: BaseException, limit: int = 300) -> str:
    """*fault* as one line: its class and the first line of what it says (database errors repeat whole statements)."""
    return shortened(f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}", limit)


def shortened(value: object, limit: int = 200) -> str:
    """*value* as text that is safe to print: at most *limit* characters, control characters made visible."""
    text = value if isinstance(value, str) else repr(value[: limit * 2] if isinstance(value, bytes) else value)
    text = visible(text[: limit + 1], kept="")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def visible(text: str, *, kept: str = "\n\t") -> str:
    """*text* with the characters made visible that a terminal would obey, or that turn its direction; not *kept*."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


_SECRETS = re.compile(
    r"(?<=://)(?P<who>[^/?#@\s:]*):[^\s'\"]*@"  # user:secret@, where a secret may hold anything
    r"|(?P<name>[\w.-]*(?:password|passwd|secret|token|credential)[\w.-]*)=[^&\s'\"]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """*text*, in which URLs may stand, with their secrets replaced: the one way to print a connection."""
    return _SECRETS.sub(lambda m: f"{m['who']}:***@" if m["name"] is None else f"{m['name']}=***", text)
