"""The conclusion of a replay: its headline, and what a reader should take from it."""

from __future__ import annotations

from modelmonitor_trainer.replay.result import Counts, PolicyKind, PolicyResult, ReplayResult


def headline(result: ReplayResult) -> str:
    """Return the conclusion in a few words."""
    best = _best(result)
    if best is None:
        return "What this monitor would have done"
    return "This monitor is the cheapest policy" if best is result.own else f"Cheapest: {best.name}"


def tone(result: ReplayResult) -> str:
    """Return good if the monitor is the cheapest policy, and unsure if another one is, or nothing was compared."""
    return "good" if _best(result) is result.own else "unsure"


def conclude(result: ReplayResult) -> str:
    """Return what a reader should take from a replay: what the monitor did, and whether another policy was cheaper."""
    own = result.own
    counts = own.counts
    summary = f"From {result.first} through {result.last} this monitor would have {_describe_counts(counts)}"
    if own.unserved:
        return f"{summary}. There is nothing to score: no model was ever promoted. {own.unserved}"
    if own.mean is None:
        return f"{summary}. Nothing could be scored."
    interval = own.mean.describe_interval()
    summary += f"; the served model's {result.metric} was {own.mean.value:.4f}" + (f" ({interval})" if interval else "")
    best = _best(result)
    return f"{summary}." if best is None else f"{summary}. {_compare_costs(result, best)}"


def _with_cost(result: ReplayResult) -> list[PolicyResult]:
    """Return the policies with a cost; the oracle is none that could be chosen."""
    return [policy for policy in result.policies if policy.kind is not PolicyKind.ORACLE and policy.cost is not None]


def _best(result: ReplayResult) -> PolicyResult | None:
    """Return the cheapest policy; None if there is nothing to compare. The monitor wins a tie."""
    compared = _with_cost(result)
    if len(compared) < 2 or result.own.cost is None:
        return None
    return min(compared, key=lambda policy: (policy.cost or 0.0, policy is not result.own))


def _compare_costs(result: ReplayResult, best: PolicyResult) -> str:
    own, compared = result.own, _with_cost(result)
    prices = result.prices
    at = (
        f"At {prices.describe(prices.training)} per training and {prices.describe(prices.point_day)} per point of "
        f"{result.metric} and day"
    )
    assert best.cost is not None
    assert own.cost is not None
    gap = f", {prices.describe(best.regret)} above the cheapest schedule in hindsight" if best.regret else ""
    if best is own:
        return f"{at} it would have been the cheapest of {len(compared)} policies{gap}."
    return (
        f"{at} {best.name!r} would have been the cheapest of {len(compared)} policies{gap}; this monitor would have "
        f"cost {prices.describe(own.cost - best.cost)} more."
    )


def _describe_counts(counts: Counts) -> str:
    checks = "one check" if counts.checks == 1 else f"{counts.checks:,} checks"
    # Corrupted data are no alarm, and block trainings.
    if counts.corrupted:
        checks += f" ({counts.corrupted:,} found corrupted data)"
    if not counts.checks:
        alarmed = "completed no check"
    elif not counts.alarms:
        alarmed = f"raised no alarm in {checks}"
    else:
        alarmed = f"alarmed {_times(counts.alarms)} in {checks}"
    if not counts.trainings:
        return f"{alarmed} and never trained"
    return f"{alarmed}, trained {_times(counts.trainings)} and promoted {_models(counts.promoted)}"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _models(count: int) -> str:
    return {0: "no model", 1: "one model"}.get(count, f"{count:,} models")
