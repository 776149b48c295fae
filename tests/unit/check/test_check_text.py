"""The text of a check: marks, figures of both sides, what is unusual, and what was left out, each once."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from modelmonitor_trainer.cli.check_text import render_text
from modelmonitor_trainer.detect.performance import PerformanceResult
from unit.check.test_column_rows import check, mixed


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return render_text(check(tmp_path_factory.mktemp("text"), mixed), "report.html")


def replace_verdict(verdict, name, message):
    return verdict.model_copy(update={"verdict": name, "message": message})


def line(text, name):
    """Return the line of a column in the table, without its mark."""
    return next(line for line in text.splitlines() if line[2:].startswith(f"{name} "))


def test_marks_are_explained_and_counted(text):
    assert [line(text, name)[0] for name in ("x2", "wanders", "plan")] == ["*", "?", " "]
    marked = {mark: sum(row.startswith(f"{mark} ") and " 0." in row for row in text.splitlines()) for mark in "*?"}
    legend = next(row for row in text.splitlines() if "cannot be ruled out;" in row)
    assert f"* {marked['*']} drifted; ? {marked['?']} inconclusive: a change of 0.15 cannot be ruled out;" in legend


def test_missing_values_are_shown_of_both_sides(text):
    assert line(text, "gaps").split("MissingValues ")[1].count(" %") == 2
    assert " → " in line(text, "gaps")


def test_columns_beyond_the_table_are_counted(tmp_path):
    names = [f"x{number}" for number in range(14)]
    text = render_text(check(tmp_path, lambda g, _day: {name: g.normal(size=900) for name in names}), "")
    assert "  and 4 more\n" in text
    assert "14 without drift" in text
    assert text.endswith("Add --html FILE for a report page.")


def test_columns_in_doubt_without_a_test_have_a_row(tmp_path):
    def table(g, day):
        target = pa.array(g.choice(["no", "yes"], 300), mask=np.full(300, day >= 0))
        return {"x": g.normal(size=300), "late": target}

    text = render_text(check(tmp_path, table, target="late"), "")
    assert line(text, "late").startswith("? late")
    assert line(text, "late").endswith("not tested")


def test_days_of_which_a_part_has_arrived_are_named(tmp_path):
    text = render_text(check(tmp_path, lambda g, day: {"x": g.normal(size=150 if day == 5 else 400)}), "")
    assert "far fewer rows than any day of the reference, and may be incomplete: 2013-01-26 (150)." in text


def test_findings_are_listed_once(tmp_path):
    def table(g, day):
        amounts = g.lognormal(3, 1, 900)
        return {"amount": np.where(np.arange(900) < (4 if day >= 0 else 0), amounts * 1000, amounts)}

    text = render_text(check(tmp_path, table), "")
    assert text.count("Unusual, but not drift") == 1
    assert "\n  amount: the mean is " in text


def test_doubts_are_explained_once(tmp_path):
    """The message of Inconclusive has the explanations; a note has them where the verdict is another."""
    wandering = check(tmp_path, lambda g, _day: {"level": g.normal(g.normal(), 1, 900)})
    assert wandering.verdict.verdict == "Inconclusive"
    assert render_text(wandering, "").count("level: days vary") == 1
    drifted = replace(wandering, verdict=replace_verdict(wandering.verdict, "Drift", "1 column has drifted: x."))
    assert render_text(drifted, "").count("A change cannot be ruled out in level: days vary, which alone can") == 1


def test_control_characters_do_not_reach_the_terminal(tmp_path):
    def table(g, _day):
        return {"a\x1b[31m": g.normal(size=300), "b": pa.array(g.normal(size=300))}

    text = render_text(check(tmp_path, table), "")
    assert "\x1b" not in text
    assert line(text, "a?[31m")


def test_the_champion_s_score_is_shown_unless_the_verdict_has_it(tmp_path):
    quiet = check(tmp_path, lambda g, _day: {"x": g.normal(size=900)})
    measured = PerformanceResult("performance", "ROCAUC", message="the champion is not scored, because of a class")
    text = render_text(replace(quiet, performance=(measured,)), "")
    assert "\nChampion: The champion is not scored, because of a class.\n" in text
    unscored = quiet.verdict.model_copy(update={"message": "The champion is not scored, because of a class."})
    assert "Champion:" not in render_text(replace(quiet, performance=(measured,), verdict=unscored), "")
