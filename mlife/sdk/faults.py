"""What the SDK raises."""

from __future__ import annotations


class SdkError(RuntimeError):
    """
    The SDK can't go on; the message says what to do.

    Args:
        status: of the HTTP answer that said so; None where it was something else.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Away(SdkError):
    """
    The server did not answer, or asked to be asked later.

    Args:
        retry_after: seconds that it asked for; None if it said nothing.
    """

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after


class FileRefused(SdkError):
    """This file can't be stored; others can."""


class SpoolFull(SdkError):
    """The spool holds as many bytes as it may; this report was not taken."""


class SpoolTaken(SdkError):
    """Another process has this spool open."""
