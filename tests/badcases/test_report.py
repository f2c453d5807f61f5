"""A report names system, function and version, and says what was seen; the published schema says the same."""

from __future__ import annotations

from typing import Any

import pytest

from mlife.badcases.intake.refusal import Unfit
from mlife.badcases.intake.report import check, check_annotation, report_adapter
from mlife.badcases.views import lists
from mlife.core.annotation import EXAMPLES
from tests.badcases.conftest import NOW, Field, report

REQUIRED = ("system", "function", "version", "data", "prediction", "observed_at")


@pytest.mark.parametrize("name", REQUIRED)
def test_what_is_required_is_missed_by_name(name: str) -> None:
    sent = report()
    del sent[name]

    with pytest.raises(Unfit) as caught:
        check(sent, NOW)
    assert (caught.value.field, caught.value.problem) == (name, "is missing")


def test_the_published_schema_asks_for_what_the_check_asks_for() -> None:
    schema: dict[str, Any] = report_adapter.json_schema()

    assert set(schema["required"]) == set(REQUIRED)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["observed_at"]["format"] == "date-time"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_example_of_each_type_is_right(kind: str) -> None:
    import orjson

    assert check_annotation("truth", orjson.loads(EXAMPLES[kind]))["type"] == kind


def test_function_and_version_are_two_gradings_of_the_same_failures(field: Field) -> None:
    field.send(
        *(report(picture=f"{v}{f}", version=v, function=f) for v in ("1.9", "1.10", "2.0") for f in ("digit", "letter"))
    )

    found = {b.function: b for b in field.read(lists.badcases, "", now=NOW).items}
    assert {f: (b.reports, b.first_version, b.last_version) for f, b in found.items()} == {
        "digit": (3, "1.9", "2.0"),
        "letter": (3, "1.9", "2.0"),
    }
    assert field.read(lists.reports, "version>=1.10 function:digit", now=NOW).total == 2


@pytest.mark.parametrize(
    ("other", "field_at_fault", "problem"),
    [
        ({"system": {"type": "scalar", "value": 10**400}}, "system", "is no text but an object"),
        ({"function": [10**30]}, "function", "is no text but a list"),
        ({"fields": {"\ud800": 1}}, "fields", "holds half a character"),
        ({"fields": {"x" * 10_001: 1}}, "fields", "has 10,001 characters"),
        ({"data": [{"uri": "s3://a/b"}] * 101}, "data", "has more than 100 items"),
    ],
)
def test_what_no_json_library_writes_is_refused_alone_in_a_few_words(
    field: Field, other: dict[str, Any], field_at_fault: str, problem: str
) -> None:
    answer = field.intake.reports([report(**other), report(picture=2)])
    assert answer.accepted == 1
    (refusal,) = answer.refused
    assert (refusal.line, refusal.field, refusal.problem) == (1, field_at_fault, problem)
    assert len(str(refusal.as_json())) < 600
