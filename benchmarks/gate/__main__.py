"""Error rates of the promotion gate: the second half of `make bench-trust`.

Scores of two models on the same rows are drawn from normal distributions with a known ROC AUC: the scores of
negative rows have the mean 0 and those of positive rows the mean d, so that the AUC is Phi(d / sqrt(2)). The
scores of both models are correlated within a class, and the challenger is better on some days than on others,
so rows of one day are dependent. The product's gate is compared with the naive rule that promotes every
challenger whose score is at least the champion's. The exit code is 1 if a model that is worse by the margin or
more passes too often.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import zlib
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import succession
from scipy import special, stats

from modelmonitor_api.outcomes import GateOutcome
from modelmonitor_api.spec import Metric, Promotion
from modelmonitor_trainer.gate.comparison import GateInput
from modelmonitor_trainer.gate.evaluation import evaluate

_CHAMPION = 0.75
_TOGETHER = 0.9
_BY_DAY = 0.1
_POSITIVE = 0.3
_PROMOTION = Promotion(metric=Metric.ROC_AUC)
_HEADING = "\n## The promotion gate: which challengers pass"


@dataclass(frozen=True)
class Duel:
    """A true difference in ROC AUC and the size of the hold-outs."""

    difference: float
    rows: int
    days: int
    sets: int


def duels(*, quick: bool) -> list[Duel]:
    """Return the rows of the table."""
    sizes = {2000: 20} if quick else {2000: 200, 10_000: 150, 50_000: 80}
    return [
        Duel(difference, rows, days, sets)
        for rows, sets in sizes.items()
        for days in (14, 28)
        for difference in (-0.02, -0.005, 0.0, 0.01, 0.03)
    ]


def contest(duel: Duel, seed: int) -> GateInput:
    """Return the simulated scores of one hold-out."""
    generator = np.random.default_rng([zlib.crc32(str(replace(duel, sets=0)).encode()), seed])
    truth = (generator.random(duel.rows) < _POSITIVE).astype(np.int64)
    days = np.sort(generator.integers(0, duel.days, duel.rows))
    by_day = generator.normal(0, _BY_DAY, duel.days)[days]
    common = generator.standard_normal(duel.rows) * np.sqrt(_TOGETHER)
    own = generator.standard_normal((2, duel.rows)) * np.sqrt(1 - _TOGETHER)
    champion = common + own[0] + truth * np.sqrt(2) * special.ndtri(_CHAMPION)
    # The scores of positive rows have the variance 1 + _BY_DAY**2 over all days.
    positive_mean = np.sqrt(2 + _BY_DAY**2) * special.ndtri(_CHAMPION + duel.difference)
    challenger = common + own[1] + truth * (positive_mean + by_day)
    baseline = np.full(duel.rows, _POSITIVE)
    return GateInput(truth, special.expit(challenger), special.expit(champion), baseline, days=days)


def measure(duel: Duel) -> tuple[Duel, Counter[str]]:
    """Return the number of promotions of each rule."""
    promotions: Counter[str] = Counter()
    for seed in range(duel.sets):
        result = evaluate(contest(duel, seed), _PROMOTION, seed=seed)
        assert result.champion is not None
        promotions["gate"] += result.outcome is GateOutcome.PASSED
        promotions["estimate"] += result.champion.value >= 0
    return duel, promotions


def main() -> int:
    """Measure and print; return 0 if the bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small table that takes a few seconds")
    parser.add_argument("--sets", type=int, default=10**6, help="maximum number of hold-outs per row")
    parser.add_argument("--rows", type=int, default=10**9, help="maximum number of rows per hold-out")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--append", type=Path, help="append the table to this file, replacing an earlier one")
    options = parser.parse_args()
    margin, allowed = float(_PROMOTION.non_inferiority_margin), 1 - float(_PROMOTION.confidence)
    lines = [
        _HEADING,
        "",
        f"Simulated hold-outs: a champion with ROC AUC {_CHAMPION}, scores correlated {_TOGETHER} within a class, and",
        f"the challenger's positive rows shifted by {_BY_DAY} sd from day to day; default promotion settings (margin",
        f"{margin:g}, confidence {1 - allowed:g}). Each figure is the share of hold-outs on which the challenger",
        "passes, with its 95 % interval (Clopper-Pearson) in brackets. The bar: a model that is worse by the margin or",
        f"more passes in at most {allowed:.2g} of them, beyond what chance explains. The last column is the naive rule",
        "that promotes a challenger whose score is at least the champion's.",
        "",
        "| true difference | rows | days | hold-outs | passes | bar | naive rule |",
        "|---|---|---|---|---|---|---|",
    ]
    passed = True
    chosen = [
        replace(duel, sets=min(duel.sets, options.sets))
        for duel in duels(quick=options.quick)
        if duel.rows <= options.rows
    ]
    with ProcessPoolExecutor(options.processes, mp_context=multiprocessing.get_context("fork")) as pool:
        for duel, counts in pool.map(measure, chosen):
            share, naive = counts["gate"] / duel.sets, counts["estimate"] / duel.sets
            span = stats.binomtest(counts["gate"], duel.sets).proportion_ci(0.95, "exact")
            bar = "–"
            if duel.difference <= -margin:
                passed = passed and bool(span.low <= allowed)
                bar = f"≤ {allowed:.2g} {'PASS' if span.low <= allowed else '**FAIL**'}"
            lines.append(
                f"| {duel.difference:+g} | {duel.rows:,} | {duel.days} | {duel.sets} | {share:.3f} "
                f"({span.low:.3f} to {span.high:.3f}) | {bar} | {naive:.2f} |"
            )
            sys.stderr.write(lines[-1] + "\n")
        slides, holds = succession.table(pool, min(options.sets, 2 if options.quick else 20))
    lines += ["", *slides]
    passed = passed and holds
    text = "\n".join([*lines, ""])
    sys.stdout.write(text)
    if options.append:
        before = options.append.read_text(encoding="utf-8").split(_HEADING)[0]
        options.append.write_text(before + text, encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
