"""What S3 servers and the way to them say, as errors of ours: away, full, wrongly configured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from mlife.core.errors import HomeUnusable, Misconfigured, MLifeError, Unavailable, in_a_line, shortened

_FULL: Final = frozenset(
    {
        "InsufficientStorage",
        "QuotaExceeded",
        "StorageFull",
        "XAdminBucketQuotaExceeded",
        "XMinioAdminBucketQuotaExceeded",
        "XMinioStorageFull",
    }
)
_KEY: Final = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "XAdminUserNotFound"}
)
_PLACE: Final = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "Redirect", "TemporaryRedirect"})
_BUSY: Final = frozenset({"RequestTimeout", "SlowDown", "SlowDownRead", "SlowDownWrite", "XMinioServerNotInitialized"})
_NO_SPACE: Final = ("no space left", "storage backend has reached")
"""How a server without a code of its own for it says that its disk is full."""

START: Final = "start it, or correct MLIFE_FILES: host, port, s3+https where it speaks TLS"


@contextmanager
def translated(shown: str) -> Iterator[None]:
    """
    A block in which errors of the client and of the network become ours. Missing objects are left to the caller.

    Raises:
        Unavailable: the server is away or too busy. HomeUnusable: it has no room.
        Misconfigured: it refuses us, or is not what the URL says.
        S3Error: there is no such object, or not in the state that was asked for.
    """
    try:
        yield
    except S3Error as e:
        if is_missing(e) or e.code in {"InvalidRange", "NotImplemented", "PreconditionFailed", "NoSuchUpload"}:
            raise
        raise _refused(shown, e) from e
    except ServerError as e:
        raise Unavailable(f"the files' server {shown} fails ({e.status_code})", remedy=START) from e
    except InvalidResponseError as e:
        raise _strange(shown, e) from e
    except MinioException as e:
        raise Unavailable(f"the files' server {shown} answers strangely: {in_a_line(e)}", remedy=START) from e
    except HTTPError as e:
        raise _away(shown, e) from e


def is_missing(error: S3Error) -> bool:
    """Does it say that there is no such object?"""
    return error.code in {"NoSuchKey", "ResourceNotFound"}


def no_bucket(shown: str) -> Misconfigured:
    """What is said where the bucket is missing."""
    return Misconfigured(f"there is no bucket {shown}", remedy="`mlife doctor --fix` makes it")


def _refused(shown: str, error: S3Error) -> MLifeError:
    code, said = error.code or "", shortened(error.message or "", 200)
    status = error.response.status
    if code in _FULL or status == 507 or any(words in said.lower() for words in _NO_SPACE):
        return HomeUnusable(
            f"the files' server {shown} is full ({code})", remedy="free some space there, then try again"
        )
    if code == "NoSuchBucket":
        return no_bucket(shown)
    if code in _KEY:
        return Misconfigured(
            f"the files' server {shown} refuses our key ({code})", remedy="correct key and secret in MLIFE_FILES"
        )
    if code == "RequestTimeTooSkewed":
        return Misconfigured(
            f"the clocks of this machine and of {shown} are too far apart",
            remedy="let both follow the same time servers",
        )
    if code in _PLACE:
        return Misconfigured(
            f"the files' server {shown} is of another region: {said}", remedy="say region=… in MLIFE_FILES"
        )
    if code in _BUSY or status >= 500 or status == 429:
        return Unavailable(f"the files' server {shown} can't do it now ({code}: {said})", remedy=START)
    if code == "AccessDenied":
        return Misconfigured(
            f"the files' server {shown} refuses our key ({code})",
            remedy="correct key and secret in MLIFE_FILES, and let the key read, write, list and delete in the bucket",
        )
    return Misconfigured(f"the files' server {shown} refuses a request ({code}: {said})", remedy="see `mlife doctor`")


def _strange(shown: str, error: InvalidResponseError) -> MLifeError:
    said = in_a_line(error, 160)
    if re.search(r"Response code: (5\d\d|429)", str(error)):
        return Unavailable(f"the files' server {shown} fails: {said}", remedy=START)
    return Misconfigured(
        f"what answers at {shown} is no S3 server, or speaks another protocol: {said}",
        remedy="correct MLIFE_FILES: s3+https for a server with TLS, s3+http without, and the port of its API",
    )


def _away(shown: str, error: HTTPError) -> MLifeError:
    if isinstance(error, SSLError):
        return _untrusted(shown, str(error))
    why = "the connection breaks off"
    if isinstance(error, NameResolutionError):
        why = "its host is not known"
    elif isinstance(error, NewConnectionError):
        why = "the connection is refused" if "refused" in str(error) else "no connection can be made"
    elif isinstance(error, ConnectTimeoutError):
        why = "nothing answers at its address"
    elif isinstance(error, ReadTimeoutError):
        why = "it takes requests and does not answer"
    return Unavailable(f"the files' server {shown} is away: {why}", remedy=START)


def _untrusted(shown: str, said: str) -> Misconfigured:
    if "certificate verify failed" in said or "doesn't match" in said:
        why = said.partition("certificate verify failed:")[2].partition("(_ssl")[0].strip() or "it is of another host"
        return Misconfigured(
            f"the certificate of the files' server {shown} is not trusted: {shortened(why, 120)}",
            remedy="name the PEM file of its authority as ca=… in MLIFE_FILES, and the host that it is made for",
        )
    return Misconfigured(
        f"the files' server {shown} speaks no TLS that we understand: {shortened(said, 120)}",
        remedy="write s3+http for a server without TLS",
    )
