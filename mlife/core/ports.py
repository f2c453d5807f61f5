"""
Ports: what MLife needs from the outside, named by role. `mlife/adapters/<port>_<technology>.py` provides them.

Each port has one contract suite in `tests/contract/`, run over every adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from mlife.core.events import Draft, Event, Recorded


@dataclass(frozen=True, slots=True)
class Append:
    """
    What one caller wants written; the writer judges each caller alone.

    Args:
        drafts: the events, in order.
        expected: stream → version that the decision read (0: must be empty). All are checked.
        whole: True for a decision (if the first event is known, nothing is written and all count as known);
            False for intake (every draft by itself).
    """

    drafts: Sequence[Draft]
    expected: Mapping[str, int] = field(default_factory=dict)
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Appended:
    """
    Where the drafts of an `Append` stand in the log now.

    Args:
        positions: one for each draft, its old position if it was known.
        known: for each draft, whether its id had been seen before (then nothing was written for it).
    """

    positions: Sequence[int]
    known: Sequence[bool]

    @property
    def position(self) -> int:
        """The highest position: wait for it to read your own write."""
        return max(self.positions, default=0)


class Pending(Protocol):
    """An append on its way; those of one caller are written in the order in which they were submitted."""

    def result(self) -> Appended:
        """Wait for the answer; raises what `EventStore.append` raises."""


class EventStore(Protocol):
    """
    The log: one total order of immutable events.

    Positions are dense and in commit order, across processes. An answer comes after the events are durable.
    """

    def append(self, append: Append) -> Appended:
        """
        Write what one caller decided.

        Raises:
            Conflict: a stream in `expected` has another version; nothing of this caller is written.
            HomeUnusable: the disk is full or read-only; nothing of this caller is written.
        """

    def submit(self, append: Append) -> Pending:
        """As `append`, but go on at once: for streams, which prepare what comes next while this is being written."""

    def head(self) -> int:
        """The last position; 0 for an empty log."""

    def read(self, after: int = 0, limit: int = 10_000, *, types: Sequence[str] = ()) -> list[Recorded[Event]]:
        """Up to *limit* events after position *after*, in order; only those of *types* (versioned) if given."""

    def read_stream(self, stream: str, after_version: int = 0) -> list[Recorded[Event]]:
        """The events of *stream* after *after_version*, in order."""

    def find(self, event_ids: Sequence[bytes]) -> dict[bytes, Recorded[Event]]:
        """Those of *event_ids* (16 bytes each) that the log has."""

    def wait(self, after: int, timeout: float) -> int:
        """Sleep until the head is beyond *after*, at most *timeout* seconds; the head then."""

    def wake(self) -> None:
        """End every `wait` of this process now."""

    def barrier(self) -> AbstractContextManager[int]:
        """Hold the writer lock: inside, nobody appends, and the head (the value) stands still."""

    def close(self) -> None:
        """Finish what is queued and release the files."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """Bytes in the store: hex `sha256` is the identity, hex `md5` a column, `size` in bytes."""

    sha256: str
    md5: str
    size: int


@dataclass(frozen=True, slots=True)
class UploadLink:
    """
    Where a client may put the bytes of one file by itself, once, past this process.

    Args:
        upload_id: to say afterwards that they are there.
        url: takes one PUT with exactly *headers* beside what HTTP needs. Whoever has it may put: it is a secret.
        seconds: how long it is good for.
    """

    upload_id: str
    url: str = field(repr=False)
    headers: Mapping[str, str]
    seconds: int


class Blobs(Protocol):
    """
    Immutable files by the SHA-256 of their content (64 hexadecimal digits).

    What has a place of its own elsewhere may be away: then every method raises `Unavailable` within seconds.
    """

    def put(self, source: bytes | Path | BinaryIO, *, limit: int | None = None) -> StoredFile:
        """
        Keep the bytes of *source*, durably, before answering; putting them twice changes nothing.

        Args:
            limit: the largest size in bytes.

        Raises:
            Invalid: *source* is larger than *limit*, or broke off. NotFound: it is a path without a file.
            HomeUnusable: there is no room.
        """

    def open(self, sha256: str, *, verify: bool = False) -> BinaryIO:
        """
        The bytes, to read and to seek in.

        Args:
            verify: read them all once before, and compare.

        Raises:
            NotFound: there are none.
            Corrupt: they are not what was stored. What is read from elsewhere is compared whenever it is read in order.
        """

    def path(self, sha256: str) -> Path | None:
        """
        A local path to the bytes, to read from within the hour; None if the store can't give one. Raises NotFound.

        Where the store is elsewhere it is a copy on this machine, which makes room for others some day: see `hold`.
        """

    def hold(self, sha256: str, at: Path) -> Path:
        """
        A local path to the bytes that is good until *at* is removed; *at* may be made, to hold them. Raises NotFound.
        """

    def has(self, sha256: str) -> bool:
        """Are the bytes there?"""

    def size(self, sha256: str) -> int:
        """How many bytes there are. Raises NotFound."""

    def download_link(self, sha256: str, *, disposition: str, media_type: str, seconds: int) -> str | None:
        """
        A URL from which anybody may get the bytes for *seconds*; None if the store gives none.

        Args:
            disposition, media_type: headers that they are sent with.
        """

    def upload_link(self, *, sha256: str, size: int, seconds: int) -> UploadLink | None:
        """A link for the bytes with this digest and size; None if the store gives none."""

    def take_upload(self, upload_id: str, *, sha256: str, size: int) -> StoredFile:
        """
        Keep what was put to a link, once it has been read and is what it should be. May be repeated.

        Raises:
            NotFound: nothing was put there. Invalid: something else was; it is thrown away.
        """


class Shelf(Protocol):
    """
    Bytes that were derived of other bytes, by kind and key: cheap to lose, since they are made again.

    What is put is there for other processes at once, and after a crash of this one.
    """

    def put(self, kind: str, items: Mapping[str, bytes]) -> None:
        """Keep *items* by their keys, all or none; what was there is replaced."""

    def get(self, kind: str, keys: Sequence[str]) -> dict[str, bytes]:
        """Those of *keys* that are there."""

    def has(self, kind: str, keys: Sequence[str]) -> set[str]:
        """The same without reading them."""

    def kinds(self) -> list[str]:
        """The kinds of which there is anything."""

    def drop(self, kind: str) -> int:
        """Forget a kind; how many items there were."""


class Locks(Protocol):
    """Named locks that the holder's death releases."""

    def hold(self, name: str, *, timeout: float = 0.0) -> AbstractContextManager[bool]:
        """Try to hold *name* inside the block, waiting up to *timeout* seconds; the value says whether it is held."""

    def is_held(self, name: str) -> bool:
        """Does anybody hold *name*?"""


