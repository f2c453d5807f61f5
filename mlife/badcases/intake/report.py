"""
A report, as a client sends it, and why one can't be taken.

`check` is the only judge: the command line, HTTP and Python all come through it, so that all refuse the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, NotRequired, TypeAlias

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, WithJsonSchema
from pydantic_core import ValidationError
from typing_extensions import TypedDict

from mlife.badcases.intake.refusal import DEEPEST_FIELD, EXPECTED, LONGEST_TEXT, MOST_FIELDS, Unfit, unfit
from mlife.core.annotation import EXAMPLES, STRICT, Annotation, annotation_adapter, bare, inconsistency
from mlife.core.sealing import NUMBER, TEXT, is_sealed

JSON = Any
OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
FUTURE = timedelta(days=1)
"""How far a client's clock may be ahead of ours."""
LARGEST = 900_000
"""Bytes of one report as JSON: below what a Kafka message may have by default."""

# Control characters but tab and line ends are never text; they come from broken or hostile senders.
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

CLOSED = ConfigDict(**STRICT, extra="forbid")

Word: TypeAlias = Annotated[str, Field(min_length=1, max_length=128)]
Sha256: TypeAlias = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Moment: TypeAlias = Annotated[Any, WithJsonSchema({"type": "string", "format": "date-time"})]
System: TypeAlias = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\s/?#%]+$")]


class Link(TypedDict, total=False):
    """
    Original data: where it is, or which stored file it is.

    Fields:
        uri: `s3://…`, `https://…`, `http://…` or `sha256:…`; may be left out where `sha256` is given.
        pending: the bytes follow later.
    """

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    uri: Annotated[str, Field(max_length=2048, pattern=r"^(?:s3://|https?://|sha256:[0-9a-f]{64}$)[^\x00-\x20]*$")]
    sha256: Sha256 | None
    media_type: Annotated[str, Field(max_length=128, pattern=r"^[A-Za-z0-9.+-]+/[A-Za-z0-9.+-]+$")] | None
    pending: bool | None


class Report(TypedDict):
    """
    One observed failure, as its client sends it. The contract has the same under the same heading.

    Fields:
        truth: what is right; None or absent if unknown.
        observed_at: RFC 3339 with a time zone, from 1990 up to a day ahead.
        fields: at most 100 free ones, at most 4 levels deep.
        key: groups reports explicitly, instead of by what went wrong.
        report_id: the client's own idempotency key; without it the hash of the content serves.
    """

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    system: System
    function: Word
    version: Word
    level: NotRequired[Literal["system", "model"] | None]
    model_ids: NotRequired[Annotated[list[Word], Field(max_length=16)] | None]
    data: Annotated[list[Link], Field(min_length=1, max_length=100)]
    prediction: Annotation
    truth: NotRequired[Annotation | None]
    description: NotRequired[Annotated[str, Field(max_length=LONGEST_TEXT)] | None]
    client: NotRequired[Word | None]
    device: NotRequired[Word | None]
    place: NotRequired[Word | None]
    reporter: NotRequired[Word | None]
    severity: NotRequired[Literal["minor", "major", "critical"] | None]
    observed_at: Moment
    kind: NotRequired[Literal["failure", "rare", "long_tail"] | None]
    fields: NotRequired[dict[Word, Any] | None]
    key: NotRequired[Word | None]
    report_id: NotRequired[Word | None]


class Traffic(TypedDict):
    """So many requests were answered between two moments, right or wrong."""

    __pydantic_config__ = CLOSED  # type: ignore[misc]
    system: System
    function: Word
    version: Word
    client: NotRequired[Word | None]
    device: NotRequired[Word | None]
    count: Annotated[int, Field(ge=0, le=10**12)]
    # "from" is a keyword: the two ends are added below
    to: Moment


Traffic.__annotations__["from"] = Moment
Traffic.__required_keys__ = Traffic.__required_keys__ | {"from"}

report_adapter: TypeAdapter[Report] = TypeAdapter(Report)
traffic_adapter: TypeAdapter[Traffic] = TypeAdapter(Traffic)
_validate_report = report_adapter.validator.validate_python
_validate_traffic = traffic_adapter.validator.validate_python


