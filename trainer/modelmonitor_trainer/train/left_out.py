"""Rows of a training that are not used, and why, in one line of its outcome."""

from __future__ import annotations

from modelmonitor_api.spec import DataFormat, ModelMonitorSpec
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.train.inconclusive import RowsRead
from modelmonitor_trainer.train.usable_days import in_words


def left_out_in_words(spec: ModelMonitorSpec, manifest: Manifest, rows: RowsRead) -> str:
    """Return how many rows of both windows are left out and why; empty if all are used as declared."""
    reports = [rows.train, rows.holdout]

    def total(name: str) -> int:
        return sum(getattr(report, name) for report in reports)

    counts = [
        (total("unlabelled"), "without a label"),
        (total("immature"), "of days with too few labels"),
        (total("repeated_rows"), "that repeat a key"),
        (total("contradictory"), "with contradicting labels"),
        (total("stray"), "of an outcome that is none of the two classes"),
        (rows.seen.ungrouped, f"of the hold-out without a {rows.seen.column!r}"),
        (rows.seen.entities, f"of the hold-out whose {rows.seen.column!r} was trained on"),
        (rows.seen.copies, "of the hold-out that are copies of other rows"),
        (rows.seen.training_copies, "of the training window that are copies of other rows"),
    ]
    parts = [f"{count:,} {why}" for count, why in counts if count]
    sentences = []
    if parts or manifest.left_out:
        read = f" of {total('feature_rows'):,} rows" if parts else ""
        sentences.append(f"Left out{read}: {', '.join([*parts, *filter(None, [in_words(manifest.left_out)])])}.")
    if total("unlabelled") and spec.data.labels is None and spec.data.format is DataFormat.CSV:
        sentences.append(
            "In CSV, NA, NULL, None and similar words mean a missing value; data.csv.nullValues declares which do."
        )
    if total("corrected"):
        sentences.append(
            f"{total('corrected'):,} of {total('matched'):,} labelled rows have a label that replaced a different one."
        )
    if manifest.begins_with is not None:
        sentences.append(
            f"The training window begins on {manifest.train[0]}, because earlier rows lack {manifest.begins_with!r}."
        )
    if spec.data.labels is not None and total("recurring"):
        sentences.append(
            f"Rows are identified by {spec.data.labels.join_key!r} and their day, because {total('recurring'):,} rows "
            "have keys that return on other days."
        )
    return " ".join(sentences + list(rows.seen.notes))
