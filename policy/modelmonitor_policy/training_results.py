"""What the result of a training says, beyond its outcome: scores, rejections in a row, and how models age."""

from __future__ import annotations

import datetime as dt

from modelmonitor_api.messages import RunVerdict
from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.scores import ScoreComparison
from modelmonitor_api.status import MAX_COMPARISONS, AgeComparison, LastTraining, ModelMonitorStatus
from modelmonitor_api.times import day_before


def compare_scores(verdict: RunVerdict) -> ScoreComparison | None:
    """Return the scores of a verdict as text: the API has no floating-point numbers."""
    comparison = verdict.comparison
    if comparison is None:
        return None
    scores = {name: getattr(comparison, name) for name in ("challenger", "champion", "difference", "low", "high")}
    return ScoreComparison(
        metric=comparison.name,
        train_rows=verdict.train_rows,
        holdout_rows=verdict.holdout_rows,
        **{name: f"{value:.4f}" for name, value in scores.items() if value is not None},
    )


def count_rejections(last: LastTraining, verdict: RunVerdict) -> int:
    """Return the number of trainings in a row whose models did not pass.

    A model that is too good to be true counts, too. What ends without a comparison neither counts nor ends the row.
    """
    if verdict.outcome in {RunOutcome.REJECTED, RunOutcome.INCONCLUSIVE} and verdict.comparison is not None:
        return last.rejections + 1
    passed = verdict.outcome in {RunOutcome.PROMOTED, RunOutcome.AWAITING_APPROVAL}
    return 0 if passed else last.rejections


def learn_from(status: ModelMonitorStatus, verdict: RunVerdict, finished: dt.datetime) -> list[AgeComparison]:
    """Return the comparisons by age, newest first, with that of a training whose rows are newer than the champion's.

    Parameters
    ----------
    status
        The status before the verdict is applied: its champion is the one that the challenger was compared with.
    verdict, finished
        The result of the training, and when its Job ended.
    """
    scores, champion = compare_scores(verdict), status.champion
    if scores is None or scores.difference is None or scores.low is None or scores.high is None:
        return status.comparisons
    champion_end = day_before(champion.data_end) if champion is not None else None
    if champion_end is None or verdict.train_end is None:
        return status.comparisons
    days = (verdict.train_end - champion_end).days
    if days < 1:
        return status.comparisons
    learnt = AgeComparison(time=finished, days=days, difference=scores.difference, low=scores.low, high=scores.high)
    return [learnt, *status.comparisons][:MAX_COMPARISONS]
