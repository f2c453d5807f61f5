"""Links by which somebody without a key gets or puts a file."""

from __future__ import annotations

import io
import time

import httpx
import pytest
from minio.error import ServerError

from mlife.adapters.blobs_minio import MinioBlobs
from mlife.adapters.s3_leftovers import leftovers
from mlife.core.errors import Invalid, NotFound, Unavailable
from tests.adapters.s3_things import DIGIT, LARGE, NOW, sha256, with_other

# ── links ────────────────────────────────────────────────────────────────────────────────────────


def test_a_download_link_gives_the_bytes_as_a_download_to_who_has_no_key(blobs):
    digest = blobs.put(b"<script>alert(1)</script>").sha256
    said = "attachment; filename=\"a.html\"; filename*=UTF-8''%C3%A9.html"

    link = blobs.download_link(digest, disposition=said, media_type="application/octet-stream", seconds=60)
    answer = httpx.get(link)

    assert answer.content == b"<script>alert(1)</script>"
    assert answer.headers["content-disposition"] == said
    assert answer.headers["content-type"] == "application/octet-stream"
    for other in (link.replace("attachment", "inline"), link.replace(digest, "0" * 64), link.replace("=60", "=600")):
        assert other != link
        assert httpx.get(other).status_code == 403
    assert httpx.put(link, content=b"x").status_code == 403


def test_a_link_ends(blobs):
    digest = blobs.put(DIGIT).sha256
    link = blobs.download_link(digest, disposition="attachment", media_type="text/plain", seconds=1)
    time.sleep(2.1)

    assert httpx.get(link).status_code in {400, 403}


def test_an_upload_becomes_the_file_once_and_may_be_told_again(blobs, bucket):
    link = blobs.upload_link(sha256=sha256(LARGE), size=len(LARGE), seconds=60)
    assert httpx.put(link.url, content=LARGE, headers=dict(link.headers)).status_code == 200
    assert list(blobs) == []

    stored = blobs.take_upload(link.upload_id, sha256=sha256(LARGE), size=len(LARGE))

    assert stored == blobs.take_upload(link.upload_id, sha256=sha256(LARGE), size=len(LARGE)) == blobs.put(LARGE)
    assert list(leftovers(bucket, older_than=NOW)) == []
    with blobs.open(sha256(LARGE), verify=True) as stream:
        assert stream.read() == LARGE


def test_an_upload_that_is_told_twice_at_once_becomes_the_file_for_both(blobs, monkeypatch):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    assert httpx.put(link.url, content=DIGIT, headers=dict(link.headers)).status_code == 200
    look, first = MinioBlobs._looked_at, []

    def looked_at(self, name):
        found = look(self, name)
        if not first:
            first.append(found)
            first.append(blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT)))
        return found

    monkeypatch.setattr(MinioBlobs, "_looked_at", looked_at)
    assert blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT)) == first[1]


def test_an_upload_outlives_a_store_that_fails_while_it_is_taken(blobs, bucket, monkeypatch):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    assert httpx.put(link.url, content=DIGIT, headers=dict(link.headers)).status_code == 200

    def failing(*_, **__):
        raise ServerError("server failed", 503)

    with monkeypatch.context() as now:
        now.setattr(blobs._s3.client, "copy_object", failing)
        with pytest.raises(Unavailable):
            blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT))

    assert blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT)).sha256 == sha256(DIGIT)
    assert list(leftovers(bucket, older_than=NOW)) == []


def test_the_store_itself_refuses_other_bytes_than_the_link_is_for(blobs):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    others = [
        (DIGIT.upper(), dict(link.headers)),
        (DIGIT + b"!", dict(link.headers)),
        (DIGIT, {}),
        (b"", dict(link.headers)),
    ]

    for content, headers in others:
        assert httpx.put(link.url, content=content, headers=headers).status_code in {400, 403}

    with pytest.raises(NotFound, match="nothing was put to the link"):
        blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT))


@pytest.mark.parametrize("came", [DIGIT.upper(), DIGIT[:3], b""])
def test_other_bytes_than_were_announced_are_thrown_away_also_where_the_store_took_them(blobs, bucket, came):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    address = bucket.address
    bucket.client.put_object(address.bucket, f"{address.incoming}{link.upload_id}", io.BytesIO(came), len(came))

    with pytest.raises(Invalid, match="other bytes came") as told:
        blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT))

    assert told.value.refusals[0].field == "sha256"
    assert list(blobs) == []
    assert list(leftovers(bucket, older_than=NOW)) == []


def test_an_upload_that_is_changed_while_it_is_looked_at_is_not_kept(blobs, bucket, monkeypatch):
    link = blobs.upload_link(sha256=sha256(DIGIT), size=len(DIGIT), seconds=60)
    name = f"{bucket.address.incoming}{link.upload_id}"
    bucket.client.put_object(bucket.address.bucket, name, io.BytesIO(DIGIT), len(DIGIT))
    looked_at = MinioBlobs._looked_at

    def then_changed(self, name):
        found = looked_at(self, name)
        bucket.client.put_object(bucket.address.bucket, name, io.BytesIO(DIGIT.upper()), len(DIGIT))
        return found

    monkeypatch.setattr(MinioBlobs, "_looked_at", then_changed)

    with pytest.raises(Invalid, match="changed while it was looked at"):
        blobs.take_upload(link.upload_id, sha256=sha256(DIGIT), size=len(DIGIT))

    assert list(blobs) == []


@pytest.mark.parametrize("upload_id", ["", "../x", "0" * 31, "G" * 32, f"{'0' * 32}/x"])
def test_an_upload_of_a_strange_name_is_not_found(blobs, upload_id):
    with pytest.raises(NotFound):
        blobs.take_upload(upload_id, sha256=sha256(DIGIT), size=1)


def test_links_can_be_turned_off_or_lead_to_the_name_that_clients_know(s3_url, cache):
    off = MinioBlobs(with_other(s3_url, query="links=off"), cache=cache)
    public = MinioBlobs(with_other(s3_url, query="links=https://files.example.com"), cache=cache)
    asked = {"disposition": "attachment", "media_type": "text/plain", "seconds": 60}

    assert off.upload_link(sha256="0" * 64, size=1, seconds=60) is None
    assert off.download_link("0" * 64, **asked) is None
    assert public.download_link("0" * 64, **asked).startswith("https://files.example.com/")
