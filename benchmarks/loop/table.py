"""The table of the loop, as a page of the documentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from support.walk.summary import Summary, beyond_chance
from support.walk.worlds import DELAY, ROWS, Kind

_TITLES = {
    Kind.STATIONARY: "Nothing changes.",
    Kind.SUDDEN: "On one day, a feature moves by 1 sd, and its effect on the outcome changes its sign. This lasts.",
    Kind.GRADUAL: "The same change, spread over 60 days.",
    Kind.SEASON: "Mean and effect of a feature swing with a period of 120 days.",
    Kind.BACK: "The sudden shift, undone after 45 days.",
    Kind.CORRUPTED: "Two weeks with a column in another unit, or mostly empty. The outcomes do not change.",
    Kind.CORRECTED: "15 % of the labels arrive wrong, and are corrected a week later. Nothing changes.",
    Kind.NEW_CLASS: "A third outcome appears, and lasts. The score is the accuracy.",
    Kind.LOST_FEATURE: "A feature is no longer written; five days later a person removes it from the spec.",
}
_HEADER = (
    "world", "alarms", "false", "trainings", "promoted", "wrong", "regretted", "days to learn (possible)",
    "never retrain", "served", "hindsight",
)  # fmt: skip

_INTRODUCTION = """\
# The loop

How a monitor does that is left alone, in worlds in which everything is known. `make bench-loop` writes this page.

Each world below is lived day by day with the real check, plan, training and promotion gate on a simulated clock, for
{days} days. Lives of each world, with other rows: {seeds}. There are {rows} rows a day with four features, labels
arrive after {delay} days, the model is a logistic regression, and all settings of checks, trainings and promotion have
their defaults. The monitor begins with enough history for a first model.

Worlds with the same seed are made of the same random draws, so the quiet ones differ only where something happens in
them: their rows are not further evidence about false alarms. More seeds are."""
_LEGEND = """\
Alarms, trainings and promotions are means per life.

- **alarms**: series of checks that found drift or a drop of the score. **false**: those at which all days of the live
  window and of the reference were of the same world.
- **trainings**: those after the first model. **promoted**: those whose version became the champion.
- **wrong**: promotions of a model that is worse than its predecessor beyond the margin, on 40,000 new rows of the world
  of the hold-out. The gate lets such a model pass with a probability of 5 % or less. **regretted**: the same in the
  world of the 28 days after the promotion, which the gate cannot know while the world goes on changing.
- **days to learn**: median number of days from a sudden change to the promotion of a model that was trained on enough
  days from after it (`retraining.minNewShare`). In brackets: after how many days the calendar and the label delay allow
  the first such training.
- **never retrain**, **served**, **hindsight**: mean true score over all weeks of the first model, of what the monitor
  served, and of a model that was trained before each week on other rows of that very week, as many as a training window
  has. No policy can know what the last one knows."""
_JUDGEMENT = """\
Over all lives, {wrong} of {judged} promotions were wrong, and there were {false} false alarms; the budget
(`sensitivity.falseAlarms`) allows {tolerated:.1f} on the days on which nothing had changed.

The invariants of `tests/support/walk/invariants.py` are tested for each day: each training has a cause and holds the
change that it responds to; the budget is kept, and not spent twice on the same data; each day has a verdict; corrupted
days are reported; a changed world is not called `NoDrift`; a change that lasts is learnt; the champion watch reports a
new champion that turns out to be far worse than its predecessor.

Where a change is undone before the model that has learnt it is promoted, the loop can serve less than the first model
would have: the hold-out still holds more days of the old change than of the return. The champion watch reports it, and
by default (`promotion.watch.action: Report`) leaves the rollback to a person. The worlds have no person."""


def beyond(summaries: Sequence[Summary]) -> list[str]:
    """Return what does not hold, as sentences."""
    return [*(sentence for summary in summaries for sentence in summary.violations), *beyond_chance(summaries)]


def markdown(summaries: Sequence[Summary]) -> str:
    """Return the page."""
    kinds = [kind for kind in Kind if any(summary.kind is kind for summary in summaries)]
    introduction = _INTRODUCTION.format(
        days=max(summary.days for summary in summaries),
        seeds=len({summary.seed for summary in summaries}),
        rows=ROWS,
        delay=DELAY,
    )
    table = [
        f"| {' | '.join(_HEADER)} |",
        f"|---|{'--:|' * (len(_HEADER) - 1)}",
        *(_row(kind, [summary for summary in summaries if summary.kind is kind]) for kind in kinds),
    ]
    worlds = "\n".join(f"- **{kind}**: {_TITLES[kind]}" for kind in kinds)
    return "\n\n".join([introduction, worlds, "\n".join(table), _LEGEND, _judgement(summaries)]) + "\n"


def _row(kind: Kind, lives: Sequence[Summary]) -> str:
    def per_life(total: int) -> str:
        return f"{total / len(lives):.1f}"

    judged = [promotion for life in lives for promotion in life.promotions]
    cells = [
        str(kind),
        per_life(sum(life.alarms for life in lives)),
        per_life(sum(life.false_alarms for life in lives)),
        per_life(sum(life.trainings for life in lives)),
        per_life(sum(life.promoted for life in lives)),
        f"{sum(promotion.wrong for promotion in judged)} of {len(judged)}",
        f"{sum(promotion.regretted for promotion in judged)} of {len(judged)}",
        _learning(lives),
        *(f"{_mean(lives, name):.4f}" for name in ("never", "monitor", "hindsight")),
    ]
    return f"| {' | '.join(cells)} |"


def _learning(lives: Sequence[Summary]) -> str:
    number = max(len(life.learning) for life in lives)
    texts = []
    for index in range(number):
        changes = [life.learning[index] for life in lives]
        taken = [change.taken for change in changes if change.taken is not None]
        missed = f", {len(changes) - len(taken)} not" if len(taken) < len(changes) else ""
        texts.append(f"{np.median(taken) if taken else float('nan'):.0f} ({changes[0].possible}){missed}")
    return "; ".join(texts) or "–"


def _mean(lives: Sequence[Summary], name: str) -> float:
    return float(np.mean([getattr(life.served, name).mean() for life in lives]))


def _judgement(summaries: Sequence[Summary]) -> str:
    judged = [promotion for summary in summaries for promotion in summary.promotions]
    text = _JUDGEMENT.format(
        wrong=sum(promotion.wrong for promotion in judged),
        judged=len(judged),
        false=sum(summary.false_alarms for summary in summaries),
        tolerated=sum(summary.tolerated for summary in summaries),
    )
    problems = beyond(summaries)
    if not problems:
        return text
    return "\n".join([text, "", "What did not hold:", "", *(f"- {sentence}" for sentence in problems)])
