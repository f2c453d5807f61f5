"""What the dead leave in a bucket: parts of files that were never joined, uploads that nobody asked to keep."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from minio.error import S3Error

from mlife.adapters.s3 import S3

AGE: Final = timedelta(days=1)


def leftovers(s3: S3, *, older_than: timedelta = AGE) -> Iterator[tuple[str, str | None]]:
    """
    The name of each leftover, and the id of the upload whose parts it is; None for a whole object in `incoming/`.

    MinIO lists no parts and removes them by itself.
    """
    address = s3.address
    until = datetime.now(UTC) - older_than
    with s3.translated():
        for found in s3.client.list_objects(address.bucket, prefix=address.incoming, recursive=True):
            if found.object_name and found.last_modified and found.last_modified <= until:
                yield found.object_name, None
    for prefix in (address.files, address.incoming):
        yield from _parts(s3, prefix, until)


def _parts(s3: S3, prefix: str, until: datetime) -> Iterator[tuple[str, str | None]]:
    # The client has no public way to list or end these (minio 7.2); a test watches that this one stays.
    try:
        with s3.translated():
            listed = s3.client._list_multipart_uploads(s3.address.bucket, prefix=prefix)  # noqa: SLF001
    except S3Error as e:
        if e.code != "NotImplemented":  # a server without it removes them by itself, or never has any
            raise
        return
    for found in listed.uploads:
        if found.initiated_time and found.initiated_time <= until:
            yield found.object_name, found.upload_id


def remove_leftovers(s3: S3, *, older_than: timedelta = AGE) -> int:
    """
    Remove leftovers; how many there were.

    Raises:
        Unavailable, Misconfigured: the server is away, or refuses to list or delete.
    """
    removed = 0
    for name, upload_id in list(leftovers(s3, older_than=older_than)):
        try:
            with s3.translated():
                if upload_id is None:
                    s3.client.remove_object(s3.address.bucket, name)
                else:
                    s3.client._abort_multipart_upload(s3.address.bucket, name, upload_id)  # noqa: SLF001
            removed += 1
        except S3Error:  # somebody else was faster
            continue
    return removed
