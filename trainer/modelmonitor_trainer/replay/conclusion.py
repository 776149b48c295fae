"""The answer of a replay in one sentence."""

from __future__ import annotations

from modelmonitor_trainer.replay.result import PolicyKind, PolicyResult, ReplayResult


def conclude(result: ReplayResult) -> str:
    """Return what a reader should take from a replay: what the monitor did, and whether another policy was cheaper."""
    own = result.own
    counts = own.counts
    did = (
        f"From {result.first} through {result.last} this monitor would have alarmed {_times(counts.alarms)} in "
        f"{counts.checks:,} checks, trained {_times(counts.trainings)} and promoted {_models(counts.promoted)}"
    )
    if own.mean is None:
        return f"{did}. Nothing could be scored."
    did += f"; the served model's {result.metric} was {own.mean.value:.4f} ({own.mean.low:.4f} to {own.mean.high:.4f})"
    rivals = [policy for policy in result.policies if policy.kind is not PolicyKind.ORACLE and policy.cost is not None]
    if len(rivals) < 2 or own.cost is None:
        return f"{did}."
    return f"{did}. {_cheapest(result, rivals, own)}"


def _cheapest(result: ReplayResult, rivals: list[PolicyResult], own: PolicyResult) -> str:
    prices = result.prices
    at = (
        f"At {prices.describe(prices.training)} per training and {prices.describe(prices.point_day)} per point of "
        f"{result.metric} and day"
    )
    best = min(rivals, key=lambda policy: policy.cost if policy.cost is not None else float("inf"))
    assert best.cost is not None
    assert own.cost is not None
    bound = f", {prices.describe(best.regret)} above the cheapest schedule that knew the future" if best.regret else ""
    if best is own:
        return f"{at} it would have been the cheapest of {len(rivals)} policies{bound}."
    return (
        f"{at} {best.name!r} would have been the cheapest of {len(rivals)} policies{bound}; this monitor would have "
        f"cost {prices.describe(own.cost - best.cost)} more."
    )


def _times(count: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(count, f"{count:,} times")


def _models(count: int) -> str:
    return {0: "no model", 1: "one model"}.get(count, f"{count:,} models")
