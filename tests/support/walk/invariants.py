"""What holds in every life, as sentences where it does not: causes, budget, silence, and time to learn.

They are judged by what happened in the world and by the answers of Jobs, not by the rules of the policy.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_api.names import Reason
from modelmonitor_api.outcomes import RunOutcome, Verdict
from modelmonitor_policy.training_calendar import day_with, days_required
from support.walk.landing import day_of, number_of
from support.walk.life import REPAIR, Life, Step
from support.walk.worlds import Change

#: Days by which the estimated onset of a sudden change may precede the true one.
_ONSET_ERROR = 4
#: Days after the earliest possible one at which a training must have responded: a change that is found on its first
#: days can have a later onset, and a training that came too early has to be followed by a cooldown.
_SLACK = 6
Invariant = Callable[[Life], Iterator[str]]


def every_training_has_a_cause(life: Life) -> Iterator[str]:
    """A training follows a check that found what triggers it."""
    for step in life.trainings:
        trigger, check = step.event.job.trigger.partition(":")[0], newest_check(life, step)
        champion = step.before.champion
        causes = {
            Reason.NO_CHAMPION: champion is None and bool(check.rows.current),
            Reason.DRIFT_DETECTED: check.verdict is Verdict.DRIFT,
            Reason.PERFORMANCE_DROP: check.performance_dropped,
            Reason.CHANGE_PARTLY_LEARNT: champion is not None and champion.change_point is not None,
        }
        if not causes.get(Reason(trigger), False):
            yield f"day {step.day}: a training started by {trigger}, but the newest check was {check.verdict}"
        if check.verdict is Verdict.CORRUPTED:
            yield f"day {step.day}: a training started although the newest check found corrupted data"


def every_response_holds_the_change(life: Life) -> Iterator[str]:
    """A training that responds to a change is trained on enough days from after it."""
    for step in life.trainings:
        verdict, champion = step.training, step.before.champion
        if verdict is None or verdict.train_end is None or champion is None or champion.data_end is None:
            continue
        learnt = number_of(champion.data_end.date()) - 1
        known = [change for change in sudden(life) if learnt - _minimum(step) < change.onset < step.day]
        if not known:
            continue
        days = max(number_of(verdict.train_end) - change.onset + 1 for change in known)
        if days < _minimum(step) - _ONSET_ERROR:
            yield (
                f"day {step.day}: a training through {verdict.train_end} holds {days} days from after the change of "
                f"{day_of(known[0].onset)}, and {_minimum(step)} are required"
            )


def the_budget_is_kept(life: Life) -> Iterator[str]:
    """No period has more trainings than the budget, and no two are closer than the cooldown."""
    counted = [step for step in life.trainings if not _nothing_new(step)]
    for step in counted:
        retraining = step.spec.retraining
        since = step.event.time - dt.timedelta(days=retraining.budget.per_days)
        recent = [other for other in counted if since < other.event.time <= step.event.time]
        if len(recent) > retraining.budget.count:
            yield f"day {step.day}: the {len(recent)}th training in {retraining.budget.per_days} days"
    for one, other in itertools.pairwise(counted):
        distance = (other.event.time - one.event.time).total_seconds()
        if one.before.champion is not None and distance < one.spec.retraining.cooldown_seconds:
            yield f"day {other.day}: a training {distance:.0f} seconds after the one before"


def the_budget_is_well_spent(life: Life) -> Iterator[str]:
    """Each training has newer data than the one before against the same champion, and hardly any finds nothing new."""
    for one, other in itertools.pairwise(life.trainings):
        ends = [step.training.train_end if step.training is not None else None for step in (one, other)]
        same = _champion(one) is not None and _champion(one) == _champion(other) and one.spec == other.spec
        if same and ends[0] is not None and ends[1] is not None and ends[1] <= ends[0]:
            yield f"day {other.day}: a training through {ends[1]}, as on day {one.day}, against the same champion"
    for step in life.trainings:
        if step.training is None:
            yield f"day {step.day}: a training failed: {step.event.answer.message}"
        elif _nothing_new(step):
            yield f"day {step.day}: a training found nothing new: {step.training.message}"


def every_day_is_checked(life: Life) -> Iterator[str]:
    """Each day has a check with a verdict."""
    days = {step.day for step in life.checks if step.check is not None}
    for day in sorted(set(range(life.world.days)) - days):
        answers = [step.event.answer.message for step in life.checks if step.day == day]
        yield f"day {day}: no check has a verdict: {'; '.join(answers) or 'none ran'}"


def corrupted_days_are_reported(life: Life) -> Iterator[str]:
    """While the newest day is corrupted the verdict is Corrupted, and never without a corrupted day in the window."""
    window, world = life.spec.data.live.window_days, life.world
    broken = set(world.corrupted)
    if world.lost is not None:
        broken |= set(range(world.lost, world.lost + REPAIR - 1))
    for step in life.checks:
        check = step.check
        if check is None:
            continue
        newest, corrupted = step.day - 1, check.verdict is Verdict.CORRUPTED
        if newest in broken and not corrupted:
            yield f"day {step.day}: the newest day is corrupted, and the verdict is {check.verdict}: {check.message}"
        if corrupted and not broken & set(range(newest - window + 1, newest + 1)):
            yield f"day {step.day}: Corrupted, but no day of the window is: {check.message}"


def a_changed_world_is_not_called_the_same(life: Life) -> Iterator[str]:
    """NoDrift is wrong where the live window is wholly after a sudden change, and the reference wholly before it."""
    window = life.spec.data.live.window_days
    for step in life.checks:
        check, champion = step.check, step.before.champion
        if check is None or check.verdict is not Verdict.NO_DRIFT or champion is None or champion.data_end is None:
            continue
        trained = number_of(champion.data_end.date()) - 1
        for change in sudden(life):
            last = life.world.days if change.last is None else change.last
            if trained < change.onset <= step.day - window and step.day - 1 <= last:
                yield f"day {step.day}: NoDrift, although the world has changed on {day_of(change.onset)}"


def changes_are_learnt(life: Life) -> Iterator[str]:
    """A training that holds a change that lasts starts about as early as calendar and labels allow; some is promoted.

    The first training can be rejected: a model of a mixture need not be better than a trivial one. The next has twice
    as many days.
    """
    for change in sudden(life):
        first = earliest(life, change)
        end = life.world.days if change.last is None else change.last + 1
        if first + _SLACK >= end:
            continue
        if not any(first - _SLACK <= step.day <= first + _SLACK for step in life.trainings):
            yield (
                f"no training responded to the change of day {change.onset} by day {first + _SLACK}, and one was "
                f"possible from day {first} on: {_decision(life, first + _SLACK)}"
            )
        second = earliest(life, change, attempts=2)
        if second + _SLACK < end and learnt_on(life, change) is None:
            yield (
                f"no model that has learnt the change of day {change.onset} was promoted by day {end}; one was "
                f"possible on day {first}: {_decision(life, end)}"
            )


INVARIANTS: tuple[Invariant, ...] = (
    every_training_has_a_cause,
    every_response_holds_the_change,
    the_budget_is_kept,
    the_budget_is_well_spent,
    every_day_is_checked,
    corrupted_days_are_reported,
    a_changed_world_is_not_called_the_same,
    changes_are_learnt,
)


def violations(life: Life) -> list[str]:
    """Return what does not hold, as sentences that name the world and the invariant."""
    return [
        f"{life.world.name}: {sentence} ({invariant.__name__})"
        for invariant in INVARIANTS
        for sentence in invariant(life)
    ]


def sudden(life: Life) -> list[Change]:
    """Return the changes whose first day is known."""
    return [change for change in life.world.changes if change.sudden]


def earliest(life: Life, change: Change, attempts: int = 1) -> int:
    """Return the first day on which a training can hold enough days from after a change."""
    spec, required = life.spec, days_required(life.spec)
    for _ in range(attempts - 1):
        required = days_required(spec, required)
    return number_of(day_with(spec, day_of(change.onset), required)) + 1


def learnt_on(life: Life, change: Change) -> int | None:
    """Return the day on which the first model with enough days from after a change was promoted."""
    end = life.world.days if change.last is None else change.last + 1
    for step in life.trainings:
        verdict = step.training
        if not step.promoted or verdict is None or verdict.train_end is None or not change.onset < step.day:
            continue
        days = min(number_of(verdict.train_end), end - 1) - change.onset + 1
        if days >= _minimum(step) - _ONSET_ERROR:
            return step.day
    return None


def newest_check(life: Life, step: Step) -> CheckVerdict:
    """Return the newest verdict of a check before a step."""
    before = life.steps[: life.steps.index(step)]
    return next(other.check for other in reversed(before) if other.check is not None)


def _minimum(step: Step) -> int:
    return days_required(step.spec)


def _nothing_new(step: Step) -> bool:
    return step.training is not None and step.training.outcome is RunOutcome.NOTHING_NEW


def _champion(step: Step) -> str | None:
    return step.before.champion.version if step.before.champion is not None else None


def _decision(life: Life, day: int) -> str:
    step = [step for step in life.steps if step.day < day][-1]
    return f"{step.decision.reason}, {step.decision.message}"
