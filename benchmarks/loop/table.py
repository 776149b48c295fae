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


def beyond(summaries: Sequence[Summary]) -> list[str]:
    """Return what does not hold, as sentences."""
    return [*(sentence for summary in summaries for sentence in summary.violations), *beyond_chance(summaries)]


def markdown(summaries: Sequence[Summary]) -> str:
    """Return the page."""
    seeds, days = len({summary.seed for summary in summaries}), max(summary.days for summary in summaries)
    kinds = [kind for kind in Kind if any(summary.kind is kind for summary in summaries)]
    rows = [_row(kind, [summary for summary in summaries if summary.kind is kind]) for kind in kinds]
    return "\n".join(
        [
            "# The loop",
            "",
            "How a monitor does that is left alone, in worlds in which everything is known.",
            "",
            f"`make bench-loop` lives each world below day by day for {days} days, from {seeds} seed{'s'[: seeds > 1]}, "
            "with the real check, plan, training and promotion gate on a simulated clock. There are",
            f"{ROWS} rows a day with four features, labels arrive after {DELAY} days, the model is a logistic "
            "regression, and all settings of checks, trainings and",
            "promotion have their defaults. The monitor begins with enough history for a first model.",
            "",
            *(f"- **{kind}**: {_TITLES[kind]}" for kind in kinds),
            "",
            f"| {' | '.join(_HEADER)} |",
            f"|---|{'--:|' * (len(_HEADER) - 1)}",
            *rows,
            "",
            *_legend(),
            "",
            *_judgement(summaries),
            "",
        ]
    )


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


def _legend() -> list[str]:
    return [
        "Alarms, trainings and promotions are means per life.",
        "",
        "- **alarms**: series of checks that found drift or a drop of the score; **false**: those at which live window",
        "  and reference were of the same world.",
        "- **trainings**: after the first model. **promoted**: those whose version became the champion.",
        "- **wrong**: promotions of a model that is worse than its predecessor beyond the margin, on 40,000 new rows of",
        "  the world of the hold-out. The gate states 5 % or less. **regretted**: the same in the world of the 28 days",
        "  after the promotion, which the gate cannot know where the world goes on changing.",
        "- **days to learn**: median days from a sudden change to the promotion of a model that was trained on enough",
        "  days from after it (`retraining.minNewShare`). In brackets the days after which calendar and label delay",
        "  allow the first such training.",
        "- **never retrain**, **served**, **hindsight**: mean true score of the weeks, of the first model, of what the",
        "  monitor served, and of a model that was trained on as many other rows of that very week before it began. No",
        "  policy can reach the last one.",
    ]


def _judgement(summaries: Sequence[Summary]) -> list[str]:
    judged = [promotion for summary in summaries for promotion in summary.promotions]
    false, tolerated = sum(s.false_alarms for s in summaries), sum(s.tolerated for s in summaries)
    lines = [
        f"Over all lives, {sum(promotion.wrong for promotion in judged)} of {len(judged)} promotions were wrong, and "
        f"there were {false} false alarms; the budget",
        f"(`sensitivity.falseAlarms`) allows {tolerated:.1f} on the days without a change.",
        "The invariants of `tests/support/walk/invariants.py` are tested after each day: "
        "each training has a cause and holds the",
        "change that it responds to, the budget is kept and not spent on the same data, each day has a verdict, "
        "corrupted days are reported,",
        "a changed world is not called `NoDrift`, and a change that lasts is learnt.",
    ]
    problems = beyond(summaries)
    if problems:
        lines += ["", "What did not hold:", "", *(f"- {sentence}" for sentence in problems)]
    return lines
