"""The headline of a report page: the verdict and the columns that it is about, no more than the table shows."""

from __future__ import annotations

from modelmonitor_api.names import Reason
from modelmonitor_trainer.detect.drift import DriftResult
from modelmonitor_trainer.detect.inconclusive import count_of_columns
from modelmonitor_trainer.detect.result import CheckResult

#: Verdicts that are about the champion.
_OF_CHAMPION = {
    "ChampionUnusable": "The champion cannot be used",
    "PerformanceDrop": "The champion scores worse",
}


def headline_of(result: CheckResult, left_out: int) -> str:
    """Return the headline of a check of which `left_out` columns were left out."""
    drift, verdict = result.drift, result.verdict
    if verdict.verdict == "Corrupted":
        return "Corrupted data"
    if verdict.verdict in _OF_CHAMPION:
        certain = verdict.reason != Reason.INCONCLUSIVE
        return f"{_OF_CHAMPION[verdict.verdict]}; " + ("no drift found" if certain else "drift cannot be ruled out")
    if drift is None or not drift.compared:
        return "Inconclusive: nothing could be compared"
    if verdict.verdict == "Drift":
        return _of_drift(drift)
    if verdict.verdict == "NoDrift":
        more = f"; {left_out:,} left out" if left_out else ""
        return f"No drift in {count_of_columns(len(drift.unchanged))}{more}"
    return _of_doubt(drift)


def _of_drift(drift: DriftResult) -> str:
    if not drift.drifted:
        return "Drift of relationships between columns"
    more = f"; {len(drift.inconclusive)} inconclusive" if drift.inconclusive else ""
    return f"Drift in {len(drift.drifted)} of {count_of_columns(len(drift.compared))}{more}"


def _of_doubt(drift: DriftResult) -> str:
    unsure, certain = len(drift.inconclusive), len(drift.unchanged)
    if not unsure:
        # Of relationships, or of what was left out.
        about = "relationships between columns" if drift.inconclusive_relations else "too little was compared"
        return f"Inconclusive: {about}"
    if certain:
        return f"Inconclusive in {count_of_columns(unsure)}; no drift in {certain}"
    return "Inconclusive in the only column" if unsure == 1 else f"Inconclusive in all {unsure} columns"
