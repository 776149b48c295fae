"""Data quality: violations of the feature contract, and the batches that have them.

Corrupted data are not drift. Every batch is tested by itself, so that one corrupted day among good ones is named
instead of averaged out. Declared properties are tested against the spec; bursts of NULLs, stuck columns and changes of
type against the batches of the reference.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from modelmonitor_api.outcomes import ViolationKind
from modelmonitor_api.spec import Feature
from modelmonitor_trainer.data.arrow_types import KINDS
from modelmonitor_trainer.data.dates import date_text
from modelmonitor_trainer.data.remarks import TRUTH
from modelmonitor_trainer.data.windows import days_of
from modelmonitor_trainer.detect.gaps import days_after_gap, missing_days
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile, NumericProfile
from modelmonitor_trainer.profile.window import BatchProfile, WindowProfile
from modelmonitor_trainer.text import listed, number, percent

#: A burst of missing values exceeds the worst batch of the reference by this much …
BURST = 0.25
#: … and this many standard errors.
BURST_ERRORS = 6.0
#: Columns of batches with fewer values are not tested for being stuck.
_MIN_ROWS_STUCK = 100
#: A single value with a smaller probability than this counts as stuck.
_STUCK_LEVEL = 1e-9
#: Tolerated share and number of rows that repeat a join key.
DUPLICATES, MIN_DUPLICATES = 0.01, 10
#: A weekday is expected if the reference has this share of such days.
_EXPECTED_SHARE = 0.8

#: What to do about contradicting labels.
CONTRADICTIONS = (
    "set data.labels.versionColumn to the column that tells which label is the newest, write corrections to an object "
    "of their own, or correct the labels"
)


@dataclass(frozen=True)
class Violation:
    """A violation of the feature contract.

    Attributes
    ----------
    kind
        The kind.
    column
        The column; None if it is about rows.
    blocks
        Names of the batches.
    message
        What is wrong, and what was expected.
    """

    kind: ViolationKind
    column: str | None
    blocks: tuple[str, ...]
    message: str


def structural_violations(
    window: WindowProfile, wording: Wording, *, require_rows: bool = True, optional: Collection[str] = ()
) -> list[Violation]:
    """Return what prevents any comparison of a window: unreadable objects, missing columns, no rows.

    Columns that are `optional` may be missing.
    """
    violations = [
        Violation(ViolationKind.UNREADABLE, None, (block.block.name,), message)
        for block in window.blocks
        for message in block.unreadable
    ]
    for name in [name for name in window.columns if name not in optional]:
        lacking = [block for block in window.blocks if name in block.lacking]
        if lacking:
            objects = [uri for block in lacking for uri in block.lacking[name]]
            more = f" and {len(objects) - 1} more" if len(objects) > 1 else ""
            blocks = tuple(block.block.name for block in lacking)
            violations.append(
                Violation(
                    ViolationKind.MISSING_COLUMN, name, blocks, f"column {name!r} is missing from {objects[0]}{more}"
                )
            )
    if require_rows and not window.rows and not violations:
        violations.append(Violation(ViolationKind.NO_ROWS, None, (), wording.no_rows))
    return violations


def contract_violations(
    features: Sequence[Feature],
    current: WindowProfile,
    reference: WindowProfile | None,
    dates: Collection[str] = (),
) -> list[Violation]:
    """Return how the rows of a window violate the contract of `features`.

    Parameters
    ----------
    features
        Declared columns.
    current, reference
        The windows; without a reference only declared properties are tested.
    dates
        Numeric columns that may hold dates.
    """
    violations: list[Violation] = []
    for feature in features:
        before = (
            [block.columns[feature.name] for block in reference.blocks if feature.name in block.columns]
            if (reference)
            else []
        )
        checks = ((ViolationKind.TYPE_CHANGED, _no_dates), *_CHECKS[1:]) if feature.name in dates else _CHECKS
        blocks = [block for block in current.blocks if feature.name in block.columns]
        for kind, check in checks:
            hits = [
                (block, problem) for block in blocks if (problem := check(feature, block.columns[feature.name], before))
            ]
            if hits:
                violations.append(_violation(kind, feature, hits))
            if kind is ViolationKind.TYPE_CHANGED:
                # All values of such a batch count as missing: do not report that as well.
                blocks = [block for block in blocks if all(block is not hit for hit, _ in hits)]
    return violations


def duplicate_keys(key: str, counted: Iterable[tuple[str, int, int]]) -> list[Violation]:
    """Return the days whose rows repeat join keys: labels would be joined to arbitrary rows.

    Parameters
    ----------
    key
        The join key.
    counted
        Day, number of rows, and of those that repeat a key.
    """
    hits = [(day, rows, extra) for day, rows, extra in counted if extra >= MIN_DUPLICATES and extra > DUPLICATES * rows]
    if not hits:
        return []
    day, rows, extra = hits[0]
    more = f", and likewise in {len(hits) - 1} more" if len(hits) > 1 else ""
    text = f"{extra:,} of {rows:,} rows repeat a {key!r} in {day}{more}, as if the partition had been written twice"
    return [Violation(ViolationKind.DUPLICATE_KEYS, key, tuple(hit[0] for hit in hits), text)]


def contradictory_labels(
    key: str, counted: Sequence[tuple[str, int]], labelled: int, tolerated: float
) -> list[Violation]:
    """Return the days on which labels contradict each other, if these are more than tolerated.

    Parameters
    ----------
    key
        The join key.
    counted
        Day, and number of its rows with contradicting labels.
    labelled
        Number of labelled rows of all days.
    tolerated
        Share of them that may have contradicting labels.
    """
    rows = sum(count for _, count in counted)
    if rows <= tolerated * labelled:
        return []
    more = f" and in {len(counted) - 1} more" if len(counted) > 1 else ""
    text = (
        f"{rows:,} of {labelled:,} labelled rows have labels that contradict each other, more than "
        f"data.labels.maxContradictions ({tolerated:g}): in {counted[0][0]}{more}; {CONTRADICTIONS}"
    )
    return [Violation(ViolationKind.CONTRADICTORY_LABELS, key, tuple(day for day, _ in counted), text)]


def missing_partitions(
    days: Iterable[dt.date], arrived: Iterable[dt.date], reference_days: Sequence[dt.date]
) -> list[Violation]:
    """Return the days of the live window whose partition is missing, or has no rows.

    Those before the end of an interruption that is over do not count: the days will not come, and others have. Neither
    do single days of data that arrive irregularly.

    Parameters
    ----------
    days
        Days of the window, in order.
    arrived
        Days that have arrived; days before the first of them are not expected.
    reference_days
        Days of the reference: weekdays that it lacks are not expected.
    """
    days, arrived = list(days), set(arrived)
    if not arrived:
        return []
    shares = _weekday_shares(reference_days)
    begin = min(arrived)
    expected = [
        day for day in days if day >= begin and (day in arrived or shares.get(day.weekday(), 1.0) >= _EXPECTED_SHARE)
    ]
    usual = expected
    if reference_days:
        # Without weekdays that hardly ever have data.
        reference = days_of((min(reference_days), max(reference_days)))
        usual = [day for day in reference if shares[day.weekday()] >= 1 - _EXPECTED_SHARE]
    missed = missing_days(days_after_gap(expected, arrived), arrived, usual, set(reference_days) or arrived)
    if not missed:
        return []
    stale = missed[-1] == days[-1]
    text = f"no rows have arrived for {ranges(missed)}"
    hint = "; have the data stopped arriving?" if stale else ""
    return [Violation(ViolationKind.MISSING_PARTITION, None, tuple(day.isoformat() for day in missed), text + hint)]


def ranges(days: Sequence[dt.date]) -> str:
    """Return days as text, with ranges of consecutive days.

    >>> ranges([dt.date(2013, 1, 1), dt.date(2013, 1, 2), dt.date(2013, 1, 5)])
    '2013-01-01 to 2013-01-02, 2013-01-05'
    """
    if not days:
        return ""
    starts = [days[0], *(b for a, b in pairwise(days) if b - a > dt.timedelta(days=1))]
    ends = [*(a for a, b in pairwise(days) if b - a > dt.timedelta(days=1)), days[-1]]
    parts = [f"{a}" if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    return listed(parts, 5)


_Check = Callable[[Feature, ColumnProfile, Sequence[ColumnProfile]], str]


def _violation(kind: ViolationKind, feature: Feature, hits: Sequence[tuple[BatchProfile, str]]) -> Violation:
    blocks = tuple(block.block.name for block, _ in hits)
    more = f", and likewise in {len(blocks) - 1} more" if len(blocks) > 1 else ""
    message = f"column {feature.name!r} {hits[0][1]} in {blocks[0]}{more}"
    return Violation(kind, feature.name, blocks, message)


def _wrong_type(_feature: Feature, profile: ColumnProfile, before: Sequence[ColumnProfile]) -> str:
    """A Numeric feature must contain numbers; a Categorical one values in a type of the reference, or its values."""
    kinds = profile.kinds & KINDS
    if "nested" in kinds:
        return "holds lists or structs, which a feature cannot be (write their fields as columns),"
    known = frozenset[str]().union(*(p.kinds for p in before)) & KINDS
    if isinstance(profile, NumericProfile):
        strange = kinds - {"number"}
        if TRUTH in profile.kinds and not all(_is_flag(p) for p in before if p.present):
            return "holds words for true and false, where the reference holds other numbers,"
        what = in_words(strange) + _strays_in_words(profile)
        if strange and known == {"number"}:
            return f"holds {what}, where the reference holds numbers,"
        return f"is declared Numeric and holds {what}" if strange else ""
    strange = kinds - known if known else frozenset[str]()
    # The same categories written with another type are no other categories.
    if not strange or profile.buckets.size or 2 * int(profile.counts[-1]) <= profile.present:
        return ""
    return f"holds {in_words(strange)}, where the reference holds {in_words(known)},"


def _is_flag(profile: ColumnProfile) -> bool:
    return isinstance(profile, NumericProfile) and profile.minimum >= 0 and profile.maximum <= 1


def _no_dates(_feature: Feature, profile: ColumnProfile, before: Sequence[ColumnProfile]) -> str:
    """A column of dates must contain dates, and what the reference has besides them."""
    strange = (profile.kinds & KINDS) - {"time"} - frozenset[str]().union(*(p.kinds for p in before))
    if not strange or not isinstance(profile, NumericProfile):
        return ""
    return f"holds {in_words(strange)}{_strays_in_words(profile)}, where the reference holds dates or times,"


def _strays_in_words(profile: NumericProfile) -> str:
    """Return examples of text that is not a number."""
    some = sorted(profile.strays.items(), key=lambda item: (-item[1], item[0]))[:3]
    return f" ({', '.join(f'{word[:40]!r} in {_rows(count)}' for word, count in some)})" if some else ""


def _rows(count: int) -> str:
    return f"{count:,} rows" if count != 1 else "1 row"


def in_words(kinds: Iterable[str]) -> str:
    """Return kinds of values as text."""
    names = {
        "number": "numbers",
        "text": "text",
        "time": "dates or times",
        "nested": "lists or structs",
        "other": "values of another type",
    }
    return " and ".join(names[kind] for kind in sorted(kinds))


def _unexpected_nulls(feature: Feature, profile: ColumnProfile, _before: Sequence[ColumnProfile]) -> str:
    if feature.nullable or not profile.missing:
        return ""
    return f"is declared not nullable and has {profile.missing:,} missing values of {profile.rows:,}"


def _out_of_range(feature: Feature, profile: ColumnProfile, _before: Sequence[ColumnProfile]) -> str:
    if not isinstance(profile, NumericProfile):
        return ""
    parts = []
    if profile.below:
        parts.append(f"{profile.below:,} values below {feature.minimum} (smallest {number(profile.minimum)})")
    if profile.above:
        parts.append(f"{profile.above:,} values above {feature.maximum} (largest {number(profile.maximum)})")
    return f"has {' and '.join(parts)}" if parts else ""


def _not_allowed(feature: Feature, profile: ColumnProfile, _before: Sequence[ColumnProfile]) -> str:
    if feature.allowed_values is None or not isinstance(profile, CategoricalProfile) or not profile.disallowed_rows:
        return ""
    shown = ", ".join(repr(value[:40]) for value in list(profile.disallowed)[:3])
    return f"has {profile.disallowed_rows:,} values that are not allowed ({shown})"


def _null_burst(_feature: Feature, profile: ColumnProfile, before: Sequence[ColumnProfile]) -> str:
    """Significantly more missing values than in the worst batch of the reference."""
    if not profile.rows or profile.missing / profile.rows < BURST:
        return ""
    known = [p.missing / p.rows for p in before if p.rows]
    if not known:
        return ""
    worst, rate = max(known), profile.missing / profile.rows
    error = np.sqrt(max(worst * (1 - worst), 1 / profile.rows) / profile.rows)
    if rate < worst + BURST or rate < worst + BURST_ERRORS * error:
        return ""
    return f"lacks {percent(rate)} of its values (at most {percent(worst)} in any part of the reference)"


def _stuck(_feature: Feature, profile: ColumnProfile, before: Sequence[ColumnProfile]) -> str:
    """A single value, which is practically impossible according to the reference."""
    if profile.present < _MIN_ROWS_STUCK or not before or not has_one_value(profile):
        return ""
    if any(has_one_value(p) for p in before if p.present >= _MIN_ROWS_STUCK):
        return ""
    counts = sum((p.counts for p in before), start=np.zeros_like(profile.counts))
    share = float(counts[int(profile.counts.argmax())] / max(1, int(counts.sum())))
    if share > 0 and profile.present * np.log(share) > np.log(_STUCK_LEVEL):
        return ""
    if isinstance(profile, NumericProfile):
        if "time" in profile.kinds:
            return f"has the value {date_text(profile.minimum)} in all of {profile.present:,} rows"
        return f"has the value {number(profile.minimum)} in all of {profile.present:,} rows"
    return f"has one value in all of {profile.present:,} rows"


def has_one_value(profile: ColumnProfile) -> bool:
    """Return whether all values of a column that are present are the same."""
    if isinstance(profile, NumericProfile):
        return profile.minimum == profile.maximum
    filled = int(np.count_nonzero(profile.counts))
    return filled == 1 and (not profile.counts[-1] or len(profile.others) == 1)


def _weekday_shares(reference_days: Sequence[dt.date]) -> dict[int, float]:
    """Return weekday → share of these days of the reference that have data."""
    if not reference_days:
        return {}
    all_days = Counter(day.weekday() for day in days_of((min(reference_days), max(reference_days))))
    arrived = Counter(day.weekday() for day in set(reference_days))
    return {weekday: arrived[weekday] / count for weekday, count in all_days.items()}


#: Tests of each feature in each batch, in the order of reports.
_CHECKS: tuple[tuple[ViolationKind, _Check], ...] = (
    (ViolationKind.TYPE_CHANGED, _wrong_type),
    (ViolationKind.UNEXPECTED_NULL, _unexpected_nulls),
    (ViolationKind.OUT_OF_RANGE, _out_of_range),
    (ViolationKind.NOT_ALLOWED, _not_allowed),
    (ViolationKind.NULL_BURST, _null_burst),
    (ViolationKind.STUCK, _stuck),
)
