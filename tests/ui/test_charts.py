"""Charts: geometry from values."""

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlife.core.errors import Misconfigured
from mlife.ui import charts as c

values = st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=60)


@given(values)
@example([5e-324])
def test_bars_stay_inside_their_drawing_and_keep_their_order_of_height(numbers):
    chart = c.bars("t", [c.Bar(str(i), v) for i, v in enumerate(numbers)])

    for shape in chart.bars:
        assert shape.x >= 0
        assert shape.x + shape.width <= 100.001
        assert shape.y >= 0
        assert math.isclose(shape.y + shape.height, chart.base)
    by_value = sorted(chart.bars, key=lambda s: s.of.value)
    assert [s.height for s in by_value] == sorted(s.height for s in chart.bars)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 8))
def test_ticks_are_round_and_inside(low, width, about):
    ticks = c.nice_ticks(low, low + width, about)

    assert all(low - width * 1e-6 <= t <= low + width * (1 + 1e-6) for t in ticks)
    assert len(ticks) <= 2 * about + 2
    assert ticks == sorted(set(ticks))


def test_marks_over_one_bar_are_stacked_upwards_and_none_leaves_the_drawing():
    chart = c.bars("t", [c.Bar("a", 1), c.Bar("b", 9)], [c.Mark(1, "v1"), c.Mark(1, "v2"), c.Mark(1, "v3")])

    assert [m.y for m in chart.marks] == sorted((m.y for m in chart.marks), reverse=True)
    assert min(m.y for m in chart.marks) >= 3.5


def test_the_last_label_is_always_kept_on_narrow_screens():
    chart = c.bars("t", [c.Bar(str(i), 1) for i in range(37)])

    assert chart.bars[-1].major
    assert sum(s.major for s in chart.bars) <= 8


def test_a_chart_says_its_most_its_last_and_what_is_wrong():
    chart = c.bars("t", [c.Bar("w1", 3), c.Bar("w2", 66, alarm=True, note="3.1× its usual rate"), c.Bar("w3", 1)])

    assert chart.desc == "3 bars. Most: 66 reports in w2. Last: 1 report in w3. w2: 3.1× its usual rate."


@pytest.mark.parametrize("value", [math.nan, math.inf, -1])
def test_a_value_that_is_no_length_is_refused_with_its_name(value):
    with pytest.raises(Misconfigured, match="w1"):
        c.bars("t", [c.Bar("w1", value)])


def test_nothing_to_draw_is_said_and_does_not_fail():
    assert c.bars("t", []).desc == c.matrix("t", ["a"], ["b"], {}).desc == c.curve("t", [], "x", "y").desc == "No data."
    assert c.sparkline("t", []).bars == []
    assert c.bars("t", [c.Bar("a", 0)]).bars[0].height == 0


def test_a_matrix_shades_by_share_of_the_highest_and_leaves_holes():
    table = c.matrix(
        "t", ["r"], ["a", "b", "c", "d"], {("r", "a"): c.Cell(100), ("r", "b"): c.Cell(1), ("r", "c"): c.Cell(0)}
    )

    cells = table.rows[0][1]
    assert [cell and cell.level for cell in cells] == [c.HEAT_LEVELS, 1, 0, None]


def test_a_comparison_puts_every_interval_and_the_threshold_on_one_axis_that_ends_at_all():
    results = {("home", "v1"): c.Interval(0.99, 0.98, 0.995, 899), ("field", "v1"): c.Interval(0.45, 0.42, 0.48, 1000)}
    chart = c.comparison("t", ["home", "field"], ["v1", "v2"], results, threshold=0.6)

    drawn = [w for _, row in chart.sets for w in row if w.of]
    assert all(0 <= w.low <= w.x <= w.high <= 100 for w in drawn)
    assert 0 <= chart.threshold <= 100
    assert chart.ticks[-1].at == pytest.approx(100)
    assert [w.of for w in chart.sets[1][1]] == [results["field", "v1"], None]
    assert "field: v1 45.0" in chart.desc


def test_names_at_the_ends_of_lines_do_not_cover_each_other():
    series = [c.Series(n, [(0, 0), (1, y)]) for n, y in [("a", 1.0), ("b", 0.99), ("c", 0.98), ("d", 0.1)]]
    chart = c.curve("t", series, "epoch", "share", as_percent=True)

    heights = sorted(line.label_y for line in chart.lines)
    assert all(b - a >= 15 for a, b in pairwise(heights))
    assert [line.of.label for line in chart.lines] == ["a", "b", "c", "d"]
