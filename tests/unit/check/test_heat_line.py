"""Heat lines: one cell a day, the reference first; colors, tooltips and the sentence."""

import re

import numpy as np
import pytest

from modelmonitor_trainer.detect.batch_distances import BatchDistances
from modelmonitor_trainer.report.heat_line import MOST_CELLS, HeatLine, heat_line_of

NAN = float("nan")
DAYS = ("day", "days")


def line(reference, current, usual=0.05) -> HeatLine | None:
    names = ([f"r{n}" for n in range(len(reference))], [f"c{n}" for n in range(len(current))])
    return heat_line_of(BatchDistances(np.array(reference), np.array(current), usual), names, 0.03, 0.16, DAYS)


def drawn(reference, current, usual=0.05) -> HeatLine:
    chart = line(reference, current, usual)
    assert chart
    return chart


def test_cells_are_days_with_a_color_and_a_tooltip():
    chart = drawn([0.0, 0.05, NAN], [0.06, 0.1, 0.5])
    assert [cell.x for cell in chart.cells] == [0, 1, 2, 4, 5, 6], "a gap between the sides"
    assert [cell.level for cell in chart.cells] == [0, 0, None, 1, 2, 4]
    assert [cell.title for cell in chart.cells][1:3] == ["r1: distance 0.050", "r2: no rows"]
    assert (chart.reference_cells, chart.current_start, chart.width) == (3, 4, 7)
    assert chart.ends == ("r0", "r2", "c0", "c2")


def test_strokes_cover_the_same_cells():
    g = np.random.default_rng(0)
    chart = drawn(g.random(40) * 0.3, g.random(9) * 0.3)
    covered: dict[int, int] = {}
    for level, path in chart.paths:
        for start, length in re.findall(r"M(\d+) 0h(\d+)", path):
            covered |= {int(start) + step: level for step in range(int(length))}
    assert covered == {cell.x: cell.level for cell in chart.cells}


@pytest.mark.parametrize(
    ("current", "sentence"),
    [
        ([0.01, 0.02], "No current day is farther from the reference than its own days usually are (0.05)."),
        (
            [0.4],
            "The current day is farther from the reference than its own days usually are (0.05); the largest distance",
        ),
        ([0.2, 0.4], "Each of the 2 current days is farther"),
        ([0.0, 0.2, 0.3, 0.4], "Each current day since c1 is farther"),
        ([0.2, 0.0, 0.3, 0.4], "3 of 4 current days are farther"),
        ([0.2, 0.0, NAN], "1 of 3 current days is farther"),
        ([NAN, NAN], "No current day is farther"),
    ],
)
def test_the_sentence_says_when_it_began(current, sentence):
    assert drawn([0.0, 0.01, 0.02], current).summary.startswith(sentence)


def test_distances_below_the_minimum_are_usual():
    assert {cell.level for cell in drawn([0.0] * 3, [0.03, 0.01], usual=0.0).cells} == {0}


def test_many_days_share_cells_which_show_the_farthest():
    effects = np.zeros(MOST_CELLS * 3)
    effects[301] = 0.9
    chart = drawn(effects, [0.0])
    assert chart.reference_cells == MOST_CELLS
    far = [cell for cell in chart.cells if cell.level]
    assert [(cell.x, cell.title) for cell in far] == [(100, "r300 to r302, at most: distance 0.900")]


def test_two_batches_and_a_missing_side_have_no_line():
    assert line([0.1], [0.1]) is None
    assert line([], [0.1, 0.1, 0.1]) is None
