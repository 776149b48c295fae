"""Plans: where the cells of a profile are cut, decided once on the reference.

Numeric cells are cut at quantiles of a sample of the reference, with a cell of its own for every value
that is common enough; categorical cells are its most common values. Counts are exact whatever the
cuts, but what moves within a cell is not seen. The first sample is of the heads of some objects, which
costs little and is like the rest where rows are in no order; where the profile of the reference shows
that it was not (:func:`badly_cut`), rows are drawn from everywhere (:func:`refit`).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from modelmonitor_api.spec import DataFormat, Feature, FeatureType
from modelmonitor_trainer.arrays import Counts, Floats
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.profile.arrow_values import floats_of, kind_of
from modelmonitor_trainer.profile.categories import BUCKETS
from modelmonitor_trainer.profile.counting import count_values
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Cells a numeric column; fewer where there are many columns, so that memory stays bounded.
CELLS, CELLS_WIDE, WIDE_COLUMNS = 1024, 256, 64
#: Categories that are counted by name.
MAX_CATEGORIES = 1000
#: Rows of the reference that are looked at to cut the cells.
SAMPLE_ROWS, SAMPLE_ROWS_WIDE = 65_536, 32_768
#: Objects that they come from at least, where there are as many.
SAMPLE_OBJECTS, SAMPLE_OBJECTS_WIDE = 4, 1

#: A cell of several values that holds this many times its share of the rows, and rows enough for it to be no chance, …
_TOO_FULL, _FEW_ROWS = 8, 64
#: … or words without a cell with this share of the rows, where the sample had no more words than there are cells.
_TOO_STRANGE = 0.02
#: What lies beyond counts as infinite where there is nothing else; small enough for differences to be finite.
LARGEST = float(np.finfo(np.float64).max) / 4
_SEED = 20130101

#: Part of every key of the cache: a change of what a profile is makes old ones strangers.
PROFILE_VERSION = 5


@dataclass(frozen=True)
class NumericPlan:
    """How a numeric column is profiled.

    Attributes
    ----------
    name
        Column.
    edges : (k,)
        Strictly increasing cuts between cells.
    minimum, maximum
        Declared range; values outside are counted.
    """

    name: str
    edges: Floats
    minimum: float | None = None
    maximum: float | None = None

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return int(self.edges.size) + 1


@dataclass(frozen=True)
class CategoricalPlan:
    """How a categorical column is profiled.

    Attributes
    ----------
    name
        Column.
    categories
        Values that are counted by name, the most common first; one more cell takes all others.
    allowed
        Values that the contract allows, sorted; None is all.
    buckets
        Where the reference has more values than cells: how many buckets the others are counted in as well.
    """

    name: str
    categories: tuple[str, ...]
    allowed: tuple[str, ...] | None = None
    buckets: int = 0

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.categories) + 1


ColumnPlan = NumericPlan | CategoricalPlan
Plan = tuple[ColumnPlan, ...]


def fit_edges(sample: Floats, cells: int = CELLS) -> Floats:
    """Return cuts at the quantiles of a sample.

    Parameters
    ----------
    sample : (n,)
        Values; NaN and infinities are left out.
    cells
        How many cells of equal mass to aim for.

    Returns
    -------
    (k,)
        Strictly increasing. A value v that fills a cell of equal mass has the cell [v, next float), so
        discrete and zero-inflated columns lose nothing.
    """
    values = np.sort(sample[np.isfinite(sample)])
    if not values.size:
        # Infinities alone: numbers are told from them.
        return np.array([-LARGEST, LARGEST]) if sample.size else np.empty(0)
    ranks = (np.arange(1, cells) * values.size) // cells
    # Values that are alike stand together: where a run begins, and how long it is.
    begins = np.flatnonzero(_begins(values))
    counts = np.diff(begins, append=values.size)
    heavy = values[begins[counts >= max(2, -(-values.size // cells))]]
    edges: Floats = np.sort(np.concatenate([values[ranks], heavy, np.nextafter(heavy, np.inf)]))
    return edges[_begins(edges) & np.isfinite(edges)]


def _begins(ordered: Floats) -> npt.NDArray[np.bool_]:
    """Return where a run of equal values begins, shape (n,)."""
    # Not with np.unique, which imports masked arrays: that takes longer than all the sorting.
    first: npt.NDArray[np.bool_] = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    return first


def fit_plan(
    store: Store,
    objects: Sequence[ObjectInfo],
    features: Sequence[Feature],
    fmt: DataFormat,
    *,
    skip_unreadable: bool = False,
) -> Plan:
    """Return the plan for `features` from a sample of the objects of the reference.

    The sample is the same for the same objects: they are read in an order that spreads over them
    evenly, until there are enough rows.

    Raises
    ------
    Unreadable
        If an object cannot be read, unless `skip_unreadable`.
    """
    wide = len(features) > WIDE_COLUMNS
    cells, rows = (CELLS_WIDE, SAMPLE_ROWS_WIDE) if wide else (CELLS, SAMPLE_ROWS)
    # To read the head of a column costs a page, which of many columns is much of what there is to read.
    quota = rows // max(1, min(SAMPLE_OBJECTS_WIDE if wide else SAMPLE_OBJECTS, len(objects)))
    found: list[ColumnPlan] = []
    # Some columns at a time: the samples of all columns of wide data would not fit.
    for start in range(0, len(features), WIDE_COLUMNS):
        some = features[start : start + WIDE_COLUMNS]
        numbers, words = _sample_objects(store, objects, some, fmt, (rows, quota), skip_unreadable=skip_unreadable)
        found += [_column_plan(feature, numbers[feature.name], words.get(feature.name), cells) for feature in some]
    return tuple(found)


def needs_rebinning(plan: ColumnPlan, counts: Counts, *, wide: bool) -> bool:
    """Whether a sample was unlike the reference, so that much of it lies in one cell.

    Parameters
    ----------
    plan
        The column's.
    counts : (cells,)
        Rows of the reference in each cell.
    wide
        Whether there are more than WIDE_COLUMNS.
    """
    total = int(counts.sum())
    if isinstance(plan, CategoricalPlan):
        return not plan.buckets and int(counts[-1]) > max(_FEW_ROWS, _TOO_STRANGE * total)
    several = np.ones(counts.size, dtype=bool)
    several[1:-1] = plan.edges[1:] != np.nextafter(plan.edges[:-1], np.inf)
    limit = max(_FEW_ROWS, _TOO_FULL * total / (CELLS_WIDE if wide else CELLS))
    return bool(counts[several].max(initial=0) > limit)


def rebin(
    store: Store, objects: Sequence[ObjectInfo], features: Sequence[Feature], fmt: DataFormat, rows: int, *, wide: bool
) -> Plan:
    """Return the plan for `features` from rows drawn from everywhere, for which all of these columns are decoded.

    Parameters
    ----------
    store, objects, features, fmt
        What to read, and how.
    rows
        How many there are in all.
    wide
        Whether there are more than WIDE_COLUMNS, of which these may be some.

    Raises
    ------
    Unreadable
        If an object cannot be read.
    """
    found: list[ColumnPlan] = []
    for start in range(0, len(features), WIDE_COLUMNS):
        some = features[start : start + WIDE_COLUMNS]
        numbers, words = _draw(store, objects, some, fmt, max(1, rows // (SAMPLE_ROWS_WIDE if wide else SAMPLE_ROWS)))
        cells = CELLS_WIDE if wide else CELLS
        found += [_column_plan(feature, numbers[feature.name], words.get(feature.name), cells) for feature in some]
    return tuple(found)


def _draw(
    store: Store, objects: Sequence[ObjectInfo], features: Sequence[Feature], fmt: DataFormat, step: int
) -> tuple[dict[str, list[Floats]], dict[str, Counter[str]]]:
    """Return a sample of each column: one row, drawn at random, of every `step`."""
    text = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
    numbers: dict[str, list[Floats]] = {feature.name: [] for feature in features}
    words: dict[str, Counter[str]] = {name: Counter() for name in text}
    generator = np.random.default_rng(_SEED)
    with store.ahead(objects):
        for info in objects:
            with scan(store, info, [feature.name for feature in features], fmt, text=text) as opened:
                for name, column in opened.chunks:
                    starts = np.arange(0, len(column), step)
                    places = starts + generator.integers(0, step, starts.size)
                    _look_at(name, column.take(pa.array(places[places < len(column)])), numbers, words)
    return numbers, words


def _sample_objects(
    store: Store,
    objects: Sequence[ObjectInfo],
    features: Sequence[Feature],
    fmt: DataFormat,
    size: tuple[int, int],
    *,
    skip_unreadable: bool,
) -> tuple[dict[str, list[Floats]], dict[str, Counter[str]]]:
    """Return a sample of each column: numbers, or how often each word occurs.

    `size` is how many rows of each, and how many of them at most from one object.
    """
    rows, quota = size
    text = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
    numbers: dict[str, list[Floats]] = {feature.name: [] for feature in features}
    words: dict[str, Counter[str]] = {name: Counter() for name in text}
    seen: Counter[str] = Counter()
    order = [objects[place] for place in spread(len(objects))]
    with store.ahead(order):
        for info in order:
            wanted = [feature.name for feature in features if seen[feature.name] < rows]
            if not wanted:
                break
            try:
                seen += _sample(store, info, wanted, fmt, quota, numbers, words)
            except Unreadable:
                if not skip_unreadable:
                    raise
    return numbers, words


def _sample(
    store: Store,
    info: ObjectInfo,
    wanted: Sequence[str],
    fmt: DataFormat,
    quota: int,
    numbers: dict[str, list[Floats]],
    words: dict[str, Counter[str]],
) -> Counter[str]:
    """Add the first `quota` rows of an object to the sample, and return how many were seen of each column."""
    here: Counter[str] = Counter()
    with scan(store, info, wanted, fmt, text=list(words), head=quota) as opened:
        for name, column in opened.chunks:
            here[name] += len(column)
            _look_at(name, column, numbers, words)
    for name in set(wanted) - opened.types.keys():
        here[name] += opened.rows  # a column that is nowhere must not make us read everything
    return here


def _look_at(
    name: str, rows: pa.ChunkedArray, numbers: dict[str, list[Floats]], words: dict[str, Counter[str]]
) -> None:
    for part in rows.chunks:
        if name in words:
            values, counts, _ = count_values(part)
            words[name].update({v: c for v, c in zip(values, counts.tolist(), strict=True) if c})
        elif kind_of(part.type) in {"number", "time"}:
            # A copy: a view of a few rows would keep the whole row group.
            numbers[name].append(floats_of(part)[0].copy())


def _column_plan(feature: Feature, numbers: list[Floats], words: Counter[str] | None, cells: int) -> ColumnPlan:
    if words is not None:
        common = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:MAX_CATEGORIES]
        allowed = tuple(sorted(feature.allowed_values)) if feature.allowed_values is not None else None
        buckets = BUCKETS if len(words) > MAX_CATEGORIES else 0
        return CategoricalPlan(feature.name, tuple(value for value, _ in common), allowed, buckets)
    sample = np.concatenate(numbers) if numbers else np.empty(0)
    return NumericPlan(
        feature.name,
        fit_edges(sample, cells),
        float(feature.minimum) if feature.minimum is not None else None,
        float(feature.maximum) if feature.maximum is not None else None,
    )


def spread(count: int) -> Iterator[int]:
    """Yield 0 … count-1 so that every beginning of the sequence is spread evenly (van der Corput).

    >>> list(spread(5))
    [0, 4, 2, 1, 3]
    """
    bits = max(1, (count - 1).bit_length())
    for number in range(1 << bits):
        place = int(format(number, f"0{bits}b")[::-1], 2)
        if place < count:
            yield place


def plan_to_json(plan: Plan) -> bytes:
    """Return a plan as canonical JSON; edges are base64 of little-endian doubles, so exact."""
    columns: list[dict[str, object]] = []
    for column in plan:
        if isinstance(column, NumericPlan):
            edges = base64.b64encode(column.edges.astype("<f8").tobytes()).decode()
            columns.append({"name": column.name, "edges": edges, "minimum": column.minimum, "maximum": column.maximum})
        else:
            named = {"name": column.name, "categories": column.categories, "allowed": column.allowed}
            columns.append(named | {"buckets": column.buckets})
    return json.dumps({"version": PROFILE_VERSION, "columns": columns}, sort_keys=True).encode()


def plan_from_json(data: bytes) -> Plan:
    """Return the plan in `data`.

    Raises
    ------
    ValueError
        If it is damaged or of another version.
    """
    try:
        document = json.loads(data)
        if document["version"] != PROFILE_VERSION:
            raise ValueError("another version")
        return tuple(_column_from(column) for column in document["columns"])
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"the plan is damaged: {error!r}") from error


def _column_from(column: dict[str, object]) -> ColumnPlan:
    name = str(column["name"])
    if "edges" in column:
        edges = np.frombuffer(base64.b64decode(str(column["edges"]), validate=True), dtype="<f8").astype(np.float64)
        if edges.size and (not np.all(np.isfinite(edges)) or np.any(np.diff(edges) <= 0)):
            raise ValueError("the edges do not increase")
        minimum, maximum = column["minimum"], column["maximum"]
        return NumericPlan(
            name,
            edges,
            float(minimum) if isinstance(minimum, (int, float)) else None,
            float(maximum) if isinstance(maximum, (int, float)) else None,
        )
    categories, allowed, buckets = column["categories"], column["allowed"], column["buckets"]
    if not isinstance(categories, list) or not (allowed is None or isinstance(allowed, list)):
        raise ValueError("the categories are damaged")
    if not isinstance(buckets, int) or not 0 <= buckets <= BUCKETS:
        raise ValueError("the buckets are damaged")
    named = None if allowed is None else tuple(map(str, allowed))
    return CategoricalPlan(name, tuple(map(str, categories)), named, buckets)


def digest(*parts: bytes | Iterable[str]) -> str:
    """Return 32 hex digits that identify `parts`."""
    found = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else "\x00".join(part).encode()
        found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()[:32]
