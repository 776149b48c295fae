"""What a life amounts to: alarms, trainings, promotions, time to learn, scores; and what chance allows over many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_api.outcomes import Verdict
from support.walk.bounds import too_many, too_often
from support.walk.invariants import earliest, learnt_on, sudden, violations
from support.walk.judge import AFTER, Promotion, Served, promotions, served
from support.walk.landing import number_of
from support.walk.life import Life, Step
from support.walk.worlds import DELAY, Kind

#: Deficit beyond the margin that a month of the champion watch cannot miss.
_FAR_WORSE = 0.03


@dataclass(frozen=True)
class Learning:
    """How long a change took to be learnt.

    Attributes
    ----------
    onset, possible
        Day of the change, and the days after it at which a training can first hold enough of it.
    taken
        Days after it at which such a model was promoted; None if none was.
    """

    onset: int
    possible: int
    taken: int | None


@dataclass(frozen=True)
class Summary:
    """A life in figures.

    Attributes
    ----------
    kind, seed, days, tolerated
        The world; ``tolerated`` is the number of false alarms that the budget allows for its days without a change.
    alarms, false_alarms
        Series of checks with Drift or a drop of the score, and those of them in which nothing had changed.
    trainings, promoted
        Trainings after the first model, and how many of them were promoted.
    promotions, learning, served
        See there.
    confidence
        Of the gate.
    violations
        Sentences.
    """

    kind: Kind
    seed: int
    days: int
    tolerated: float
    alarms: int
    false_alarms: int
    trainings: int
    promoted: int
    promotions: tuple[Promotion, ...]
    learning: tuple[Learning, ...]
    served: Served
    confidence: float
    violations: tuple[str, ...]


def summarize(life: Life) -> Summary:
    """Return a life in figures."""
    budget = life.spec.sensitivity.false_alarms
    starts = alarms(life)
    steady = [step for step in life.checks if nothing_has_changed(life, step)]
    judged = promotions(life)
    retrained = [step for step in life.trainings if step.before.champion is not None]
    return Summary(
        life.world.kind,
        life.world.seed,
        life.world.days,
        budget.count * len(steady) / budget.per_days,
        len(starts),
        sum(nothing_has_changed(life, step) for step in starts),
        len(retrained),
        sum(step.promoted for step in retrained),
        tuple(judged),
        tuple(_learning(life)),
        served(life),
        float(life.spec.promotion.confidence),
        (*violations(life), *unreported_regrets(life, judged)),
    )


def alarms(life: Life) -> list[Step]:
    """Return the first check of each series of checks that found drift or a drop of the score."""
    starts, before = [], False
    for step in life.checks:
        if step.check is None:
            continue
        alarm = step.check.verdict is Verdict.DRIFT or step.check.performance_dropped
        if alarm and not before:
            starts.append(step)
        before = alarm
    return starts


def nothing_has_changed(life: Life, step: Step) -> bool:
    """Return whether all days of the live window are in the one state that all days of the reference are in."""
    champion = step.before.champion
    if step.check is None or champion is None:
        return False
    start, end = (number_of(day) for day in life.registry.version(champion.version).reference)
    live = range(step.day - step.spec.data.live.window_days, step.day)
    lost = life.world.lost is not None and live[-1] >= life.world.lost
    return not lost and len({life.world.state(day) for day in [*range(start, end + 1), *live]}) == 1


def unreported_regrets(life: Life, judged: Sequence[Promotion]) -> list[str]:
    """Return the promotions that turned out to be far worse, without a report of the champion watch.

    The gate cannot know that the world changes back; the watch sees it once labels of the days after it have arrived.
    """
    sentences = []
    for promotion in judged:
        due = promotion.day + AFTER + DELAY
        if promotion.later > -promotion.margin - _FAR_WORSE or due >= life.world.days:
            continue
        steps = [step for step in life.steps if promotion.day < step.day <= due]
        watches = [step.after.last_check.watch for step in steps if step.after.last_check is not None]
        replaced = any(step.after.champion.version != promotion.version for step in steps if step.after.champion)
        if not replaced and not any(watch.worse for watch in watches if watch and watch.champion == promotion.version):
            sentences.append(
                f"{life.world.name}: {promotion.version}, promoted on day {promotion.day}, was worse by "
                f"{-promotion.later:.3f} in the weeks that followed, and the champion watch did not report it "
                f"({unreported_regrets.__name__})"
            )
    return sentences


def _learning(life: Life) -> list[Learning]:
    learning = []
    for change in sudden(life):
        day = learnt_on(life, change)
        possible = earliest(life, change) - change.onset
        learning.append(Learning(change.onset, possible, None if day is None else day - change.onset))
    return learning


def beyond_chance(summaries: Sequence[Summary]) -> list[str]:
    """Return what is more frequent over all lives than is stated, beyond chance."""
    judged = [promotion for summary in summaries for promotion in summary.promotions]
    wrong, allowed = sum(promotion.wrong for promotion in judged), 1 - max(s.confidence for s in summaries)
    false, tolerated = sum(s.false_alarms for s in summaries), sum(s.tolerated for s in summaries)
    sentences = []
    if too_many(wrong, len(judged), allowed):
        sentences.append(f"{wrong} of {len(judged)} promotions were wrong; {allowed:.2g} of them are stated")
    if too_often(false, tolerated):
        sentences.append(f"{false} false alarms; the budget allows {tolerated:.1f}")
    return sentences
