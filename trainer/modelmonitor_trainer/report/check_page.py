"""Report page of a check: one file without scripts or external resources; all text is escaped."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2

from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import Verdict
from modelmonitor_trainer.detect.drift import DISTRIBUTION, ColumnResult, ColumnTest
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.outcomes import ALARMS
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.result import CheckResult
from modelmonitor_trainer.detect.verdict import probability
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.report.charts import (
    HEIGHT,
    WIDTH,
    Bars,
    HeatMap,
    Histogram,
    Scale,
    chart_of,
    heat_map,
    number,
    scale_of,
)
from modelmonitor_trainer.report.timeline import TIMELINE_HEIGHT, Timeline, timeline_of

#: Maximum number of columns with a card; the table has all of them.
_CARDS = 60
#: Smallest share of missing or infinite values that is drawn.
_DRAWN = 0.005
#: Maximum number of objects listed.
_OBJECTS = 400
#: Maximum number of hypotheses listed of each family.
_SUBJECTS = 10

_TONES = {"NoDrift": "good", "Drift": "bad", "Corrupted": "bad", "PerformanceDrop": "bad", "Inconclusive": "unsure"}
_TITLES = {
    "NoDrift": "No drift",
    "Drift": "Drift",
    "Corrupted": "Corrupted data",
    "PerformanceDrop": "No drift, but the champion scores worse",
    "Inconclusive": "Inconclusive",
}
#: Verdict of a column → class and text of its badge.
_BADGES = {
    Verdict.DRIFT: ("bad", "drift"),
    Verdict.INCONCLUSIVE: ("unsure", "inconclusive"),
    Verdict.NO_DRIFT: ("plain", "no drift"),
}


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
        "share": lambda value: "–" if value is None else f"{value:.2%}",
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
        ``number``, ``share``, ``thousands`` and ``probability``.
    """
    return _environment().get_template(template).render(context)


@dataclass(frozen=True)
class Apart:
    """Shares that cannot be drawn on the axis of a chart; None for a side without rows."""

    before: float | None
    now: float | None

    @property
    def drawn(self) -> bool:
        """Whether they are large enough to be drawn as bars."""
        return max(self.before or 0.0, self.now or 0.0) >= _DRAWN


@dataclass(frozen=True)
class Card:
    """What the page shows of one column."""

    column: ColumnResult
    kind: str
    chart: Histogram | Bars | None
    reference: NumericProfile | CategoricalProfile
    current: NumericProfile | CategoricalProfile

    @property
    def is_histogram(self) -> bool:
        """Whether the chart is a histogram."""
        return isinstance(self.chart, Histogram)

    @property
    def tests(self) -> list[ColumnTest]:
        """Its tests, the decisive one first."""
        return sorted(self.column.tests, key=lambda test: test is not self.column.decisive)

    @property
    def missing(self) -> Apart:
        """Shares of missing values among the rows."""
        before, now = (p.missing / p.rows if p.rows else None for p in (self.reference, self.current))
        return Apart(before, now)

    @property
    def _numeric(self) -> list[NumericProfile]:
        return [p for p in (self.reference, self.current) if isinstance(p, NumericProfile)]

    @property
    def infinite(self) -> Apart | None:
        """Shares of infinities among the values; None where there are none."""
        if not any(p.infinities for p in self._numeric):
            return None
        before, now = (p.infinities / p.present if p.present else None for p in self._numeric)
        return Apart(before, now)

    @property
    def infinite_signs(self) -> str:
        """The signs of the infinities: +∞, −∞ or ±∞."""
        negative = any(p.negative_infinities for p in self._numeric)
        positive = any(p.positive_infinities for p in self._numeric)
        return "±∞" if negative and positive else "−∞" if negative else "+∞"

    @property
    def unknown(self) -> list[str]:
        """Some values of the current window that are not among the common ones of the reference."""
        others = self.current.others if isinstance(self.current, CategoricalProfile) else {}
        return sorted(others, key=lambda value: -others[value])[:3]


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
    heading = _TITLES[verdict.verdict]
    tone = _TONES[verdict.verdict]
    if verdict.verdict == "PerformanceDrop" and verdict.reason == Reason.INCONCLUSIVE:
        heading = "The champion scores worse; drift cannot be ruled out"
    drift = result.drift
    name = f"{result.monitor.namespace}/{result.monitor.name}" if result.monitor else "two sets of files"
    cards = [_card(column) for column in drift.columns[:_CARDS]] if drift else []
    return render_page(
        "check.html.j2",
        {
            "title": f"{heading} – {name}",
            "tone": tone,
            "heading": heading,
            "sentence": verdict.message,
            "subtitle": f"Check of {name}, {_time(verdict.time)}",
            "result": result,
            "verdict": verdict,
            "drift": drift,
            "cards": cards,
            "beyond": any(isinstance(chart := card.chart, Histogram) and chart.beyond for card in cards),
            "columns": drift.columns if drift else (),
            "relations": _relations(result),
            "scores": [ChampionScore(score, scale_of(score), timeline_of(score)) for score in result.performance],
            "distribution": DISTRIBUTION,
            "badges": _BADGES,
            "alarms": ALARMS,
            "sides": (result.reference, result.current),
            "max_objects": _OBJECTS,
            "chart_width": WIDTH,
            "chart_height": HEIGHT,
            "timeline_height": TIMELINE_HEIGHT,
            "left_out": result.coverage.sentences() if result.coverage else (),
            "coverage": result.coverage,
            "minimum_coverage": float(result.sensitivity.minimum_coverage),
            "steps": ", ".join(f"{step} {seconds:.2f} s" for step, seconds in result.timings.items()),
            "seconds": sum(result.timings.values()),
        },
    )


def _relations(result: CheckResult) -> list[FamilyCard]:
    tests = result.drift.relations if result.drift else ()
    columns = [column.name for column in result.drift.columns] if result.drift else []
    cards = [FamilyCard(test, heat_map(test.subjects, columns) if test.is_matrix else None) for test in tests]
    # Matrices next to each other.
    return sorted(cards, key=lambda card: card.chart is None)


def _card(column: ColumnResult) -> Card:
    reference, current = column.comparison.reference.total, column.comparison.current.total
    return Card(
        column=column,
        kind="Numeric" if isinstance(reference, NumericProfile) else "Categorical",
        chart=chart_of(column.comparison.plan, reference, current),
        reference=reference,
        current=current,
    )


def _time(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
