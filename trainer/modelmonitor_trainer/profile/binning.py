"""Fits of binning plans: the cells of a profile, fitted once to the reference.

Numeric edges are quantiles of a sample of the reference, with a separate cell for every value that is common enough.
Categorical cells are the most common values. Counts are exact for any edges, but a shift within a cell is not detected.
The first sample is of the heads of some objects, which costs little and is representative if rows are in no order. If
the profile of the reference shows that it was not (:func:`needs_rebinning`), rows are drawn from everywhere
(:func:`rebin`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from modelmonitor_api.spec import Feature, FeatureType
from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.data.arrow_floats import floats_of
from modelmonitor_trainer.data.dates import are_dates, seconds_of
from modelmonitor_trainer.data.object_format import AnyFormat
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.data.text_numbers import numbers_of
from modelmonitor_trainer.profile.arrow_values import kind_of
from modelmonitor_trainer.profile.categories import BUCKETS, merge_spellings
from modelmonitor_trainer.profile.counting import count_values
from modelmonitor_trainer.profile.plans import CategoricalPlan, ColumnPlan, NumericPlan, Plan, next_double
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Cells per numeric column; fewer for wide data, so that memory stays bounded.
CELLS, CELLS_WIDE, WIDE_COLUMNS = 1024, 256, 64
#: Categories that are counted by name.
MAX_CATEGORIES = 1000
#: Rows of the reference that the edges are fitted to.
SAMPLE_ROWS, SAMPLE_ROWS_WIDE = 65_536, 32_768
#: Smallest number of objects that they come from, if there are as many.
SAMPLE_OBJECTS, SAMPLE_OBJECTS_WIDE = 4, 1

#: Rebin a column if a cell of several values holds this many times its share of the rows, and at least so many rows, …
_TOO_FULL, _FEW_ROWS = 8, 64
#: … or if other values hold this share of the rows although the sample had a cell for every value.
_UNKNOWN_SHARE = 0.02
#: Largest edge, for columns of infinities only; small enough for differences to be finite.
LARGEST = float(np.finfo(np.float64).max) / 4
_SEED = 20130101


@dataclass
class _Sample:
    """Values of some columns.

    Attributes
    ----------
    numbers
        Column → numbers of the sample.
    words
        Column → counts of its words, of the categorical ones.
    kinds
        Column → kinds of the types of its numbers; text that is dates is "time".
    """

    numbers: dict[str, list[Floats]]
    words: dict[str, Counter[str]]
    kinds: dict[str, set[str]]

    @classmethod
    def empty(cls, features: Sequence[Feature]) -> _Sample:
        """Return a sample of no rows."""
        text = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
        return cls(
            {feature.name: [] for feature in features},
            {name: Counter() for name in text},
            {feature.name: set() for feature in features},
        )

    def plan(self, feature: Feature, cells: int) -> ColumnPlan:
        """Return the plan of a column."""
        words = self.words.get(feature.name)
        return _column_plan(feature, self.numbers[feature.name], words, self.kinds[feature.name], cells)


def fit_edges(sample: Floats, cells: int = CELLS) -> Floats:
    """Return edges at the quantiles of a sample.

    Parameters
    ----------
    sample : (n,)
        Values; NaN and infinities are ignored.
    cells
        Target number of cells of equal mass.

    Returns
    -------
    (k,)
        Strictly increasing. A value v that fills a cell of equal mass gets the cell [v, next float), so nothing is
        lost for discrete and zero-inflated columns.
    """
    values = np.sort(sample[np.isfinite(sample)])
    if not values.size:
        # Only infinities: edges that separate them from numbers.
        return np.array([-LARGEST, LARGEST]) if sample.size else np.empty(0)
    ranks = (np.arange(1, cells) * values.size) // cells
    # Starts and lengths of the runs of equal values.
    begins = np.flatnonzero(_begins(values))
    counts = np.diff(begins, append=values.size)
    heavy = values[begins[counts >= max(2, -(-values.size // cells))]]
    edges: Floats = np.sort(np.concatenate([values[ranks], heavy, next_double(heavy)]))
    return edges[_begins(edges) & np.isfinite(edges)]


def _begins(ordered: Floats) -> npt.NDArray[np.bool_]:
    """Return whether each value starts a run of equal values, shape (n,)."""
    # Not np.unique, which imports masked arrays: that takes longer than the sorting.
    first: npt.NDArray[np.bool_] = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return first


def fit_plan(
    store: Store,
    objects: Sequence[ObjectInfo],
    features: Sequence[Feature],
    fmt: AnyFormat,
    *,
    skip_unreadable: bool = False,
) -> Plan:
    """Return the plan for `features`, fitted to a sample of the reference.

    The sample is deterministic: objects are read in an order that spreads evenly over them, until it has enough rows.

    Raises
    ------
    Unreadable
        If an object cannot be decoded, unless `skip_unreadable`.
    """
    wide = len(features) > WIDE_COLUMNS
    cells, rows = (CELLS_WIDE, SAMPLE_ROWS_WIDE) if wide else (CELLS, SAMPLE_ROWS)
    # To read the head of a column costs a page, which for many columns is a large share of the data.
    quota = rows // max(1, min(SAMPLE_OBJECTS_WIDE if wide else SAMPLE_OBJECTS, len(objects)))
    plans: list[ColumnPlan] = []
    # Some columns at a time: the samples of all columns of wide data would not fit into memory.
    for start in range(0, len(features), WIDE_COLUMNS):
        some = features[start : start + WIDE_COLUMNS]
        sample = _sample_objects(store, objects, some, fmt, (rows, quota), skip_unreadable=skip_unreadable)
        plans += [sample.plan(feature, cells) for feature in some]
    return tuple(plans)


def needs_rebinning(plan: ColumnPlan, counts: Counts, *, wide: bool) -> bool:
    """Whether a plan's sample was unrepresentative, so that one cell holds too much of the reference.

    Parameters
    ----------
    plan
        Plan of the column.
    counts : (cells,)
        Rows of the reference in each cell.
    wide
        Whether there are more than WIDE_COLUMNS columns.
    """
    total = int(counts.sum())
    if isinstance(plan, CategoricalPlan):
        return not plan.buckets and int(counts[-1]) > max(_FEW_ROWS, _UNKNOWN_SHARE * total)
    several = np.ones(counts.size, dtype=bool)
    several[1:-1] = plan.edges[1:] != next_double(plan.edges[:-1])
    limit = max(_FEW_ROWS, _TOO_FULL * total / (CELLS_WIDE if wide else CELLS))
    return bool(counts[several].max(initial=0) > limit)


def rebin(
    store: Store, objects: Sequence[ObjectInfo], features: Sequence[Feature], fmt: AnyFormat, rows: int, *, wide: bool
) -> Plan:
    """Return the plan for `features`, fitted to rows drawn from everywhere; decodes all of these columns.

    Parameters
    ----------
    store, objects, features, fmt
        As in :func:`fit_plan`.
    rows
        Number of rows of all objects.
    wide
        Whether there are more than WIDE_COLUMNS columns, including those that are not rebinned.

    Raises
    ------
    Unreadable
        If an object cannot be decoded.
    """
    plans: list[ColumnPlan] = []
    for start in range(0, len(features), WIDE_COLUMNS):
        some = features[start : start + WIDE_COLUMNS]
        sample = _draw(store, objects, some, fmt, max(1, rows // (SAMPLE_ROWS_WIDE if wide else SAMPLE_ROWS)))
        plans += [sample.plan(feature, CELLS_WIDE if wide else CELLS) for feature in some]
    return tuple(plans)


def _draw(
    store: Store, objects: Sequence[ObjectInfo], features: Sequence[Feature], fmt: AnyFormat, step: int
) -> _Sample:
    """Return a sample of each column: one random row of every `step` rows."""
    sample = _Sample.empty(features)
    generator = np.random.default_rng(_SEED)
    with store.ahead(objects):
        for info in objects:
            with scan(store, info, [feature.name for feature in features], fmt, text=[*sample.words]) as opened:
                for name, column in opened.chunks:
                    starts = np.arange(0, len(column), step)
                    indices = starts + generator.integers(0, step, starts.size)
                    _add(name, column.take(pa.array(indices[indices < len(column)])), sample)
    return sample


def _sample_objects(
    store: Store,
    objects: Sequence[ObjectInfo],
    features: Sequence[Feature],
    fmt: AnyFormat,
    size: tuple[int, int],
    *,
    skip_unreadable: bool,
) -> _Sample:
    """Return a sample of each column: numbers, or counts of words.

    `size` is the number of rows of each column, and the largest number of them from one object.
    """
    rows, quota = size
    sample = _Sample.empty(features)
    seen: Counter[str] = Counter()
    order = [objects[index] for index in spread(len(objects))]
    with store.ahead(order):
        for info in order:
            wanted = [feature.name for feature in features if seen[feature.name] < rows]
            if not wanted:
                break
            try:
                seen += _sample(store, info, wanted, fmt, quota, sample)
            except Unreadable:
                if not skip_unreadable:
                    raise
    return sample


def _sample(
    store: Store,
    info: ObjectInfo,
    wanted: Sequence[str],
    fmt: AnyFormat,
    quota: int,
    sample: _Sample,
) -> Counter[str]:
    """Add the first `quota` rows of an object to the sample, and return the number of rows of each column."""
    here: Counter[str] = Counter()
    with scan(store, info, wanted, fmt, text=list(sample.words), head=quota) as opened:
        for name, column in opened.chunks:
            here[name] += len(column)
            _add(name, column, sample)
    for name in set(wanted) - opened.types.keys():
        here[name] += opened.rows  # so that a column that no object has does not make us read everything
    return here


def _add(name: str, rows: pa.ChunkedArray, sample: _Sample) -> None:
    words = sample.words
    for part in rows.chunks:
        kind = kind_of(part.type)
        if name in words:
            values, counts, _ = count_values(part)
            for value, count in zip(values, counts.tolist(), strict=True):
                if count:  # not as a dictionary: a value that is written in two ways is there twice
                    words[name][value] += count
        elif kind in {"number", "time"}:
            # A copy: a view of a few rows would keep the whole row group.
            sample.numbers[name].append(floats_of(part)[0].copy())
            sample.kinds[name] |= {kind} if part.null_count < len(part) else set()
        elif kind == "text":
            _add_text(name, part, sample)


def _add_text(name: str, part: pa.Array, sample: _Sample) -> None:
    """Add text that is dates, or stands for numbers."""
    values, counts, _ = count_values(part)
    some = [value for value, count in zip(values, counts.tolist(), strict=True) if count]
    if not are_dates(some):
        sample.kinds[name] |= {"text"} if some else set()
        numbers = numbers_of(pa.chunked_array([part]))
        sample.numbers[name].append(numbers[~np.isnan(numbers)])
        return
    times = seconds_of(pa.array(values, pa.string()))
    known = ~np.isnan(dates := pc.fill_null(times, float("nan")).to_numpy(zero_copy_only=False))
    sample.numbers[name].append(np.repeat(dates[known], counts[known]))
    sample.kinds[name].add("time")


def _column_plan(
    feature: Feature, numbers: list[Floats], words: Counter[str] | None, kinds: set[str], cells: int
) -> ColumnPlan:
    if words is not None:
        common = sorted(merge_spellings(words).items(), key=lambda item: (-item[1], item[0]))[:MAX_CATEGORIES]
        allowed = tuple(sorted(feature.allowed_values)) if feature.allowed_values is not None else None
        buckets = BUCKETS if len(words) > MAX_CATEGORIES else 0
        return CategoricalPlan(feature.name, tuple(value for value, _ in common), allowed, buckets)
    sample = np.concatenate(numbers) if numbers else np.empty(0)
    return NumericPlan(
        feature.name,
        fit_edges(sample, cells),
        float(feature.minimum) if feature.minimum is not None else None,
        float(feature.maximum) if feature.maximum is not None else None,
        dates=kinds == {"time"},
    )


def spread(count: int) -> Iterator[int]:
    """Yield 0 … count-1 so that every prefix of the sequence is spread evenly (van der Corput).

    >>> list(spread(5))
    [0, 4, 2, 1, 3]
    """
    bits = max(1, (count - 1).bit_length())
    for number in range(1 << bits):
        index = int(format(number, f"0{bits}b")[::-1], 2)
        if index < count:
            yield index
