"""
What can be asked about data: query tables (`tables`), the query language (`searching`), and query functions.

Other features are handed these through handlers; inside, `pages` and `intake` use them.
"""

from mlife.data.views.collecting import (
    ClassProgress,
    RequestView,
    open_requests,
    request,
    request_page,
    requests_for,
)
from mlife.data.views.collecting import requests_for as requests
from mlife.data.views.documents import (
    DocumentView,
    PinnedRow,
    RowView,
    bodies,
    document,
    document_list,
    document_page,
    numbers_of,
    pinned,
    row,
    row_page,
    rows_at,
    rows_condition,
    rows_in_documents,
    test_document,
    test_document_rows,
)
from mlife.data.views.files import (
    FileUse,
    FileView,
    file,
    file_page,
    files_by_md5,
    files_by_sha256,
    stored_bytes,
    uses_of,
    uses_of_file,
)
from mlife.data.views.groups import (
    GroupRow,
    GroupView,
    group,
    group_page,
    group_rows_after,
    group_rows_of,
    groups_of_document,
)
from mlife.data.views.groups import group_rows_of as group_rows
from mlife.data.views.searching import (
    searchable_documents,
    searchable_files,
    searchable_groups,
    searchable_requests,
    searchable_rows,
)
from mlife.data.views.statistics import Statistics, analyse
from mlife.data.views.touching import Touched, documents_of_function, touched_rows

__all__ = [
    "ClassProgress",
    "DocumentView",
    "FileUse",
    "FileView",
    "GroupRow",
    "GroupView",
    "PinnedRow",
    "RequestView",
    "RowView",
    "Statistics",
    "Touched",
    "analyse",
    "bodies",
    "document",
    "document_list",
    "document_page",
    "documents_of_function",
    "file",
    "file_page",
    "files_by_md5",
    "files_by_sha256",
    "group",
    "group_page",
    "group_rows",
    "group_rows_after",
    "group_rows_of",
    "groups_of_document",
    "numbers_of",
    "open_requests",
    "pinned",
    "request",
    "request_page",
    "requests",
    "requests_for",
    "row",
    "row_page",
    "rows_at",
    "rows_condition",
    "rows_in_documents",
    "searchable_documents",
    "searchable_files",
    "searchable_groups",
    "searchable_requests",
    "searchable_rows",
    "stored_bytes",
    "test_document",
    "test_document_rows",
    "touched_rows",
    "uses_of",
    "uses_of_file",
]
