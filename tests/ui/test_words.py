"""Filters: how numbers, times and ids are written."""

from datetime import UTC, datetime, timedelta

import pytest
from markupsafe import Markup

from mlife.core.errors import Misconfigured
from mlife.ui import filters as f

T = "\u202f"
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


def test_numbers_have_thin_separators_and_nothing_is_a_dash():
    assert f.number(48211) == f"48{T}211"
    assert f.number(-1234.56, 1) == f"−1{T}234.6"
    assert f.number(None) == f.percent(None) == f.duration(None) == "–"


@pytest.mark.parametrize(
    ("share", "said"),
    [(0, "0 %"), (0.36, "36 %"), (0.0004, "< 1 %"), (0.9996, "> 99 %"), (1, "100 %")],
)
def test_a_share_never_rounds_to_none_or_all(share, said):
    assert f.percent(share) == said.replace(" ", T)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0_ms"),
        (0.42, "420_ms"),
        (4, "4.0_s"),
        (59.6, "1_min"),
        (200, "3_min 20_s"),
        (7500, "2_h 5_min"),
        (90061, "1_d 1_h"),
    ],
)
def test_durations_name_their_two_largest_units(seconds, said):
    assert f.duration(seconds) == said.replace("_", T)


def test_sizes_change_unit_before_four_digits_show():
    assert [f.filesize(n) for n in (0, 999, 1000, 999_600, 12_345)] == [
        s.replace(" ", T) for s in ("0 B", "999 B", "1 kB", "1 MB", "12.3 kB")
    ]


def test_ids_are_shortened_after_their_prefix_only_when_long():
    assert f.short_id("sha256:0123456789abcdef") == "sha256:01234567…"
    assert f.short_id("bc-7000") == "bc-7000"


def test_ago_says_the_past_the_future_and_then_the_day():
    assert ">3\u202fmin ago<" in f.ago(NOW - timedelta(minutes=3, seconds=9), NOW)
    assert ">in 2\u202fh<" in f.ago(NOW + timedelta(hours=2), NOW)
    assert ">1\u202fday ago<" in f.ago(NOW - timedelta(days=1), NOW)
    assert "24 Oct" in f.ago(NOW - timedelta(days=31), NOW)


def test_times_are_shown_in_the_readers_zone_and_kept_in_utc_for_machines():
    with f.reader_zone("Asia/Tokyo"):
        said = f.moment(NOW)
    assert 'datetime="2026-11-24T03:00:00+00:00"' in said
    assert ">24 Nov 2026, 12:00<" in said
    assert isinstance(said, Markup)


@pytest.mark.parametrize("name", [None, "", "Nowhere/Land", "../../etc/passwd", "Europe", "\x00"])
def test_an_unknown_zone_means_the_servers(name):
    with f.reader_zone(name):
        assert "24 Nov 2026" in f.moment(NOW) or "23 Nov 2026" in f.moment(NOW)


def test_a_time_without_zone_is_refused():
    with pytest.raises(Misconfigured, match="no time zone"):
        f.moment(NOW.replace(tzinfo=None))