def check(report: Mapping[str, JSON], now: datetime) -> tuple[dict[str, JSON], bytes]:
    """
    Look whether *report* may be taken.

    Returns:
        The report with its time in UTC, and its canonical JSON: sorted keys, null the same as absent, times in UTC.

    Raises:
        Unfit: the first thing that is wrong with it.
    """
    try:
        checked: dict[str, JSON] = _validate_report(report, extra="forbid")
    except ValidationError as e:
        raise unfit(e, fields=Report.__annotations__) from None
    checked["observed_at"] = moment("observed_at", checked["observed_at"], now)
    if checked.get("fields"):
        _check_fields(checked["fields"])
    prediction, truth = checked["prediction"], checked.get("truth")
    if truth is not None:
        _check_pair(prediction, truth, checked.get("kind"))
    if prediction["type"] != "class":
        _check_shape("prediction", prediction)
        if truth is not None:
            _check_shape("truth", truth)
    for link in checked["data"]:
        if "uri" not in link and not link.get("sha256"):
            raise Unfit("data", link, "holds a link to nothing", "a uri, a sha256, or both")
    return checked, canonical(checked)


def check_traffic(traffic: Mapping[str, JSON], now: datetime) -> dict[str, JSON]:
    """
    Look whether *traffic* may be taken; the same with its ends in UTC, and without nulls.

    Raises:
        Unfit: the first thing that is wrong with it.
    """
    try:
        checked: dict[str, JSON] = _validate_traffic(traffic, extra="forbid")
    except ValidationError as e:
        raise unfit(e, fields=Traffic.__annotations__) from None
    for end in ("from", "to"):
        checked[end] = moment(end, checked[end], now)
    if checked["from"] >= checked["to"]:
        raise Unfit("to", checked["to"].isoformat(), "is not after `from`", EXPECTED["to"])
    canonical(checked)  # refuses what is no text
    return {k: v for k, v in checked.items() if v is not None}


def check_annotation(field: str, value: JSON) -> dict[str, JSON]:
    """
    Look whether *value* is a typed prediction or truth.

    Raises:
        Unfit: it is not.
    """
    try:
        checked: dict[str, JSON] = annotation_adapter.validator.validate_python(value, extra="forbid")
    except ValidationError as e:
        raise unfit(e, field) from None
    _check_shape(field, checked)
    canonical(checked)
    pruned: dict[str, JSON] = _pruned(checked)
    return pruned


_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z


def canonical(value: Mapping[str, JSON]) -> bytes:
    """
    Canonical JSON of something checked.

    Raises:
        Unfit: it is no JSON, holds control characters, or is too large.
    """
    try:
        text = orjson.dumps(value, option=_CANONICAL)
        if b"null" in text:
            text = orjson.dumps(_pruned(value), option=_CANONICAL)
    except TypeError as e:
        raise Unfit("", value, f"is no JSON: {e}", "text as UTF-8 and numbers of at most 64 bits") from None
    if len(text) > LARGEST:
        raise Unfit("", "", f"has {len(text):,} bytes of JSON", f"at most {LARGEST:,}; link to data instead")
    if b'"sealed:' in text:
        _refuse_marks("", value)
    if b"\\" in text or b"\x7f" in text or b"\xc2" in text:  # one byte each, as this is asked of every report
        _refuse_control("", value)
    return text


