"""An empty bucket on a real S3 server, by the port and past it."""

from __future__ import annotations

import pytest

from mlife.adapters.blobs_minio import MinioBlobs
from mlife.adapters.health_s3 import check_s3
from mlife.adapters.s3 import S3, address_of
from mlife.core.errors import Unavailable
from tests.adapters.s3_things import soon
from tests.adapters.s3_wire import S3Wire
from tests.adapters.small_s3 import SmallS3, can_mount
from tests.components import started
from tests.embedders import site

__all__ = ["site"]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def blobs(s3_url, cache):
    return MinioBlobs(s3_url, cache=cache)


@pytest.fixture
def wire(s3_url):
    made = S3Wire(s3_url)
    yield made
    made.close()


@pytest.fixture
def bucket(s3_url):
    """The server, past the port: what a stranger with the key might do."""
    return S3(address_of(s3_url))


@pytest.fixture
def small_s3(tmp_path):
    if not can_mount():
        pytest.skip("mounting a small disk needs user namespaces")
    server = started(lambda: SmallS3(tmp_path / "small"))
    soon(lambda: list(check_s3(server.url, fix=True)), Unavailable)
    yield server
    server.stop()
