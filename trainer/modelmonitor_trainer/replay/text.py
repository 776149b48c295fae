"""The result of a replay as text for a terminal."""

from __future__ import annotations

from modelmonitor_trainer.replay.conclusion import conclude
from modelmonitor_trainer.replay.result import PolicyResult, ReplayResult


def render_text(result: ReplayResult, folder: str, page: str | None) -> str:
    """Return the result as lines of text.

    Parameters
    ----------
    result
        The result.
    folder, page
        Where the results and the page are.
    """
    lines = [conclude(result), "", *_table(result)]
    if result.own.ending and result.own.ending not in result.own.unserved:
        lines += ["", f"At the end of {result.last}: {result.own.ending}"]
    lines += ["", *(f"- {note}" for note in result.notes)] if result.notes else []
    lines += ["", f"Results: {folder}"]
    return "\n".join([*lines, f"Page: {page}"] if page else lines)


def _table(result: ReplayResult) -> list[str]:
    """Return a table with one line per policy."""
    head = (
        "",
        result.metric,
        "95 % interval",
        "alarms",
        "trainings",
        "promoted",
        "rejected",
        "CPU min",
        "cost",
        "regret",
    )
    rows = [head, *(_row(result, policy) for policy in result.policies)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]


def _row(result: ReplayResult, policy: PolicyResult) -> tuple[str, ...]:
    counts, mean = policy.counts, policy.mean
    watched = bool(policy.events)
    return (
        policy.name,
        f"{mean.value:.4f}" if mean else "–",
        (mean.describe_interval(between=" – ") if mean else "") or "–",
        str(counts.alarms) if watched else "–",
        str(counts.trainings),
        str(counts.promoted),
        str(counts.rejected) if watched else "–",
        f"{policy.processor_seconds / 60:.1f}" if policy.processor_seconds else "–",
        result.prices.describe(policy.cost) if policy.cost is not None else "–",
        result.prices.describe(policy.regret) if policy.regret is not None else "–",
    )
