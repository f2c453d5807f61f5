"""
The query language: one for the search box, URL, API, saved views, exports, bulk actions and alarms.

A feature declares a `Searchable` once in its `views.py`. `parse` reads what a person typed, `compile_query` turns it
into a condition on rows, `page` reads a page of them. The language itself is in `docs/query.md`.
"""

from mlife.core.query.completion import Completion, complete
from mlife.core.query.cursor import Cursor
from mlife.core.query.editing import narrow, without
from mlife.core.query.fields import Counted, Field, FieldHelp, Searchable, contains_text, fields_help
from mlife.core.query.listing import Listing, counts_by, read_page
from mlife.core.query.nodes import (
    EVERYTHING,
    And,
    Exact,
    Missing,
    Node,
    Not,
    Or,
    Prefix,
    Present,
    Range,
    Term,
    Text,
    has_words,
    terms_of,
)
from mlife.core.query.paging import Order, Page, Slice, in_order, must_page, page, read_sort
from mlife.core.query.parser import parse
from mlife.core.query.problem import QueryError, Span
from mlife.core.query.sql import compile_query, starts_with
from mlife.core.query.values import moment_text
from mlife.core.query.versions import version_key

__all__ = [
    "EVERYTHING",
    "And",
    "Completion",
    "Counted",
    "Cursor",
    "Exact",
    "Field",
    "FieldHelp",
    "Listing",
    "Missing",
    "Node",
    "Not",
    "Or",
    "Order",
    "Page",
    "Prefix",
    "Present",
    "QueryError",
    "Range",
    "Searchable",
    "Slice",
    "Span",
    "Term",
    "Text",
    "compile_query",
    "complete",
    "contains_text",
    "counts_by",
    "fields_help",
    "has_words",
    "in_order",
    "moment_text",
    "must_page",
    "narrow",
    "page",
    "parse",
    "read_page",
    "read_sort",
    "starts_with",
    "terms_of",
    "version_key",
    "without",
]
