"""What checks will compare with: the profiles of a training window, for the version to carry."""

from __future__ import annotations

from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.profile.reference import (
    columns_of_rows,
    pinned_batches,
    read_reference,
    reference_to_bytes,
    target_column,
)
from modelmonitor_trainer.registry.layout import REFERENCE_LABELS_FILE, REFERENCE_ROWS_FILE
from modelmonitor_trainer.train.run import Run


def references(run: Run, manifest: Manifest) -> dict[str, bytes]:
    """Return files with the profiles of the training window's rows, and of its labels where there are any.

    Checks of every day then need neither these data nor a profile of each of their objects.

    Raises
    ------
    BadData, ObjectChanged
        If an object cannot be read, or is no longer the one that was trained on.
    """
    rows, labels = (pinned_batches(days, manifest.train) for days in (manifest.features, manifest.labels))
    wanted = {REFERENCE_ROWS_FILE: (columns_of_rows(run.spec), rows)}
    if labels:
        wanted[REFERENCE_LABELS_FILE] = ((target_column(run.spec),), labels)
    prefix = run.registry.layout.profiles
    found = {}
    for name, (columns, blocks) in wanted.items():
        reference = read_reference(run.store, blocks, columns, manifest.fmt, prefix, what=name.partition(".")[0])
        found[name] = reference_to_bytes(reference, columns)
    return found
