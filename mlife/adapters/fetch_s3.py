"""Links of s3, read from the servers that mlife.toml names for the system; a link itself names no server."""

from __future__ import annotations

from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from mlife.core.errors import Corrupt, HomeUnusable, Misconfigured, NotFound, Unavailable, shortened
from mlife.core.media.links import Bounds, Options, Unreadable, kept

CHUNK = 1 << 20


class S3Fetcher:
    """
    Reads links of one system.

    Args:
        options: `s3`: one or several `s3+https://key:secret@host/bucket`; the bucket of a link chooses among them.
    """

    def __init__(self, options: Options) -> None:
        told = options.get("s3", [])
        urls = [told] if isinstance(told, str) else told
        if not urls:
            raise Unreadable(
                "is in S3, and no server is named for its system",
                remedy='name it in mlife.toml: [links.<system>] s3 = "s3+https://key:secret@host/bucket"',
            )
        try:
            from mlife.adapters.s3 import S3, address_of
        except ModuleNotFoundError as e:
            raise Misconfigured(
                "is in S3, and its client is not installed", remedy="pip install 'mlife[cluster]'"
            ) from e
        self._servers: dict[str, Any] = {}
        for url in urls:
            address = address_of(url)
            self._servers[address.bucket] = S3(address, tries=2)

    def fetch(self, uri: str, bounds: Bounds) -> BinaryIO:
        """See `Fetcher`."""
        from mlife.adapters.s3_reading import open_object

        parts = urlsplit(uri)
        server = self._servers.get(parts.netloc)
        if server is None:
            raise Unreadable(
                f"is in the bucket {shortened(parts.netloc, 70)}, which is not named for its system",
                remedy="add its server to s3 of [links.<system>] in mlife.toml",
            )
        until = bounds.until
        try:
            with open_object(server, unquote(parts.path.lstrip("/")), None) as found:
                body = found.as_binary()
                return kept(iter(lambda: body.read(CHUNK), b""), found.size, bounds, until)
        except NotFound as e:
            raise Unreadable("is not in its bucket") from e
        except Unavailable as e:
            raise Unreadable(f"can't be read from its server: {e.message}", is_away=True) from e
        except (HomeUnusable, Corrupt, OSError) as e:
            raise Unreadable(f"can't be read from its server: {e}", is_passing=True) from e
        except Misconfigured as e:
            raise Unreadable(f"can't be read: {e.message}", remedy=e.remedy) from e
