"""Text of a check on the terminal: the verdict, the columns with the strongest evidence, notes, what was left out."""

from __future__ import annotations

from collections.abc import Iterator

from modelmonitor_api.outcomes import Verdict
from modelmonitor_trainer.detect.drift import MISSING, ColumnResult, ColumnTest
from modelmonitor_trainer.detect.performance import PerformanceResult
from modelmonitor_trainer.detect.result import CheckResult, unlisted_notes
from modelmonitor_trainer.detect.verdict import probability
from modelmonitor_trainer.text import as_sentence, percent, printable

#: Number of columns in the table.
_SHOWN = 10
_MARKS = {Verdict.DRIFT: "*", Verdict.INCONCLUSIVE: "?", Verdict.NO_DRIFT: " "}


def render_text(result: CheckResult, where: str) -> str:
    """Return the result as text.

    Parameters
    ----------
    result
        The result.
    where
        File or URI of the report page; empty if there is none.
    """
    lines = [f"{result.verdict.verdict}: {result.verdict.message}", *_table(result)]
    sentences = result.coverage.sentences() if result.coverage else ()
    for measured in result.performance:
        # With a finding it is a part of the verdict.
        if measured.message and not _is_reported(measured, result):
            lines += ["", f"Champion: {as_sentence(measured.message)}"]
    for note in unlisted_notes(result):
        lines += ["", note]
    if result.findings:
        unusual = (f"  {finding.column}: {finding.message}." for finding in result.findings)
        lines += ["", "Unusual, but not drift:", *unusual]
    if sentences:
        lines += ["", "Left out:", *(f"  {sentence}" for sentence in sentences)]
    lines += ["", f"Report: {where}" if where else "Add --html FILE for a report page."]
    return "\n".join(printable(line) for line in lines)


def _is_reported(measured: PerformanceResult, result: CheckResult) -> bool:
    """Return whether the verdict or a note has the message, with a capital letter perhaps."""
    return any(measured.message[1:] in text for text in (result.verdict.message, *result.notes))


def _table(result: CheckResult) -> Iterator[str]:
    drift = result.drift
    # Without a test, a column can be in doubt: one side has rows, but no values.
    rows = [column for column in drift.columns if column.tests or column.doubts] if drift else []
    shown = rows[:_SHOWN]
    if drift is None or not shown:
        return
    width = max(6, *(len(printable(column.name)) for column in shown))
    yield ""
    yield f"  {'column':<{width}}  effect   limit  adjusted p  decided by"
    for column in shown:
        yield f"{_MARKS[column.verdict]} {printable(column.name):<{width}}  {_figures(column)}"
    more = len(rows) - len(shown)
    if more:
        yield f"  and {more:,} more"
    wanted = f"{float(result.sensitivity.detectable_effect):g}"
    counts = [
        (len(drift.drifted), "* {} drifted"),
        (len(drift.inconclusive), f"? {{}} inconclusive: a change of {wanted} cannot be ruled out"),
        (len(drift.unchanged), "{} without drift"),
    ]
    yield ""
    yield "  " + "; ".join(text.format(f"{count:,}") for count, text in counts if count)


def _figures(column: ColumnResult) -> str:
    test = column.decisive
    if test is None:
        return f"{'-':>6}  {'-':>6}  {'-':>10}  not tested"
    figures = f"{test.evidence.effect:6.3f}  {test.limit:6.3f}  {probability(test.adjusted_p):>10}"
    return f"{figures}  {_decided_by(column, test)}"


def _decided_by(column: ColumnResult, test: ColumnTest) -> str:
    if test.what != MISSING:
        return test.what
    before, now = column.comparison.reference.total, column.comparison.current.total
    return f"{test.what} ({percent(before.missing / before.rows)} → {percent(now.missing / now.rows)})"
