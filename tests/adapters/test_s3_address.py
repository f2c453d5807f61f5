"""What MLIFE_FILES may say of an S3 server, and what is said of it when it is wrong."""

from __future__ import annotations

import pytest

from mlife.adapters.s3 import GIB, Address, address_of
from mlife.core.errors import Misconfigured


def test_a_url_says_everything_about_the_bucket():
    found = address_of(
        "s3+https://k%2Fey:s%40ec%3Aret%2B@files.example:9000/bucket/a/b?region=eu-1&ca=/etc/ca.pem&cache=0.5&links=off"
    )

    assert found == Address(
        host="files.example:9000",
        is_encrypted=True,
        key="k/ey",
        secret="s@ec:ret+",
        bucket="bucket",
        prefix="a/b/",
        region="eu-1",
        ca="/etc/ca.pem",
        links=None,
        cache_bytes=GIB // 2,
    )
    assert found.object_of("ab" * 32) == f"a/b/sha256/ab/{'ab' * 32}"
    assert "ret" not in repr(found)
    assert found.shown == "s3+https://files.example:9000/bucket/a/b"


def test_what_is_not_said_has_a_default():
    found = address_of("s3+http://key:secret@[::1]:9000/bucket")

    assert (found.host, found.prefix, found.region, found.ca) == ("[::1]:9000", "", "us-east-1", None)
    assert found.links == "http://[::1]:9000"
    assert found.cache_bytes == 10 * GIB


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("s3+http://host:9000/bucket", "names no key and secret"),
        ("s3+http://key@host:9000/bucket", "names no key and secret"),
        ("s3+http://key:hidden@/bucket", "names no host"),
        ("s3+http://key:hid/den@host:9000/bucket", "can't be read as a URL"),
        ("s3+http://key:hidden@host:nine/bucket", "can't be read as a URL"),
        ("s3+http://key:hidden@host:9000", "names the bucket ''"),
        ("s3+http://key:hidden@host:9000/No_Bucket", "names the bucket 'No_Bucket'"),
        ("s3+http://key:hidden@host:9000/bucket/a b", "names the prefix 'a b'"),
        ("s3+http://key:hidden@host:9000/bucket/../x", r"names the prefix '\.\./x'"),
        ("s3+http://key:hidden@host:9000/bucket?regoin=x", "'regoin' in it, which means nothing"),
        ("s3+http://key:hidden@host:9000/bucket?links=maybe", "links=maybe"),
        ("s3+http://key:hidden@host:9000/bucket?links=javascript:x", "links=javascript:x"),
        ("s3+http://key:hidden@host:9000/bucket?cache=all", "cache=all"),
        ("s3+http://key:hidden@host:9000/bucket?region", "can't be read as a URL"),
        ("s3+http://key:hidden@host:9000/bucket#part", "has a # in it"),
    ],
)
def test_a_wrong_url_is_one_sentence_without_its_secret(url, says):
    with pytest.raises(Misconfigured, match=says) as told:
        address_of(url)

    assert "hid" not in str(told.value)
    assert told.value.__cause__ is None
    assert told.value.remedy
