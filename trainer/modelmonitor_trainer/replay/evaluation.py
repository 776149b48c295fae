"""The evaluation matrix: the score of each model in each period in which it could have served.

Models are scored once, whatever the number of settings in which they serve. Rows are read by blocks of periods, so
memory holds one block per process.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from modelmonitor_api.spec import Metric, ModelMonitorSpec, Task
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.data.classes import class_indices, with_new_classes
from modelmonitor_trainer.data.labels import Dataset, load
from modelmonitor_trainer.data.manifest import LeftOutDay, freeze
from modelmonitor_trainer.data.model_arrays import feature_arrays, true_values
from modelmonitor_trainer.data.windows import TrainingWindows, Window
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.model.metrics import Undefined, aligned, metric_value
from modelmonitor_trainer.replay.candidates import Candidate
from modelmonitor_trainer.replay.past_store import PastStore
from modelmonitor_trainer.replay.workers import Workers

_DAY = dt.timedelta(days=1)
#: Rows of a period beyond which a sample is scored: its error is far below the difference between periods.
MAX_ROWS = 50_000
_SEED = 20130101
#: Days that are read together.
_BLOCK_DAYS = 28
#: Errors of the rows of a period, which leave the others as they are.
_ERRORS_OF_ROWS = (BadConfiguration, BadData, NotFound)


@dataclass(frozen=True)
class Periods:
    """Consecutive evaluation periods.

    Attributes
    ----------
    first
        First day of the first period.
    days
        Length of each.
    count
        Their number.
    """

    first: dt.date
    days: int
    count: int

    @classmethod
    def between(cls, first: dt.date, last: dt.date, days: int) -> Periods:
        """Return the whole periods from a day through another."""
        return cls(first, days, max(0, ((last - first).days + 1) // days))

    def window(self, index: int) -> tuple[dt.date, dt.date]:
        """Return first and last day of a period."""
        start = self.first + index * self.days * _DAY
        return start, start + (self.days - 1) * _DAY

    def first_from(self, day: dt.date) -> int:
        """Return the index of the first period that begins on or after a day."""
        return max(0, -(-(day - self.first).days // self.days))


@dataclass(frozen=True)
class Evaluation:
    """Scores of models in periods.

    Attributes
    ----------
    periods
        The periods.
    values : (n_models, n_periods)
        Values of the metric; NaN where a model could not serve yet, or the metric is not defined.
    rows : (n_periods,)
        Labelled rows of each period.
    left_out
        Days that cannot be scored, and why.
    """

    periods: Periods
    values: Floats
    rows: Ints
    left_out: tuple[LeftOutDay, ...] = ()


@dataclass(frozen=True)
class PeriodScores:
    """Scores in one period.

    Attributes
    ----------
    period
        Its index.
    rows
        Its labelled rows.
    scores
        Key of a model → value of the metric, where it is defined.
    left_out
        Days that cannot be scored, and why.
    """

    period: int
    rows: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    left_out: tuple[LeftOutDay, ...] = ()


def evaluate(
    workers: Workers, spec: ModelMonitorSpec, candidates: Sequence[Candidate], periods: Periods, until: dt.datetime
) -> Evaluation:
    """Score each model in each period in which it could have served.

    Parameters
    ----------
    workers
        Processes that read and score.
    spec
        Data, target and metric.
    candidates
        The models.
    periods
        The periods.
    until
        End of the replay: what arrives later is not used.
    """
    size = max(1, _BLOCK_DAYS // periods.days)
    blocks = [range(start, min(start + size, periods.count)) for start in range(0, periods.count, size)]
    futures = [
        workers.submit(score_block, spec, _usable(candidates, periods, block), periods, block, until)
        for block in blocks
    ]
    values = np.full((len(candidates), periods.count), np.nan)
    rows = np.zeros(periods.count, dtype=np.int64)
    index = {candidate.key: number for number, candidate in enumerate(candidates)}
    left_out: list[LeftOutDay] = []
    for future in futures:
        for scored in future.result():
            rows[scored.period] = scored.rows
            left_out += scored.left_out
            for key, value in scored.scores.items():
                values[index[key], scored.period] = value
    return Evaluation(periods, values, rows, tuple(left_out))


def _usable(candidates: Sequence[Candidate], periods: Periods, block: range) -> list[Candidate]:
    last = periods.window(block[-1])[0]
    return [candidate for candidate in candidates if candidate.first_day <= last]


def score_block(
    store: PastStore,
    spec: ModelMonitorSpec,
    candidates: Sequence[Candidate],
    periods: Periods,
    block: range,
    until: dt.datetime,
) -> list[PeriodScores]:
    """Return the scores of each period of a block; days that cannot be read are left out by name."""
    store = store.at(until)
    more = sorted({feature.name for candidate in candidates for feature in candidate.model.features})
    window = periods.window(block[0])[0], periods.window(block[-1])[1]
    try:
        rows, left_out = _read(store, spec, window, more)
        return [_score_period(spec, candidates, periods, period, rows, left_out) for period in block]
    except _ERRORS_OF_ROWS as error:
        if len(block) == 1:
            # Such as a feature that no day has any more: what served could not score these rows, either.
            start, days = window[0], (window[1] - window[0]).days + 1
            return [
                PeriodScores(
                    block[0], left_out=tuple(LeftOutDay(start + number * _DAY, str(error)) for number in range(days))
                )
            ]
    each = (range(period, period + 1) for period in block)
    return [scored for one in each for scored in score_block(store, spec, candidates, periods, one, until)]


def _read(
    store: PastStore, spec: ModelMonitorSpec, window: Window, more: Sequence[str]
) -> tuple[Dataset, tuple[LeftOutDay, ...]]:
    """Return the labelled rows of a window, and the days that cannot be read."""
    manifest = freeze(store, spec, TrainingWindows.without_holdout(window))
    if manifest.begins_with is not None:
        raise BadData(f"the rows before {manifest.train[0]} have no column {manifest.begins_with!r}")
    return load(store, manifest, window, spec, more), manifest.left_out


def _score_period(
    spec: ModelMonitorSpec,
    candidates: Sequence[Candidate],
    periods: Periods,
    period: int,
    rows: Dataset,
    left_out: Sequence[LeftOutDay],
) -> PeriodScores:
    start, end = periods.window(period)
    first, last = (np.datetime64(day, "D").astype(np.int64) for day in (start, end))
    chosen = rows.filter((rows.days >= first) & (rows.days <= last))
    usable = [candidate for candidate in candidates if candidate.first_day <= start]
    mine = tuple(item for item in left_out if start <= item.day <= end)
    return PeriodScores(period, chosen.rows, _scores(spec, _sample(chosen), usable), mine)


def _sample(rows: Dataset) -> Dataset:
    if rows.rows <= MAX_ROWS:
        return rows
    chosen = np.random.default_rng(_SEED).choice(rows.rows, MAX_ROWS, replace=False)
    return rows.take(np.sort(chosen))


def _scores(spec: ModelMonitorSpec, rows: Dataset, candidates: Sequence[Candidate]) -> dict[str, float]:
    if not rows.rows:
        return {}
    metric, scores = spec.promotion.metric, {}
    for candidate in candidates:
        value = _score(spec, metric, rows, candidate)
        if value is not None:
            scores[candidate.key] = value
    return scores


def _score(spec: ModelMonitorSpec, metric: Metric, rows: Dataset, candidate: Candidate) -> float | None:
    """Return the score of a model, as the gate would judge it; None if the metric is not defined."""
    model, target = candidate.model, spec.model.target
    predicted = model.scores(feature_arrays(rows.table, model.features))
    truth: Array
    if model.task is Task.REGRESSION:
        truth = true_values(rows.target, target)
    else:
        classes: tuple[str, ...] = model.classes
        if model.task is Task.MULTICLASS_CLASSIFICATION:
            classes = with_new_classes(list(classes), rows.target, target)
            predicted = aligned(predicted, model.classes, classes)
        truth = class_indices(rows.target, target, classes)
        known = truth >= 0
        truth, predicted = truth[known], predicted[known]
    try:
        return metric_value(metric, truth, predicted)
    except Undefined:
        return None