class Keys(Protocol):
    """Sealing keys, one per data subject, in a table of their own."""

    def of_subject(self, subject: str) -> tuple[str, bytes]:
        """The key id and 32-byte key of *subject*, made durably if there is none."""

    def by_id(self, key_id: str) -> bytes | None:
        """The key, or None when it was dropped."""

    def drop(self, subject: str) -> bool:
        """Erase: forget the key of *subject*. False if there was none."""


class Clock(Protocol):
    """What time it is."""

    def now(self) -> datetime:
        """The moment, UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The moment, UTC."""
        return datetime.now(UTC)


class ModelFacts(Protocol):
    """
    What a checked model file holds.

    Args:
        sha256: of the file, as `sha256:…`. size: bytes.
        metadata: what was stamped into it, e.g. its Model ID.
    """

    @property
    def sha256(self) -> str: ...

    @property
    def size(self) -> int: ...

    @property
    def metadata(self) -> Mapping[str, str]: ...


class Models(Protocol):
    """Opens model files."""

    def check(self, path: Path) -> ModelFacts:
        """What a valid model file holds. Raises NotFound, or Invalid with what is wrong."""

    def load(self, path: Path) -> Predictor:
        """A predictor on the model; its memory is freed with it."""


class Predictor(Protocol):
    """
    A loaded model. Safe to share between threads.

    Args:
        input_name: what its input is called.
        shape: of its input, batch axis first; None for an axis of any length, empty when the model does not say.
        reads_pictures: does it say how it wants pictures?
    """

    @property
    def input_name(self) -> str: ...

    @property
    def shape(self) -> tuple[int | None, ...]: ...

    @property
    def reads_pictures(self) -> bool: ...

    def predict(self, batch: Any) -> Sequence[Mapping[str, Any]]:
        """As `predict_files`, for each row of numbers of *batch*. Raises Invalid: the shape is not the model's."""

    def predict_files(self, pictures: Iterable[bytes]) -> Sequence[Mapping[str, Any]]:
        """One answer for each encoded picture, in order: its `label`, and the `score` of it in [0, 1] or None."""