def _pruned(value: JSON) -> JSON:
    """Without the members that are null; in lists null stays, as it holds a place."""
    if isinstance(value, dict):
        return {k: _pruned(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_pruned(v) for v in value]
    return value


def _refuse_marks(path: str, value: JSON) -> None:
    """A text that looks sealed would be opened for whoever may read it, though it was copied from somewhere."""
    if isinstance(value, str) and is_sealed(value):
        raise Unfit(path, value, "begins as what MLife has sealed", f"text that does not begin with {TEXT} or {NUMBER}")
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        _refuse_marks(f"{path}.{name}" if path else str(name), part)


def _refuse_control(path: str, value: JSON) -> None:
    if isinstance(value, str) and (found := CONTROL.search(value)):
        raise Unfit(path, value, f"holds the control character U+{ord(found[0]):04X}", "text")
    if isinstance(value, Mapping):
        for name, part in value.items():
            _refuse_control(path, name)
            _refuse_control(f"{path}.{name}" if path else str(name), part)
    elif isinstance(value, list):
        for place, part in enumerate(value):
            _refuse_control(f"{path}.{place}", part)


def moment(field: str, value: JSON, now: datetime) -> datetime:
    """
    *value* (RFC 3339, or a datetime) in UTC.

    Raises:
        Unfit: it has no time zone, or lies before 1990 or more than a day ahead of *now*.
    """
    try:
        found: datetime = datetime.fromisoformat(value) if type(value) is str else value
        if found.tzinfo is not UTC:
            if found.tzinfo is None:
                raise Unfit(field, value, "has no time zone", EXPECTED[field])
            found = found.astimezone(UTC)
    except (ValueError, OverflowError, AttributeError):
        raise Unfit(field, value, "is no moment", EXPECTED[field]) from None
    if found < OLDEST:
        raise Unfit(field, value, "is before 1990", EXPECTED[field])
    if found - now > FUTURE:
        raise Unfit(field, value, f"is in the future: it is {now:%Y-%m-%dT%H:%MZ} here", EXPECTED[field])
    return found


def _check_pair(prediction: JSON, truth: JSON, kind: str | None) -> None:
    """Prediction and truth are of one type, and a failure is a difference."""
    if prediction["type"] == "class" and truth["type"] == "class" and prediction["label"] != truth["label"]:
        return  # nearly all
    if prediction["type"] != truth["type"]:
        raise Unfit(
            "truth.type",
            truth["type"],
            f"is another type than the prediction's {prediction['type']}",
            EXPECTED["truth"],
        )
    if kind in (None, "failure") and bare(prediction) == bare(truth):
        raise Unfit(
            "truth",
            truth.get("label", truth),
            "is what was predicted",
            "a truth that differs, or kind rare or long_tail",
        )


def _check_shape(field: str, said: JSON) -> None:
    wrong = inconsistency(said)
    if wrong is not None:
        member, value, problem = wrong
        raise Unfit(f"{field}.{member}", value, problem, EXAMPLES[said["type"]])


def _check_fields(free: Mapping[str, JSON]) -> None:
    if len(free) > MOST_FIELDS:
        raise Unfit("fields", f"{len(free)} fields", "are too many", EXPECTED["fields"])
    for name, value in free.items():
        kind = type(value)  # nearly all are short texts and plain numbers
        if kind is str:
            if len(value) <= LONGEST_TEXT:
                continue
        elif (kind is int or kind is float) and -(2**63) < value < 2**63:
            continue
        _check_free(f"fields.{name}", value, 1)


def _check_free(path: str, value: JSON, depth: int) -> None:
    match value:
        case None | bool():
            pass
        case str():
            if len(value) > LONGEST_TEXT:
                raise Unfit(path, value, f"has {len(value):,} characters", f"at most {LONGEST_TEXT:,}")
        case int() | float():
            _check_number(path, value)
        case list() | dict():
            if depth >= DEEPEST_FIELD or len(value) > MOST_FIELDS:
                raise Unfit(path, "", "is nested too deep or too long", EXPECTED["fields"])
            for name, part in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(value, dict) and (not isinstance(name, str) or len(name) > 128):
                    raise Unfit(path, name, "is no name of a field", "1 to 128 characters")
                _check_free(f"{path}.{name}", part, depth + 1)
        case _:
            raise Unfit(path, value, f"is a {type(value).__name__}", "text, number, true, false, null, list or object")


def _check_number(path: str, value: JSON) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Unfit(path, value, "is not finite", "a number, or null")
    if abs(value) >= 2**63:  # an integer beyond 64 bits comes out of JSON as a float that is not quite it
        shown = value if abs(value) < 10**60 else ""
        raise Unfit(path, shown, "is a number beyond 64 bits", "a smaller one, or text")
