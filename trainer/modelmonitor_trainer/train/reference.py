"""Reference profiles: profiles of the training window, stored with the version for later checks."""

from __future__ import annotations

from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.profile.reference import (
    columns_of_rows,
    pinned_batches,
    read_reference,
    reference_to_bytes,
    target_column,
)
from modelmonitor_trainer.registry.layout import REFERENCE_LABELS_FILE, REFERENCE_ROWS_FILE
from modelmonitor_trainer.train.run import Run


def reference_profiles(run: Run, manifest: Manifest, window: Window) -> dict[str, bytes]:
    """Return files with the profiles of the rows of `window`, and of its labels if they are separate.

    With them, checks need neither the data of the training window nor a profile of each of its objects.

    Parameters
    ----------
    run, manifest
        Run and data manifest of the training.
    window
        The days that checks compare with: the training window, or its part after a change.

    Raises
    ------
    BadData, ObjectChanged
        If an object cannot be read, or was replaced since the manifest was frozen.
    """
    rows, labels = (pinned_batches(days, window) for days in (manifest.features, manifest.labels))
    sources = {REFERENCE_ROWS_FILE: (columns_of_rows(run.spec), rows)}
    if labels:
        sources[REFERENCE_LABELS_FILE] = ((target_column(run.spec),), labels)
    prefix = run.registry.layout.profiles
    files = {}
    for name, (columns, batches) in sources.items():
        reference = read_reference(run.store, batches, columns, manifest.fmt, prefix, what=name.partition(".")[0])
        files[name] = reference_to_bytes(reference, columns)
    return files
