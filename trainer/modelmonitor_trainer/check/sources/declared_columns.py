"""Columns that a spec names, compared with those of the newest rows and labels, before a first model needs them.

A misspelt join key or slice is needed by the first training only, which may start an hour later. So the command
``validate --data`` and every check without a champion compare them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches

import pyarrow as pa

from modelmonitor_api.spec import FeatureType, ModelMonitorSpec
from modelmonitor_trainer.data.object_format import declared_format
from modelmonitor_trainer.data.object_names import folder_keys
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.errors import BadConfiguration
from modelmonitor_trainer.storage.base import Store

#: Rows from which the types of a text format are recognized.
_HEAD = 1000

Types = Mapping[str, pa.DataType]


def require_declared_columns(
    store: Store, spec: ModelMonitorSpec, live: Sequence[Batch], labels: Sequence[Batch]
) -> None:
    """Require the columns that only a training needs, and that no feature is misspelt.

    Raises
    ------
    BadConfiguration
        With the field of each column that is missing, and the nearest name.
    """
    rows, outcomes = types_of_newest(store, spec, live), types_of_newest(store, spec, labels)
    problems = find_missing(spec, rows, outcomes, only_misspelt=True)
    if problems:
        # A column that came or went is a change, and not a misspelt name.
        before, outcomes_before = types_of_newest(store, spec, live[:1]), types_of_newest(store, spec, labels[:1])
        problems = find_missing(spec, _either(rows, before), _either(outcomes, outcomes_before), only_misspelt=True)
    if problems:
        raise BadConfiguration("; ".join(problems))


def types_of_newest(store: Store, spec: ModelMonitorSpec, batches: Sequence[Batch]) -> Types | None:
    """Return the columns of the newest object with their types; None if there is none that can be read."""
    newest = next((batch.objects[-1] for batch in reversed(batches) if batch.objects), None)
    if newest is None:
        return None
    # An object that cannot be read is a violation, which the check reports.
    with suppress(Unreadable), scan(store, newest, None, declared_format(spec.data), head=_HEAD) as opened:
        return {name: pa.string() for name in folder_keys(newest.uri)} | dict(opened.types)
    return None


def _either(newest: Types | None, oldest: Types | None) -> Types | None:
    """Return the columns of either object; None if those of the newest are not known."""
    return newest if newest is None or oldest is None else {**oldest, **newest}


def find_missing(
    spec: ModelMonitorSpec, rows: Types | None, labels: Types | None, *, only_misspelt: bool = False
) -> list[str]:
    """Return a sentence for each declared column that the data lack.

    Parameters
    ----------
    spec
        The monitor's spec.
    rows, labels
        Columns of the newest objects; None where they are not known.
    only_misspelt
        Whether to leave out a target among the rows, since outcomes can be absent at first, and features without a
        similar column, which a check reports as violations of the contract.
    """
    declared = [] if rows is None else _columns_of_rows(spec)
    features = {feature.name for feature in spec.model.features}
    used = {name for _, name in declared}
    problems = []
    for field, name in declared:
        assert rows is not None
        if name in rows:
            continue
        near = get_close_matches(name, [column for column in rows if column not in used], 1, 0.75)
        if only_misspelt and (name == spec.model.target or (name in features and not near)):
            continue
        problems.append(_missing(field, name, near, rows, spec.data.live.uri))
    if labels is not None and spec.data.labels is not None:
        wanted = [("data.labels.joinKey", spec.data.labels.join_key), ("model.target", spec.model.target)]
        if spec.data.labels.version_column is not None:
            wanted.append(("data.labels.versionColumn", spec.data.labels.version_column))
        for field, name in wanted:
            if name not in labels:
                near = get_close_matches(name, list(labels), 1, 0.6)
                problems.append(_missing(field, name, near, labels, spec.data.labels.uri))
    return problems


def find_type_problems(spec: ModelMonitorSpec, rows: Types) -> tuple[list[str], list[str]]:
    """Return features whose values cannot be of the declared type, and those whose type is doubtful."""
    problems, questions = [], []
    for index, feature in enumerate(spec.model.features):
        kind, field = rows.get(feature.name), f"model.features[{index}]"
        if kind is None:
            continue
        value = kind.value_type if pa.types.is_dictionary(kind) else kind
        text = pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_binary(value)
        if feature.type is FeatureType.NUMERIC and text:
            problems.append(f"{field}: {feature.name!r} is declared Numeric and holds text; declare it Categorical")
        elif feature.type is FeatureType.CATEGORICAL and pa.types.is_floating(value):
            questions.append(
                f"{field}: {feature.name!r} is declared Categorical and holds decimal numbers; is it Numeric? Each "
                "distinct number would be a category of its own"
            )
    return problems, questions


def _columns_of_rows(spec: ModelMonitorSpec) -> list[tuple[str, str]]:
    """Return the field and the name of each column that the live rows must have."""
    labels, model = spec.data.labels, spec.model
    columns = [(f"model.features[{index}].name", feature.name) for index, feature in enumerate(model.features)]
    columns += [(f"model.slices[{index}]", name) for index, name in enumerate(model.slices)]
    columns += [("data.labels.joinKey", labels.join_key) if labels else ("model.target", model.target)]
    if model.prediction_column is not None:
        columns.append(("model.predictionColumn", model.prediction_column))
    if spec.data.group_column is not None:
        columns.append(("data.groupColumn", spec.data.group_column))
    return columns


def _missing(field: str, name: str, near: Sequence[str], present: Collection[str], uri: str) -> str:
    hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(present)[:20])}"
    return f"{field}: the newest partition under {uri} has no column {name!r}; {hint}"
