"""Changes of unit and of volume: batches in other units, and batches that are incomplete or duplicated.

A batch whose values moved by a known factor or formula is corrupted, not drifted. All of these must hold: few rows are
where those of the day before were; the step from it is a multiple of the largest step so far; and after inverting the
formula, the batch is close to the day before, with a normal spread and range. Centered values, whose mean no factor
moves, must be spread wider or narrower than on any day by a factor of 50. So daily and seasonal variation, heavy
tails and outliers are not reported. Columns whose spread varies strongly from day to day are not tested.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from modelmonitor_api.outcomes import ViolationKind
from modelmonitor_api.spec import Feature
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.detect.quality import Violation
from modelmonitor_trainer.profile.columns import NumericProfile
from modelmonitor_trainer.profile.window import BatchProfile, WindowProfile
from modelmonitor_trainer.text import number

#: A reference with fewer batches does not show how days vary.
MIN_BLOCKS = 7
#: Batches with fewer values are not tested.
MIN_VALUES = 50
#: Smallest distance between the batch and the day before: most rows must have moved, not a few outliers.
_MIN_DISTANCE = 0.75
#: Where the mean has not moved, as that of centered values: smallest factor between the spread and that of any day so
#: far, and smallest share of rows that have left an interval, or come into it.
MIN_SCALE, _MIN_ELSEWHERE = 50.0, 0.9
#: Smallest step from the day before, in units of the largest step so far.
_MIN_STEP = 2.0
#: Without a day before, smallest distance of the mean from the range of means, in units of that range. After a gap, a
#: season can have moved the mean by as much again for each length of the reference.
_MIN_OUTSIDE = 1.0
#: After inverting the formula, the range of values can be exceeded by this share of it.
_MARGIN = 0.1
#: Largest daily spread of a column that is tested, in units of the median and of the smallest one.
_STEADY, _STEADY_RANGE = 5.0, 20.0
#: After inverting the formula, factor by which the spread can be outside the range of spreads.
_SPREAD = 1.25
#: Smallest share of days on which a column has more than one value.
_USABLE_SHARE = 0.9
#: Units that a message names; several can explain a batch, such as feet and degrees.
_MOST_NAMED = 3
#: A batch with rows fewer or more than any other by this factor is incomplete or duplicated.
_ROWS_FACTOR = 4.0
#: A day with fewer rows than any of the reference by this factor is worth a note.
_NOTED_FACTOR = 1.5


@dataclass(frozen=True)
class Change:
    """A known change of unit: new = factor · old + offset."""

    words: str
    factor: float
    offset: float = 0.0


def _known_changes() -> tuple[Change, ...]:
    both = (
        ("°C", "°F", 5 / 9, -160 / 9),
        ("K", "°C", 1.0, 273.15),
        ("K", "°F", 5 / 9, 459.67 * 5 / 9),
        ("cm", "inches", 2.54, 0.0),
        ("m", "feet", 0.3048, 0.0),
        ("km", "miles", 1.609344, 0.0),
        ("kg", "pounds", 0.45359237, 0.0),
        ("hPa", "inches of mercury", 33.8638866667, 0.0),
        ("seconds", "minutes", 60.0, 0.0),
        ("seconds", "hours", 3600.0, 0.0),
        ("hours", "days", 24.0, 0.0),
    )
    changes = []
    for new, old, factor, offset in both:
        changes.append(Change(f"{new} for {old}", factor, offset))
        changes.append(Change(f"{old} for {new}", 1 / factor, -offset / factor))
    for factor in (10.0, 100.0, 1000.0, 1e6):
        changes.append(Change(f"a factor of {factor:,.0f}", factor))
        changes.append(Change(f"a factor of 1/{factor:,.0f}", 1 / factor))
    return (*changes, Change("the opposite sign", -1.0))


KNOWN_CHANGES = _known_changes()
#: Those that change the spread and not what is in the middle.
_SCALES = tuple(change for change in KNOWN_CHANGES if not change.offset and change.factor > 0)


@dataclass(frozen=True)
class _History:
    """The ranges of means, spreads and values of the batches so far, and the largest step between them."""

    means: tuple[float, float]
    spreads: tuple[float, float, float]
    values: tuple[float, float]
    step: float

    @property
    def width(self) -> float:
        """From the smallest to the largest mean."""
        return self.means[1] - self.means[0]


def unit_changes(features: Iterable[Feature], current: WindowProfile, reference: WindowProfile) -> list[Violation]:
    """Return the columns whose values in some batches look like another unit.

    Parameters
    ----------
    features
        Columns to test.
    current, reference
        The windows, with batches in the order of time.
    """
    violations = []
    for feature in features:
        hits = _hits(feature.name, current.blocks, reference)
        if hits:
            blocks = tuple(block.block.name for block, _, _ in hits)
            _, profile, changes = hits[0]
            words = " or ".join(change.words for change in changes[:_MOST_NAMED])
            more = f", and likewise in {len(blocks) - 1} more" if len(blocks) > 1 else ""
            total = reference.columns[feature.name].total
            mean = total.mean if isinstance(total, NumericProfile) else float("nan")
            violations.append(
                Violation(
                    ViolationKind.UNIT_CHANGED,
                    feature.name,
                    blocks,
                    f"column {feature.name!r} looks like {words} in {blocks[0]}{more}: mean "
                    f"{number(profile.mean)}, and {number(mean)} in the reference",
                )
            )
    return violations


def row_count_violations(current: WindowProfile, reference: WindowProfile) -> list[Violation]:
    """Return the days that have far fewer or far more rows than any day before."""
    known = [block.rows for block in reference.blocks if block.rows and block.block.day]
    violations = []
    for block in current.blocks:
        if len(known) < MIN_BLOCKS or not block.rows or block.block.day is None:
            continue
        fewest, most = min(known), max(known)
        if _middle(known) >= MIN_VALUES and not fewest / _ROWS_FACTOR <= block.rows <= most * _ROWS_FACTOR:
            direction = "fewer" if block.rows < fewest else "more"
            hint = "it may be incomplete" if direction == "fewer" else "it may have been written more than once"
            text = (
                f"{block.block.name} has {block.rows:,} rows, far {direction} than any day before "
                f"({fewest:,} to {most:,}); {hint}"
            )
            violations.append(Violation(ViolationKind.ROW_COUNT, None, (block.block.name,), text))
        else:
            known.append(block.rows)
    return violations


def days_with_few_rows(current: WindowProfile, reference: WindowProfile) -> list[BatchProfile]:
    """Return the days that have noticeably fewer rows than any day of the reference, and are no violation."""
    known = [block.rows for block in reference.blocks if block.rows and block.block.day]
    if len(known) < MIN_BLOCKS or _middle(known) < MIN_VALUES:
        return []
    low, high = min(known) / _ROWS_FACTOR, min(known) / _NOTED_FACTOR
    return [block for block in current.blocks if block.block.day is not None and low <= block.rows < high]


def _hits(
    name: str, blocks: Sequence[BatchProfile], reference: WindowProfile
) -> list[tuple[BatchProfile, NumericProfile, list[Change]]]:
    usual = reference.columns[name].total
    if not isinstance(usual, NumericProfile):
        return []
    history = _Batches()
    known = [(block, profile) for block in reference.blocks if (profile := _usable(block, name)) is not None]
    for _, profile in known:
        history.append(profile)
    if len(history) < _USABLE_SHARE * sum(_has_values(block, name) for block in reference.blocks):
        return []
    overlapping = {block.block.name for block in reference.blocks}
    hits: list[tuple[BatchProfile, NumericProfile, list[Change]]] = []
    last: tuple[BatchProfile, NumericProfile] | None = None
    for block in blocks:
        profile = _usable(block, name)
        if profile is None or block.block.name in overlapping or len(history) < MIN_BLOCKS:
            continue
        before = _before(block, last, known)
        changes = _changes(profile, before, history.history(), usual, _gap(block, reference))
        if changes:
            hits.append((block, profile, changes))
        else:
            history.append(profile)
            last = block, profile
    return hits


def _before(
    block: BatchProfile,
    last: tuple[BatchProfile, NumericProfile] | None,
    reference: Sequence[tuple[BatchProfile, NumericProfile]],
) -> NumericProfile | None:
    """Return the batch before one: the last one that was tested, or a later one of a reference with days around it."""
    day = block.block.day
    days = [(other.block.day, profile) for other, profile in reference if other.block.day is not None]
    earlier = [pair for pair in days if day is not None and pair[0] < day]
    is_around = len(earlier) < len(days)
    if is_around and earlier and (last is None or last[0].block.day is None or earlier[-1][0] > last[0].block.day):
        return earlier[-1][1]
    return last[1] if last is not None else None


def _gap(block: BatchProfile, reference: WindowProfile) -> float:
    """Return the days between a batch and the reference, in lengths of the reference; 0 if they are not known."""
    days = [other.block.day for other in reference.blocks if other.block.day is not None]
    if block.block.day is None or not days:
        return 0.0
    first, last = min(days), max(days)
    between = max((first - block.block.day).days, (block.block.day - last).days) - 1
    return max(0, between) / ((last - first).days + 1)


def _has_values(block: BatchProfile, name: str) -> bool:
    return name in block.columns and block.columns[name].present >= MIN_VALUES


def _usable(block: BatchProfile, name: str) -> NumericProfile | None:
    profile = block.columns.get(name)
    usable = isinstance(profile, NumericProfile) and profile.finite >= MIN_VALUES and np.isfinite(profile.m2)
    return profile if usable and isinstance(profile, NumericProfile) and profile.deviation > 0 else None


def _middle(values: Sequence[float]) -> float:
    # np.median imports masked arrays, which takes a twentieth of the time of a small check.
    return float(statistics.median(values))


class _Batches:
    """The normal batches so far, summed up as they are added."""

    def __init__(self) -> None:
        self._means: tuple[float, float] = (math.inf, -math.inf)
        self._values: tuple[float, float] = (math.inf, -math.inf)
        self._spreads: list[float] = []
        self._last: float | None = None
        self._step = 0.0

    def __len__(self) -> int:
        return len(self._spreads)

    def append(self, profile: NumericProfile) -> None:
        """Add a batch."""
        mean = profile.mean
        if self._last is not None:
            self._step = max(self._step, abs(mean - self._last))
        self._last = mean
        self._means = min(self._means[0], mean), max(self._means[1], mean)
        self._values = min(self._values[0], profile.minimum), max(self._values[1], profile.maximum)
        bisect.insort(self._spreads, profile.deviation)

    def history(self) -> _History:
        """Return the ranges of the batches; at least two."""
        spreads, half = self._spreads, len(self._spreads) // 2
        middle = spreads[half] if len(spreads) % 2 else (spreads[half - 1] + spreads[half]) / 2
        return _History(self._means, (spreads[0], middle, spreads[-1]), self._values, self._step)


def _changes(
    profile: NumericProfile, before: NumericProfile | None, ordinary: _History, usual: NumericProfile, gap: float
) -> list[Change]:
    """Return the known changes that explain a batch, the best first; none if it is normal, or none does."""
    smallest, spread, largest = ordinary.spreads
    if largest > _STEADY * spread or largest > _STEADY_RANGE * smallest:
        return []
    origin, like = (before.mean, before) if before else (float(np.clip(profile.mean, *ordinary.means)), usual)
    least = _MIN_STEP * ordinary.step
    if before is None:
        # The closest mean so far replaces the day before, and this batch must be much farther away.
        least = max(least, (_MIN_OUTSIDE + gap) * ordinary.width)
    if abs(profile.mean - origin) > least and _kolmogorov_smirnov(profile, like) >= _MIN_DISTANCE:
        candidates = KNOWN_CHANGES
    elif not smallest / MIN_SCALE < profile.deviation < largest * MIN_SCALE:
        candidates = _SCALES if _kuiper(profile, like) >= _MIN_ELSEWHERE else ()
    else:
        return []
    fitting = []
    for order, change in enumerate(candidates):
        if _fits(profile, change, before, ordinary):
            moved = ((profile.mean - change.offset) / change.factor - origin) / max(ordinary.step, 1e-300)
            wider = np.log(profile.deviation / abs(change.factor) / spread)
            fitting.append((moved**2 + wider**2, order, change))
    return [change for _, _, change in sorted(fitting)]


def _fits(profile: NumericProfile, change: Change, before: NumericProfile | None, ordinary: _History) -> bool:
    """Whether a batch is normal, and close to the one before it, after inverting a change."""
    mean = (profile.mean - change.offset) / change.factor
    spread = profile.deviation / abs(change.factor)
    ends = sorted((end - change.offset) / change.factor for end in (profile.minimum, profile.maximum))
    low, high = ordinary.values
    slack = _MARGIN * (high - low)
    is_near = (
        abs(mean - before.mean) <= ordinary.step
        if before is not None
        else ordinary.means[0] - ordinary.step <= mean <= ordinary.means[1] + ordinary.step
    )
    is_spread = ordinary.spreads[0] / _SPREAD <= spread <= ordinary.spreads[2] * _SPREAD
    return bool(is_near and is_spread and low - slack <= ends[0] and ends[1] <= high + slack)


def _kolmogorov_smirnov(one: NumericProfile, other: NumericProfile) -> float:
    """Return the largest difference of the distribution functions at the edges of the bins."""
    return float(np.abs(_differences(one, other)).max())


def _kuiper(one: NumericProfile, other: NumericProfile) -> float:
    """Return the largest difference of the shares in an interval of bins (Kuiper 1960), which a new spread changes."""
    differences = _differences(one, other)
    return float(max(0.0, differences.max()) - min(0.0, differences.min()))


def _differences(one: NumericProfile, other: NumericProfile) -> Floats:
    below = [np.cumsum(p.counts) / max(1, int(p.counts.sum())) for p in (one, other)]
    differences: Floats = below[0] - below[1]
    return differences