@dataclass(frozen=True, slots=True)
class Offer:
    """
    A model that a target is to answer with.

    Args:
        name: what clients ask for, `<system>.<function>`; several models may have one name, the first answers to it.
        sha256: hex digest that the file at *path* must have.
    """

    name: str
    model_id: str
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Answering:
    """
    A model that answers now, and for what.

    Args:
        slot: what its deployment answers for on this target; one deployment holds it at a time.
        since: position in the log up to which the target knew what is active when it took the model.
    """

    name: str
    slot: str
    model_id: str
    sha256: str
    deployment_id: str
    version: str
    since: int
    predictor: Predictor


class Target(Protocol):
    """A place where models answer."""

    @property
    def name(self) -> str:
        """What deployments call it, e.g. `local`."""

    def take(self, *, slot: str, deployment_id: str, version: str, offers: Sequence[Offer], since: int) -> str:
        """
        Answer with *offers* in *slot* from now on; until all of them are ready, what answered before goes on.

        Nothing changes if the slot holds what was taken with a higher *since*.

        Returns:
            The Model ID that the target gives when it is asked which model answers.

        Raises:
            Corrupt: a file is not what its digest says.
            MLifeError: a model can't be loaded or does not answer. Nothing has changed.
        """

    def answering(self, name: str) -> Answering | None:
        """What answers to *name*, `<system>.<function>` or a Model ID; None: nothing."""

    def held(self) -> Sequence[Answering]:
        """Everything that answers here."""


def iterate(
    store: EventStore, after: int = 0, *, until: int | None = None, run: int = 10_000
) -> Iterator[Recorded[Event]]:
    """Every event after *after*, up to *until* (default: the head at the start), read in runs."""
    last = store.head() if until is None else until
    while after < last:
        events = store.read(after, min(run, last - after))
        if not events:
            return
        yield from events
        after = events[-1].position


@dataclass(frozen=True, slots=True)
class Notice:
    """
    What is told to somebody outside.

    Args:
        id: of the message, the same in every try: whoever gets it twice knows it by that.
        type: what happened, e.g. `mlife.alarm.raised`. at: when.
        subject, text: for a person. data: for a program; JSON.
    """

    id: str
    type: str
    at: datetime
    subject: str
    text: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NoticeTarget:
    """Whom notices go to; `name` is what may be shown, and tells targets of a `channel` apart."""

    channel: str
    name: str


class Notifier(Protocol):
    """Tells people and programs outside, beside whoever asks for it."""

    def targets(self) -> Sequence[NoticeTarget]:
        """Whom it can tell, as configured."""

    def send(self, notice: Notice, channel: str, target: str, done: Callable[[str | None, bool], None]) -> bool:
        """
        Try once, in a thread of its own.

        Args:
            done: called afterwards with None, or with why it was not taken and whether another try is in vain.

        Returns:
            False: the same notice is on its way already; nothing is done.
        """

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is on its way. True if so."""

    def close(self) -> None:
        """Finish what is on its way, and take nothing more."""
