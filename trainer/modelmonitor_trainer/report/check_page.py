"""Report page of a check: one file without scripts or external resources; all text is escaped."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2

from modelmonitor_trainer.detect.drift import DISTRIBUTION
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.outcomes import ALARMS
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.result import CheckResult, Side, unlisted_notes
from modelmonitor_trainer.detect.verdict import probability
from modelmonitor_trainer.report.charts import HeatMap, Scale, heat_map, scale_of
from modelmonitor_trainer.report.column_rows import STATES, ColumnRow, rows_of, unlisted
from modelmonitor_trainer.report.headline import headline_of
from modelmonitor_trainer.report.histogram import HEIGHT, WIDTH
from modelmonitor_trainer.report.timeline import TIMELINE_HEIGHT, Timeline, timeline_of
from modelmonitor_trainer.text import number, percent

#: Maximum number of objects listed.
_OBJECTS = 400
#: Maximum number of hypotheses listed of each family.
_SUBJECTS = 10

_TONES = {
    "NoDrift": "good",
    "Drift": "bad",
    "Corrupted": "bad",
    "ChampionUnusable": "bad",
    "PerformanceDrop": "bad",
    "Inconclusive": "unsure",
}
#: State of a row of the table of columns → class of its badge.
_ROW_TONES = {"drifted": "bad", "inconclusive": "unsure", "unchanged": "good", "left-out": "plain"}
#: Key → label of the filters and of the orders of the table of columns.
_FILTERS = (
    ("all", "all"),
    ("drifted", "drift"),
    ("inconclusive", "inconclusive"),
    ("unchanged", "no drift"),
    ("compared", "compared"),
    ("left-out", "left out"),
)
_SORTINGS = (("evidence", "evidence"), ("effect", "effect"), ("missing", "change of missing values"), ("name", "name"))


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("modelmonitor_trainer.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda value: "–" if value is None or math.isnan(value) else number(value),
        "percent": lambda value: "–" if value is None else percent(value),
        "thousands": lambda value: f"{value:,}",
        "probability": probability,
    }
    return environment


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """Return a page made from a template that extends ``base.html.j2``.

    Parameters
    ----------
    template
        Name of a file in ``templates/``.
    context
        Variables of the template. ``base.html.j2`` requires ``title``, ``tone`` (good, bad, unsure), ``heading``,
        ``sentence`` and ``subtitle``; it has the blocks ``body`` and ``footer``, and the filters
        ``number``, ``percent``, ``thousands`` and ``probability``.
    """
    return _environment().get_template(template).render(context)


@dataclass(frozen=True)
class FamilyCard:
    """What the page shows of a family of hypotheses: its strongest ones, and the matrix of correlations."""

    test: HypothesisFamily
    chart: HeatMap | None

    @property
    def strongest(self) -> tuple[Any, ...]:
        """The hypotheses that are listed."""
        return self.test.subjects[:_SUBJECTS]


@dataclass(frozen=True)
class ChampionScore:
    """What the page shows of a score of the champion."""

    result: PerformanceResult
    scale: Scale | None
    timeline: Timeline | None


def render(result: CheckResult) -> str:
    """Return the report page of a check."""
    verdict = result.verdict
    drift = result.drift
    name = f"{result.monitor.namespace}/{result.monitor.name}" if result.monitor else "two sets of files"
    rows = rows_of(result)
    counts = _counts(rows)
    counts["left-out"] += unlisted(result, rows)
    heading = headline_of(result, counts["left-out"])
    return render_page(
        "check.html.j2",
        {
            "title": f"{heading} – {name}",
            "tone": _TONES[verdict.verdict],
            "heading": heading,
            "sentence": verdict.message,
            "subtitle": f"Check of {name}, {_time(verdict.time)}",
            "result": result,
            "verdict": verdict,
            "drift": drift,
            "rows": rows,
            "counts": counts,
            "unlisted": unlisted(result, rows),
            "states": STATES,
            "tones": _ROW_TONES,
            "filters": _FILTERS,
            "sortings": _SORTINGS,
            "relations": _relations(result),
            "scores": [ChampionScore(score, scale_of(score), timeline_of(score)) for score in result.performance],
            "distribution": DISTRIBUTION,
            "alarms": ALARMS,
            "sides": (result.reference, result.current),
            "spans": (_span(result.reference), _span(result.current)),
            "max_objects": _OBJECTS,
            "chart_width": WIDTH,
            "chart_height": HEIGHT,
            "timeline_height": TIMELINE_HEIGHT,
            "notes": unlisted_notes(result),
            "left_out": result.coverage.sentences() if result.coverage else (),
            "coverage": result.coverage,
            "minimum_coverage": float(result.sensitivity.minimum_coverage),
            "steps": ", ".join(f"{step} {seconds:.2f} s" for step, seconds in result.timings.items()),
            "seconds": sum(result.timings.values()),
        },
    )


def _counts(rows: Sequence[ColumnRow]) -> dict[str, int]:
    """Return the number of rows that each filter shows."""
    counts = {state: sum(row.state == state for row in rows) for state in STATES}
    return {"all": len(rows), "compared": len(rows) - counts["left-out"]} | counts


def _relations(result: CheckResult) -> list[FamilyCard]:
    tests = result.drift.relations if result.drift else ()
    columns = [column.name for column in result.drift.columns] if result.drift else []
    cards = [FamilyCard(test, heat_map(test.subjects, columns) if test.is_matrix else None) for test in tests]
    # Matrices next to each other.
    return sorted(cards, key=lambda card: card.chart is None)


def _span(side: Side) -> str:
    """Return the first and the last day of a side; empty if its batches are not days."""
    days = [batch.day for batch in side.blocks if batch.day is not None]
    if not days or len(days) < len(side.blocks):
        return ""
    return f"{min(days)}" if len(days) == 1 else f"{min(days)} to {max(days)}"


def _time(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
