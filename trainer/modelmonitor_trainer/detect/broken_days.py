"""Days of a training that violate the feature contract, found without a reference.

The days of the window itself show what is usual. A day is tested against the others if its missing values, its mean,
its type or its volume are far from theirs, by the same tests as in a check. Something that lasts through the last day
may be how the data are from now on, so only what has ended counts; declared properties count on each day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from modelmonitor_api.spec import Feature
from modelmonitor_trainer.detect.quality import (
    BURST,
    Violation,
    contract_violations,
    has_one_value,
    structural_violations,
)
from modelmonitor_trainer.detect.unit_changes import (
    MIN_BLOCKS,
    MIN_SCALE,
    MIN_VALUES,
    row_count_violations,
    unit_changes,
)
from modelmonitor_trainer.detect.wording import PARTITIONS
from modelmonitor_trainer.profile.columns import ColumnProfile, NumericProfile
from modelmonitor_trainer.profile.window import BatchProfile, WindowProfile

#: A day is tested against the others if its mean is farther from the quartiles of all means, in interquartile ranges.
_FAR = 3.0
#: … or if its rows differ from the median by this factor ...
_VOLUME = 4.0
#: ... or if it has a single value. A sensor is stuck once or twice; days of one value in more runs are ordinary.
_MAX_STUCK_RUNS = 2

#: Returns the profile of some of the days.
Stack = Callable[[Sequence[BatchProfile]], WindowProfile]


def broken_days(features: Sequence[Feature], window: WindowProfile, stack: Stack) -> Mapping[str, str]:
    """Return the days that violate the contract: name of the batch → the first violation.

    Parameters
    ----------
    features
        Columns with their contract.
    window
        The days, in order.
    stack
        Makes a window of some of them.
    """
    declared = [
        *structural_violations(window, PARTITIONS, require_rows=False),
        *contract_violations(features, window, None),
    ]
    violations = declared + _unlike_the_others(features, window, stack)
    broken: dict[str, str] = {}
    for violation in violations:
        for name in violation.blocks:
            broken.setdefault(name, violation.message)
    return broken


def _unlike_the_others(features: Sequence[Feature], window: WindowProfile, stack: Stack) -> list[Violation]:
    """Return the violations of days that are unlike most others, and after which others follow."""
    days = [block for block in window.blocks if block.rows]
    odd = _odd_days(features, days)
    usual = [block for block, is_odd in zip(days, odd, strict=True) if not is_odd]
    if not odd.any() or len(usual) < max(MIN_BLOCKS, len(days) / 2):
        return []
    tested, reference = stack([block for block, is_odd in zip(days, odd, strict=True) if is_odd]), stack(usual)
    violations = [
        *contract_violations(features, tested, reference),
        *unit_changes(features, tested, reference),
        *row_count_violations(tested, reference),
    ]
    names = [block.block.name for block in days]
    return [ended for violation in violations if (ended := _cut_violation(violation, names)) is not None]


def _odd_days(features: Sequence[Feature], days: Sequence[BatchProfile]) -> npt.NDArray[np.bool_]:
    odd = np.zeros(len(days), dtype=bool)
    if len(days) < MIN_BLOCKS:
        return odd
    rows = np.array([block.rows for block in days], dtype=np.float64)
    odd |= (rows > np.median(rows) * _VOLUME) | (rows < np.median(rows) / _VOLUME)
    for feature in features:
        profiles = [block.columns.get(feature.name) for block in days]
        missing = np.array([p.missing / p.rows if p and p.rows else 1.0 for p in profiles])
        odd |= missing > np.median(missing) + BURST
        kinds = [p.kinds - {"null"} if p else frozenset() for p in profiles]
        odd |= np.array([bool(kind) and kinds.count(kind) < len(days) / 2 for kind in kinds])
        single = np.array([p is not None and p.present >= MIN_VALUES and has_one_value(p) for p in profiles])
        if single.sum() < len(days) / 2 and _runs(single) <= _MAX_STUCK_RUNS:
            odd |= single
        odd |= _odd_numbers(profiles)
    return odd


def _odd_numbers(profiles: Sequence[ColumnProfile | None]) -> npt.NDArray[np.bool_]:
    """Return the days whose values lie elsewhere than on most days, or are spread much wider or narrower."""
    numeric = [p if isinstance(p, NumericProfile) and p.finite >= MIN_VALUES else None for p in profiles]
    means = np.array([p.mean if p else np.nan for p in numeric])
    if np.isfinite(means).sum() < MIN_BLOCKS:
        return np.zeros(len(profiles), dtype=bool)
    low, high = np.nanquantile(means, [0.25, 0.75])
    spreads = np.array([p.deviation if p else np.nan for p in numeric])
    usual = np.nanquantile(spreads, 0.5)
    with np.errstate(invalid="ignore"):
        is_far = (means < low - _FAR * (high - low)) | (means > high + _FAR * (high - low))
        # Of days with one value, the caller decides.
        is_rescaled = (spreads > usual * MIN_SCALE) | ((spreads > 0) & (spreads < usual / MIN_SCALE))
    odd: npt.NDArray[np.bool_] = is_far | is_rescaled
    return odd


def _runs(days: npt.NDArray[np.bool_]) -> int:
    """Return the number of runs of days."""
    return int(np.count_nonzero(days & ~np.concatenate([[False], days[:-1]])))


def _cut_violation(violation: Violation, names: Sequence[str]) -> Violation | None:
    """Return a violation without the days through the last one."""
    blocks = set(violation.blocks)
    for name in reversed(names):
        if name not in blocks:
            break
        blocks.discard(name)
    kept = tuple(name for name in violation.blocks if name in blocks)
    return Violation(violation.kind, violation.column, kept, violation.message) if kept else None
