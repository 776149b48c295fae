"""Report pages: one file each, no scripts, nothing loaded from anywhere, all text escaped."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jinja2

from modelmonitor_trainer.detect.drift import DISTRIBUTION, ColumnResult, ColumnTest
from modelmonitor_trainer.detect.hypotheses import HypothesisFamily
from modelmonitor_trainer.detect.outcomes import ALARMS
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.result import CheckResult
from modelmonitor_trainer.detect.verdict import hidden_by_variation, probability
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

#: Columns with a card of their own; all of them are in the table.
_CARDS = 60
#: Share of missing or infinite values from which on it is drawn.
_DRAWN = 0.005
#: Objects that are listed by name.
_OBJECTS = 400
#: Pairs, slices or features that are listed of each relation.
_SUBJECTS = 10

_TONES = {"NoDrift": "good", "Drift": "bad", "Corrupted": "bad", "Inconclusive": "unsure"}
_TITLES = {"NoDrift": "No drift", "Drift": "Drift", "Corrupted": "Corrupted data", "Inconclusive": "Inconclusive"}


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
        What it shows. ``base.html.j2`` asks for ``title``, ``tone`` (good, bad, unsure), ``heading``,
        ``sentence`` and ``subtitle``; it has the blocks ``body`` and ``footer``, and the filters
        ``number``, ``share``, ``thousands`` and ``probability``.
    """
    return _environment().get_template(template).render(context)


@dataclass(frozen=True)
class Apart:
    """Shares that have no place on the axis of a chart; None for a side without rows."""

    before: float | None
    now: float | None

    @property
    def drawn(self) -> bool:
        """Whether there is enough of it to be seen as bars."""
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
        """Its tests, the one that decides first."""
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
        """Of which sign the infinities are: +∞, −∞ or ±∞."""
        negative = any(p.negative_infinities for p in self._numeric)
        positive = any(p.positive_infinities for p in self._numeric)
        return "±∞" if negative and positive else "−∞" if negative else "+∞"

    @property
    def unknown(self) -> list[str]:
        """Some values of the current window that the reference does not have among its common ones."""
        others = self.current.others if isinstance(self.current, CategoricalProfile) else {}
        return sorted(others, key=lambda value: -others[value])[:3]


@dataclass(frozen=True)
class Relation:
    """What the page shows of a relation test: all of it in words, its strongest subjects, and a map of correlations."""

    test: HypothesisFamily
    chart: HeatMap | None

    @property
    def strongest(self) -> tuple[Any, ...]:
        """The subjects that are listed."""
        return self.test.subjects[:_SUBJECTS]


@dataclass(frozen=True)
class Followed:
    """What the page shows of a score that is followed."""

    found: PerformanceResult
    scale: Scale | None
    timeline: Timeline | None


def render(result: CheckResult) -> str:
    """Return the report page of a check."""
    verdict = result.verdict
    heading = _TITLES[verdict.verdict]
    tone = _TONES[verdict.verdict]
    if verdict.performance_dropped and verdict.verdict == "NoDrift":
        heading, tone = "No drift, but the champion scores worse", "bad"
    drift = result.drift
    name = f"{result.monitor.namespace}/{result.monitor.name}" if result.monitor else "two sets of files"
    wanted = float(result.sensitivity.detectable_effect)
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
            "hidden": hidden_by_variation(drift, wanted) if drift else [],
            "relations": _relations(result),
            "scores": [Followed(found, scale_of(found), timeline_of(found)) for found in result.performance],
            "distribution": DISTRIBUTION,
            "alarms": ALARMS,
            "sides": (result.reference, result.current),
            "max_objects": _OBJECTS,
            "chart_width": WIDTH,
            "chart_height": HEIGHT,
            "timeline_height": TIMELINE_HEIGHT,
            "steps": ", ".join(f"{step} {seconds:.2f} s" for step, seconds in result.timings.items()),
            "seconds": sum(result.timings.values()),
        },
    )


def _relations(result: CheckResult) -> list[Relation]:
    tests = result.drift.relations if result.drift else ()
    columns = [column.name for column in result.drift.columns] if result.drift else []
    made = [Relation(test, heat_map(test.subjects, columns) if test.is_matrix else None) for test in tests]
    # The maps side by side.
    return sorted(made, key=lambda relation: relation.chart is None)


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
