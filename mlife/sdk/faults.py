"""What the SDK raises."""

from __future__ import annotations


class SdkError(RuntimeError):
    """The SDK can't go on; the message says what to do."""


class FileRefused(SdkError):
    """This file can't be stored; others can."""
