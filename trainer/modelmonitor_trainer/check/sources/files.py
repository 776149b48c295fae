"""Two sets of files as the input of a check: no monitor, and columns inferred from the data."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise

from modelmonitor_api.outcomes import LeftOutReason
from modelmonitor_api.spec import Detector, DetectorType, Feature, FeatureType, Sensitivity, Task
from modelmonitor_trainer.check.context import CheckContext, Stopwatch
from modelmonitor_trainer.check.data import CheckData, Outcomes, ProfiledPair, WindowPair, text_columns
from modelmonitor_trainer.check.predictor import logged_predictor
from modelmonitor_trainer.check.sources.file_columns import ColumnOptions, infer_columns
from modelmonitor_trainer.check.sources.file_days import batches_of_days, notes_on_gaps
from modelmonitor_trainer.check.sources.file_listing import FileListing, format_of, list_files
from modelmonitor_trainer.check.sources.file_task import infer_file_task, with_task
from modelmonitor_trainer.check.sources.folder_columns import folder_columns
from modelmonitor_trainer.check.sources.other_tables import without_other_tables
from modelmonitor_trainer.data.arrow_types import KINDS
from modelmonitor_trainer.data.column_names import SeenColumn, columns_of
from modelmonitor_trainer.data.left_out import LeftOut, SideName, of_side
from modelmonitor_trainer.data.object_format import FileFormat, format_at
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.quality import in_words
from modelmonitor_trainer.detect.wording import FILES, FILES_OF_DAYS
from modelmonitor_trainer.errors import BadConfiguration, BadData
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile
from modelmonitor_trainer.storage.base import ObjectInfo, Store
from modelmonitor_trainer.text import listed

#: Maximum number of batches, as of days: a year of them shows well enough how much they differ.
MAX_BATCHES = 366


@dataclass(frozen=True)
class Files:
    """Two sets of files.

    Attributes
    ----------
    reference, current
        A file, a folder, or a pattern; a path or a URI.
    target, prediction
        Columns that are no features.
    correlations, ablation
        Whether these detectors are requested; correlations of small files are compared anyway.
    columns
        Columns to compare.
    fmt
        What is declared of the format of all files.
    task
        Task of the model; None to infer it from the target.
    options
        These as options of the command line.
    """

    reference: str
    current: str
    target: str | None = None
    prediction: str | None = None
    correlations: bool = False
    ablation: bool = False
    columns: ColumnOptions = field(default_factory=ColumnOptions)
    fmt: FileFormat = field(default_factory=FileFormat)
    task: Task | None = None
    options: tuple[str, ...] = ()


def resolve_files(
    store: Store, files: Files, sensitivity: Sensitivity, checks_per_day: float
) -> tuple[CheckContext, CheckData]:
    """Return what a check of two sets of files compares.

    Raises
    ------
    NotFound, BadConfiguration, BadData
        If there are no files of one known format, or no columns that can be compared.
    """
    if files.target is not None and files.target == files.prediction:
        raise BadConfiguration(f"--target and --prediction are both {files.target!r}; choose two columns")
    if files.ablation and files.target is None:
        raise BadConfiguration("--ablation needs the target column; set it with --target")
    if files.task is not None and files.target is None:
        raise BadConfiguration("--task is about the target column; set it with --target")
    stopwatch = Stopwatch()
    with stopwatch.step("windows"):
        listed_files = (list_files(store, files.reference, files.fmt), list_files(store, files.current, files.fmt))
        fmt = format_of(listed_files, files.fmt)
        reference_files, current_files, before = without_other_tables(store, *listed_files, fmt)
        sides = (reference_files, current_files)
        columns, notes, left_out = _columns(store, files, fmt, *sides, before)
        columns, task, more = _with_task(store, files, fmt, sides[0].objects, columns)
    reference, current = (side.objects for side in sides)
    features = tuple(column for column in columns if column.name not in {files.target, files.prediction})
    rows = WindowPair(columns, _batches(reference), _batches(current))
    optional = frozenset() if files.correlations else frozenset({"correlations"})
    return CheckContext(store, None, fmt, stopwatch=stopwatch), CheckData(
        detectors=tuple(_detectors(files, features)),
        features=features,
        target=files.target,
        prediction=files.prediction,
        rows=rows,
        outcomes=_outcomes(files, task, columns, features, rows),
        sensitivity=sensitivity,
        checks_per_day=checks_per_day,
        wording=FILES_OF_DAYS if all(batch.day for batch in (*rows.reference, *rows.current)) else FILES,
        reference_title=files.reference,
        current_title=files.current,
        has_contract=False,
        optional=optional,
        notes=(
            *notes,
            *more,
            *_several_formats([*reference, *current], fmt),
            *notes_on_gaps({"reference": rows.reference, "current": rows.current}),
        ),
        left_out=(*left_out, *_files_left_out(*sides)),
        reproduce=_command(files),
    )


def _columns(
    store: Store,
    files: Files,
    fmt: FileFormat,
    reference: FileListing,
    current: FileListing,
    before: Mapping[str, SeenColumn],
) -> tuple[tuple[Feature, ...], tuple[str, ...], tuple[LeftOut, ...]]:
    """Return the columns to compare, notes on the others, and the columns that are left out."""
    now = columns_of(store, current.objects, fmt)
    keys, keys_left_out = folder_columns(reference, current)
    # A column of the files goes before a folder of the same name.
    keys = tuple(key for key in keys if key.name not in before and key.name not in now)
    named = {"--target": files.target, "--prediction": files.prediction}
    in_files = {option: name for option, name in named.items() if name not in {key.name for key in keys}}
    numbers = {name: column.number for seen in (now, before) for name, column in seen.items() if column.number}
    inferred = infer_columns(store, reference.objects, current.objects, fmt, in_files, files.columns, numbers, before)
    left_out = _columns_left_out({column.name for column in inferred.columns}, inferred.excluded, before, now)
    left_out += [key for key in keys_left_out if key.name not in before and key.name not in now]
    return (*inferred.columns, *keys), inferred.notes, tuple(left_out)


def _with_task(
    store: Store, files: Files, fmt: FileFormat, reference: Sequence[ObjectInfo], columns: tuple[Feature, ...]
) -> tuple[tuple[Feature, ...], Task | None, tuple[str, ...]]:
    """Return the columns with the types that follow from the task, the task if it is certain, and a note on it."""
    declared = files.columns.types
    target = next((column for column in columns if column.name == files.target), None)
    if target is None:
        return columns, None, ()
    task = files.task
    if task is None and (target.type is FeatureType.NUMERIC) != (target.name in declared):
        task = infer_file_task(store, reference, fmt, target.name, files.prediction)
    typed = with_task(columns, task, target.name, files.prediction, frozenset(declared))
    if files.task is not None or task is not Task.MULTICLASS_CLASSIFICATION:
        # What predictions are of two outcomes, or of values, is only certain once all rows are read.
        return typed, files.task, ()
    note = f"The few whole numbers of {target.name} are compared as classes. Set --task Regression if they are values."
    return typed, task, (note,) if typed != columns else ()


def _columns_left_out(
    compared: set[str],
    excluded: frozenset[str],
    reference: Mapping[str, SeenColumn],
    current: Mapping[str, SeenColumn],
) -> list[LeftOut]:
    """Return the columns that are not compared, and those that some of the files lack.

    A column that is excluded on request does not count against the coverage, whatever its type. One without a name is
    the index of pandas, or what a separator at the end of each line makes.
    """
    left_out = []
    for name in dict.fromkeys([*reference, *current]):
        before, now = reference.get(name), current.get(name)
        kind = (before and before.type) or (now and now.type)
        detail = str(kind) if kind is not None else ""
        if name in compared:
            left_out += _lacking(name, before, "reference") + _lacking(name, now, "current")
            continue
        if before is None:
            reason = LeftOutReason.NEW_COLUMN
        elif name in excluded or not name:
            reason = LeftOutReason.EXCLUDED_COLUMN
        else:
            reason = LeftOutReason.UNSUPPORTED_COLUMN
        left_out.append(LeftOut(reason, name or "one without a name", detail=detail))
    return left_out


def _lacking(name: str, column: SeenColumn | None, side: SideName) -> list[LeftOut]:
    """Return a column that some of the files of a side lack."""
    if column is None or column.objects == column.of:
        return []
    kind = f"{column.type}, " if column.type is not None else ""
    detail = f"{kind}in {column.objects:,} of {column.of:,} files"
    share = 1 - column.objects / column.of
    return [LeftOut(LeftOutReason.PARTIAL_COLUMN, name, detail=detail, share=share, side=side)]


def _files_left_out(reference: FileListing, current: FileListing) -> tuple[LeftOut, ...]:
    known = {info.uri for info in reference.objects}
    # Of files that are all on both sides, all is known; of some of them, the others are compared with a mixture.
    share = 0.0 if known == {info.uri for info in current.objects} else 1.0
    both = [LeftOut(LeftOutReason.BOTH_SIDES, i.uri, i.size, share=share) for i in current.objects if i.uri in known]
    left_out = chain(of_side("reference", reference.left_out), of_side("current", [*current.left_out, *both]))
    return tuple(left_out)


def _batches(files: Sequence[ObjectInfo]) -> tuple[Batch, ...]:
    """Return the files of each day as a batch; else each file, consecutive ones together if there are very many."""
    by_day = batches_of_days(files, MAX_BATCHES)
    if by_day is not None:
        return by_day
    count = min(len(files), MAX_BATCHES)
    bounds = [len(files) * number // count for number in range(count + 1)]
    parts = [tuple(files[start:end]) for start, end in pairwise(bounds)]
    return tuple(Batch(listed([info.uri for info in part], 1), part) for part in parts)


def _detectors(files: Files, features: Sequence[Feature]) -> list[Detector]:
    """Return the detectors that the named columns and the options allow."""
    numeric = sum(feature.type is FeatureType.NUMERIC for feature in features)
    candidates = (
        ("contract", DetectorType.DATA_QUALITY, True),
        ("features", DetectorType.FEATURE_DRIFT, True),
        ("target", DetectorType.TARGET_DRIFT, files.target is not None),
        ("predictions", DetectorType.PREDICTION_DRIFT, files.prediction is not None),
        ("bias", DetectorType.PREDICTION_BIAS, files.target is not None and files.prediction is not None),
        ("correlations", DetectorType.CORRELATION_DRIFT, numeric > 1 or files.correlations),
        ("ablation", DetectorType.ABLATION, files.ablation),
    )
    return [Detector(name=name, type=kind) for name, kind, wanted in candidates if wanted]


def _outcomes(
    files: Files, task: Task | None, columns: Sequence[Feature], features: tuple[Feature, ...], rows: WindowPair
) -> Outcomes | None:
    target = next((column for column in columns if column.name == files.target), None)
    if target is None:
        return None
    prediction = tuple(column for column in columns if column.name == files.prediction)
    return Outcomes(
        target=target,
        task=task,
        # The CSV reader decides what the outcomes are: true and false are not text.
        text_columns=text_columns(features + prediction),
        reference=rows.reference,
        current=rows.current,
        predicted=rows.current,
        predictor=partial(logged_predictor, files.prediction) if files.prediction is not None else None,
    )


def require_one_type(pair: ProfiledPair) -> None:
    """Refuse a reference whose files disagree on whether a column is numbers or text.

    Raises
    ------
    BadData
        Naming the column and two of the files.
    """
    if pair.reference is None:
        return
    for name in pair.reference.columns:
        first: tuple[str, str, ColumnProfile] | None = None
        for batch in pair.reference.blocks:
            profile = batch.columns.get(name)
            for kind in sorted(profile.kinds & KINDS) if profile is not None else ():
                assert profile is not None
                first = first or (kind, batch.block.name, profile)
                if kind != first[0] and not _same_categories(first[2], profile):
                    raise BadData(
                        f"the files of the reference disagree on column {name!r}: {in_words([first[0]])} in "
                        f"{first[1]}, and {in_words([kind])} in {batch.block.name}; write it with one type, or remove "
                        "one of the files"
                    )


def _same_categories(one: ColumnProfile, other: ColumnProfile) -> bool:
    """Whether most values of a categorical column are also in another batch, written with another type."""
    if not isinstance(one, CategoricalProfile) or not isinstance(other, CategoricalProfile):
        return False
    shared = int(other.counts[:-1][one.counts[:-1] > 0].sum())
    return bool(one.buckets.size) or 2 * shared >= other.present


def _several_formats(objects: Sequence[ObjectInfo], fmt: FileFormat) -> tuple[str, ...]:
    counts = Counter(format_at(fmt, info.uri).value for info in objects)
    if len(counts) < 2:
        return ()
    return (f"The files have several formats: {', '.join(f'{kind} ({n})' for kind, n in sorted(counts.items()))}.",)


def _command(files: Files) -> str:
    parts = ["modelmonitor", "check", "--reference", files.reference, "--current", files.current]
    for option, column in (("--target", files.target), ("--prediction", files.prediction)):
        parts += [option, column] if column else []
    parts += ["--task", files.task.value] if files.task else []
    for option, requested in (("--correlations", files.correlations), ("--ablation", files.ablation)):
        parts += [option] if requested else []
    parts += files.options
    return shlex.join(parts)
