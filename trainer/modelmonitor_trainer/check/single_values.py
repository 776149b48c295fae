"""Samples of the current rows of the columns in which single values may have become common.

Profiles count single values only if they are common in the reference. Values that are common in the current rows alone,
such as a new -999 for a missing value, are found by reading some rows again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.check.context import CheckContext
from modelmonitor_trainer.check.data import ProfiledData
from modelmonitor_trainer.data.row_sampling import sample_batches
from modelmonitor_trainer.data.text_numbers import numbers_of
from modelmonitor_trainer.detect.drift import ColumnResult
from modelmonitor_trainer.detect.findings import crowded_cells
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile.plans import date_columns

#: Rows that are drawn, and columns that are read: few columns have such cells without having drifted.
_ROWS, _COLUMNS = 20_000, 20


def sample_crowded(ctx: CheckContext, data: ProfiledData, columns: Sequence[ColumnResult]) -> Mapping[str, Floats]:
    """Return a sample of the values of each column whose current rows crowd a cell; nothing if none do."""
    dates = date_columns(data.rows.plan)
    crowded = [column.name for column in columns if crowded_cells(column)]
    # Dates that are text would have to be read as such; their range shows what is unusual about them.
    names = [name for name in crowded if name not in dates][:_COLUMNS]
    if not names:
        return {}
    batches = [(profile.block, profile.rows) for profile in data.rows.current.blocks if not profile.unreadable]
    having = [(batch, rows) for (batch, rows) in batches if rows]
    try:
        tables = list(sample_batches(ctx.store, having, names, ctx.fmt, _ROWS))
    except BadData:
        # Objects of one batch disagree on a type, which the contract reports.
        return {}
    samples = {}
    for name in names:
        parts = [numbers_of(table.column(name)) for table in tables if name in table.column_names]
        values = np.concatenate([np.empty(0), *parts])
        samples[name] = values[~np.isnan(values)]
    return samples
