"""Columns that files have in their paths: the ``key=value`` folders of both sides, and those that are not compared."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_api.spec import Feature, FeatureType
from modelmonitor_trainer.check.sources.file_listing import FileListing
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.data.object_names import folder_keys, is_time

_Values = dict[str, list[str | None]]


def folder_columns(reference: FileListing, current: FileListing) -> tuple[tuple[Feature, ...], tuple[LeftOut, ...]]:
    """Return the keys of folders that are compared as categories, and those that are not.

    A key is compared if each path on both sides has it, and its values are neither times, nor a number that only grows,
    nor what a pattern selects.
    """
    before, now = _values_of(reference), _values_of(current)
    features: list[Feature] = []
    left_out: list[LeftOut] = []
    for key in dict.fromkeys([*before, *now]):
        reason = _reason(key, before, now, (reference, current))
        if reason is None:
            features.append(Feature(name=key, type=FeatureType.CATEGORICAL))
        else:
            left_out.append(LeftOut(reason, key, detail="a key of the folders"))
    chosen = {key for side in (reference, current) for key in folder_keys(side.folder)} - {*before, *now}
    left_out += [LeftOut(LeftOutReason.SELECTED_COLUMN, key, detail="a key of the folders") for key in sorted(chosen)]
    return tuple(features), tuple(left_out)


def _values_of(listing: FileListing) -> _Values:
    """Return the keys of a side with one value for each file that has them."""
    values: _Values = {}
    for info in listing.objects:
        for key, value in folder_keys(info.uri.removeprefix(listing.folder)).items():
            values.setdefault(key, []).append(value)
    return values


def _reason(key: str, before: _Values, now: _Values, sides: Iterable[FileListing]) -> LeftOutReason | None:
    """Return why a key is not compared, or None."""
    reference, current = before.get(key, []), now.get(key, [])
    if is_time(key, [*reference, *current]):
        return LeftOutReason.TIME_COLUMN
    if any(key in side.selected_keys for side in sides):
        return LeftOutReason.SELECTED_COLUMN
    if [len(reference), len(current)] != [len(side.objects) for side in sides]:
        return LeftOutReason.UNEVEN_COLUMN
    return LeftOutReason.GROWING_COLUMN if _grows(reference, current) else None


def _grows(reference: Sequence[str | None], current: Sequence[str | None]) -> bool:
    """Whether all values are whole numbers, and those of the current side are larger."""
    numbers = [[int(v) for v in values if v is not None and v.isdecimal()] for values in (reference, current)]
    if [len(values) for values in numbers] != [len(reference), len(current)]:
        return False
    return min(numbers[1]) > max(numbers[0])
