"""Comparison of policies by what they served: scores, costs and regret."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.names import Role
from modelmonitor_trainer.arrays import Array, Floats, Ints
from modelmonitor_trainer.data.manifest import LeftOutDay, freeze
from modelmonitor_trainer.data.windows import TrainingWindows
from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.model.metrics import greater_is_better, title
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.baselines import ORACLE, fixed_schedules, grid_days, grid_times
from modelmonitor_trainer.replay.candidates import Candidate, fit_newest, promoted_models
from modelmonitor_trainer.replay.costs import Prices, lost_points
from modelmonitor_trainer.replay.evaluation import Evaluation, Periods, evaluate
from modelmonitor_trainer.replay.limits import describe_limits
from modelmonitor_trainer.replay.oracle import Schedule, cheapest_schedule, schedule_cost
from modelmonitor_trainer.replay.past_store import PastStore
from modelmonitor_trainer.replay.result import (
    Counts,
    Estimate,
    PolicyKind,
    PolicyResult,
    RegretCurve,
    ReplayResult,
    count_outcomes,
)
from modelmonitor_trainer.replay.run import Range, SettingRun
from modelmonitor_trainer.replay.workers import Workers

_DAY = dt.timedelta(days=1)
#: Labelled rows that an evaluation period should have, and the lengths in days that are tried.
_MIN_ROWS, _LENGTHS = 200, (1, 7, 28)
_CONFIDENCE, _RESAMPLES, _SEED = 0.95, 2000, 20130101
#: Values from which on the bootstrap gives an interval.
_MIN_VALUES = 8
#: Prices of a training, relative to the given one, at which policies are compared.
_PRICE_FACTORS = np.geomspace(0.01, 100, 41)


@dataclass(frozen=True)
class _Policy:
    """A policy and its models.

    Attributes
    ----------
    result
        Its result, without scores and costs.
    tenures
        First day and key of each model that served, in order.
    trained
        The day of each training, also of those without a model that served.
    """

    result: PolicyResult
    tenures: tuple[tuple[dt.date, str], ...]
    trained: tuple[dt.date, ...]


def compare(
    monitor: MonitorRef,
    runs: Sequence[SettingRun],
    period: Range,
    workers: Workers,
    store: PastStore,
    prices: Prices,
    arrival: Arrival,
    *,
    baselines: bool,
) -> ReplayResult:
    """Compare what the settings served with each other, with baselines and with the oracle.

    Parameters
    ----------
    monitor, runs
        The monitor, and the runs of its own setting and of others.
    period
        The simulated days.
    workers, store
        Processes and store of the replay.
    prices
        Prices of the costs.
    arrival
        What determined when data arrived.
    baselines
        Whether to compare with baselines and the oracle.
    """
    spec = runs[0].setting.spec
    policies, candidates, notes = _setting_policies(runs, monitor, store)
    notes = [*describe_limits(spec, arrival), *notes]
    result = ReplayResult(
        monitor=f"{monitor.namespace}/{monitor.name}",
        first=period.first,
        last=period.last,
        arrival=arrival,
        metric=title(spec.promotion.metric),
        greater_is_better=greater_is_better(spec.promotion.metric),
        periods=(),
        rows=(),
        policies=tuple(policy.result for policy in policies),
        prices=prices,
        notes=tuple(notes),
    )
    serving = [policy for policy in policies if policy.tenures]
    if not policies[0].tenures:
        return result
    if baselines:
        begin = policies[0].tenures[0][0] - _DAY
        fixed, grid = _fixed_policies(workers, runs[0], monitor, begin, period.last)
        serving, candidates = [*serving, *fixed], candidates | grid
    first = max(policy.tenures[0][0] for policy in serving)
    delay = spec.data.labels.delay_days if spec.data.labels else 0
    last = period.last - dt.timedelta(days=delay)
    length = _choose_length(store.at(period.end), runs[0], first, last)
    periods = Periods.between(first, last, length)
    if not periods.count:
        return replace(result, notes=(*notes, f"No day after {first} has mature labels, so there is nothing to score."))
    evaluation = evaluate(workers, spec, list(candidates.values()), periods, period.end)
    if evaluation.left_out:
        result = replace(result, notes=(*result.notes, describe_left_out(evaluation.left_out)))
    matrix = _Matrix.of(evaluation, list(candidates.values()), runs[0], prices)
    return _with_scores(result, matrix, serving, prices, oracle=baselines)


def _setting_policies(
    runs: Sequence[SettingRun], monitor: MonitorRef, store: PastStore
) -> tuple[list[_Policy], dict[str, Candidate], list[str]]:
    """Return the policies of settings, their models by key, and why others cannot be scored."""
    policies: list[_Policy] = []
    models: dict[str, Candidate] = {}
    notes: list[str] = []
    for index, run in enumerate(runs):
        registry = ModelRegistry.of(store, run.setting.spec, monitor)
        promoted, problems = promoted_models(registry)
        notes += problems
        by_version = {candidate.title: candidate for candidate in promoted}
        tenures = []
        pointer = registry.serving()
        for tenure in pointer.all_periods() if pointer else []:
            candidate = by_version.get(tenure.tenure.version)
            if candidate is not None:
                tenures.append((max(tenure.since.date() + _DAY, candidate.first_day), candidate.key))
        models |= {candidate.key: candidate for candidate in promoted}
        counts = count_outcomes(run.events)
        policy = PolicyResult(
            name=run.setting.name,
            kind=PolicyKind.SETTING if index else PolicyKind.MONITOR,
            counts=counts,
            events=run.events,
            processor_seconds=run.seconds,
            ending=run.decision.message,
            unserved="" if tenures else _describe_last_training(run),
        )
        trained = tuple(event.time.date() for event in run.events if event.job.role is Role.TRAIN)
        policies.append(_Policy(policy, tuple(tenures), trained))
        if policy.unserved and index and policy.unserved != policies[0].result.unserved:
            notes.append(f"{run.setting.name}: no model was ever promoted. {policy.unserved}")
    return policies, models, notes


def _describe_last_training(run: SettingRun) -> str:
    """Return why the last training promoted no model, such as a feature that leaks, or why there was none."""
    trainings = [event for event in run.events if event.job.role is Role.TRAIN]
    if not trainings:
        return run.decision.message
    message = trainings[-1].answer.message.rstrip(".")
    return f"The last training, on {trainings[-1].time:%Y-%m-%d}: {message}."


def _fixed_policies(
    workers: Workers, run: SettingRun, monitor: MonitorRef, first: dt.date, last: dt.date
) -> tuple[list[_Policy], dict[str, Candidate]]:
    """Return the policies with fixed days, and their models by key."""
    days = grid_days(first, last)
    futures = [
        workers.submit(fit_newest, run.setting.spec, monitor, time) for time in grid_times(first, last - _DAY, days)
    ]
    grid = [future.result() for future in futures]
    policies = []
    for schedule in fixed_schedules(grid, days):
        trainings = len(schedule.models) - 1
        result = PolicyResult(
            name=schedule.name,
            kind=PolicyKind.BASELINE,
            counts=Counts(trainings=trainings + 1, promoted=trainings + 1),
            processor_seconds=sum(model.seconds for model in schedule.models),
        )
        tenures = tuple((model.first_day, model.key) for model in schedule.models)
        trained = tuple(model.first_day - _DAY for model in schedule.models)
        policies.append(_Policy(result, tenures, trained))
    return policies, {model.key: model for model in grid if model is not None}


def count_paid(trained: Iterable[dt.date], first: dt.date) -> int:
    """Return how many trainings are paid for.

    Those before the first day of which the scores count led to the models that the policies start with. A monitor
    that needed several attempts pays as little for them as a policy without a gate.

    Parameters
    ----------
    trained
        The day of each training.
    first
        The first day of which the scores count.

    >>> count_paid([dt.date(2013, 1, day) for day in (1, 15, 29)], dt.date(2013, 1, 16))
    1
    """
    return sum(day >= first for day in trained)


def describe_left_out(left_out: Iterable[LeftOutDay]) -> str:
    """Return the days that are not scored, and why, in a sentence."""
    items = sorted(left_out, key=lambda item: item.day)
    first, count = items[0], len({item.day for item in items})
    days = f"{first.day} is" if count == 1 else f"{count} days from {first.day} through {items[-1].day} are"
    return f"{days} not scored: {first.reason.rstrip('.')}."


def _choose_length(store: PastStore, run: SettingRun, first: dt.date, last: dt.date) -> int:
    """Return the length of an evaluation period in days: the shortest that has enough rows."""
    window = first, min(last, first + 27 * _DAY)
    try:
        manifest = freeze(store, run.setting.spec, TrainingWindows.without_holdout(window))
    except ModelMonitorError:
        return 1
    rows = float(np.median([day.rows for day in manifest.features] or [0]))
    return next((length for length in _LENGTHS if length * rows >= _MIN_ROWS), _LENGTHS[-1])


@dataclass(frozen=True)
class _Matrix:
    """Scores and losses of all models in the periods in which the metric is defined.

    Attributes
    ----------
    evaluation
        All scores.
    kept : (k,)
        Indices of the periods with scores.
    candidates
        The models, in the order of the rows.
    first : (n_models,)
        The first of the kept periods in which each model can serve.
    losses : (n_models, k)
        Price of what each model lacks in each kept period; 0 where it cannot serve.
    """

    evaluation: Evaluation
    kept: Ints
    candidates: list[Candidate]
    first: Ints
    losses: Floats

    @classmethod
    def of(cls, evaluation: Evaluation, candidates: list[Candidate], run: SettingRun, prices: Prices) -> _Matrix:
        """Return the matrix of an evaluation."""
        periods, values = evaluation.periods, evaluation.values
        first = np.array([periods.first_from(candidate.first_day) for candidate in candidates])
        usable = np.arange(periods.count) >= first[:, None]
        # Whether a metric is defined depends on the outcomes, which are those of all models.
        kept = np.flatnonzero((np.isfinite(values) | ~usable).all(axis=0) & usable.any(axis=0))
        metric = run.setting.spec.promotion.metric
        initial = values[np.argmin(first)]
        points = lost_points(metric, values[:, kept], float(np.nanmean(initial)) if np.isfinite(initial).any() else 1.0)
        losses = np.where(np.isfinite(points), points, 0.0) * prices.point_day * periods.days
        return cls(evaluation, kept, candidates, np.searchsorted(kept, first), losses)

    def serve(self, tenures: Sequence[tuple[dt.date, str]]) -> Ints:
        """Return the index of the model that serves in each kept period."""
        index = {candidate.key: number for number, candidate in enumerate(self.candidates)}
        served = []
        for period in self.kept:
            start = self.evaluation.periods.window(int(period))[0]
            key = next(key for first, key in reversed(tenures) if first <= start)
            served.append(index[key])
        return np.array(served, dtype=np.int64)

    def values(self, served: Ints) -> Floats:
        """Return the score of the served model in each kept period."""
        values: Floats = self.evaluation.values[served, self.kept]
        return values


def _with_scores(
    result: ReplayResult, matrix: _Matrix, policies: Sequence[_Policy], prices: Prices, *, oracle: bool
) -> ReplayResult:
    """Return a result with scores, costs and regret."""
    periods = matrix.evaluation.periods
    result = replace(
        result,
        periods=tuple(periods.window(int(index)) for index in matrix.kept),
        rows=tuple(int(rows) for rows in matrix.evaluation.rows[matrix.kept]),
    )
    if not matrix.kept.size:
        return replace(result, notes=(*result.notes, "The metric is not defined in any period."))
    served = {policy.result.name: matrix.serve(policy.tenures) for policy in policies}
    paid = {policy.result.name: count_paid(policy.trained, periods.first) for policy in policies}
    own = matrix.values(served[policies[0].result.name])
    best = cheapest_schedule(matrix.losses, matrix.first, prices.training) if oracle else None
    scored = []
    for policy in policies:
        name = policy.result.name
        cost = schedule_cost(matrix.losses, served[name], paid[name], prices.training)
        scored.append(_with_score(policy.result, matrix, served[name], own, cost, best))
    unscored = [policy for policy in result.policies if policy.name not in served]
    if best is not None:
        counts = Counts(trainings=best.trainings + 1, promoted=best.trainings + 1)
        schedule = PolicyResult(name=ORACLE, kind=PolicyKind.ORACLE, counts=counts)
        scored.append(_with_score(schedule, matrix, best.served, own, best.cost, best))
    curve = _curve(matrix, served, paid, prices) if oracle else None
    return replace(result, policies=(*scored, *unscored), curve=curve)


def _with_score(
    policy: PolicyResult, matrix: _Matrix, served: Ints, own: Floats, cost: float, best: Schedule | None
) -> PolicyResult:
    values = matrix.values(served)
    return replace(
        policy,
        served=tuple(float(value) for value in values),
        models=tuple(matrix.candidates[index].title for index in served),
        mean=_estimate(values),
        difference=_estimate(values - own),
        cost=cost,
        regret=None if best is None else cost - best.cost,
    )


def _curve(matrix: _Matrix, served: dict[str, Ints], paid: dict[str, int], prices: Prices) -> RegretCurve:
    """Return the regret of each policy at other prices of a training."""
    unit = prices.training or prices.point_day or 1.0
    tried = unit * _PRICE_FACTORS
    oracles = [cheapest_schedule(matrix.losses, matrix.first, float(price)) for price in tried]
    regrets = {
        name: tuple(
            schedule_cost(matrix.losses, models, paid[name], float(price)) - oracle.cost
            for price, oracle in zip(tried, oracles, strict=True)
        )
        for name, models in served.items()
    }
    return RegretCurve(tuple(map(float, tried)), regrets, tuple(oracle.trainings for oracle in oracles))


def _estimate(values: Array) -> Estimate:
    """Return the mean with an interval by the circular block bootstrap: neighbouring periods resemble each other.

    Politis and Romano, "A circular block-resampling procedure for stationary data" (1992), with blocks of n^(1/3).
    A few values would look more certain than they are, so there is no interval.
    """
    count = values.size
    if count < _MIN_VALUES:
        return Estimate(float(values.mean()), None, None)
    length = max(1, round(count ** (1 / 3)))
    random = np.random.default_rng(_SEED)
    starts = random.integers(0, count, (_RESAMPLES, -(-count // length)))
    index = (starts[:, :, None] + np.arange(length)).reshape(_RESAMPLES, -1)[:, :count] % count
    low, high = np.quantile(values[index].mean(axis=1), [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2])
    return Estimate(float(values.mean()), float(low), float(high))
