"""Two sets of files as the input of a check: no monitor, no days, and columns inferred from the data."""

from __future__ import annotations

import fnmatch
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from modelmonitor_api.spec import DataFormat, Detector, DetectorType, Feature, FeatureType, Sensitivity
from modelmonitor_trainer.check.context import CheckContext, Stopwatch
from modelmonitor_trainer.check.data import CheckData, Outcomes, ProfiledPair, WindowPair, text_columns
from modelmonitor_trainer.check.predictor import logged_predictor
from modelmonitor_trainer.check.sources.file_columns import ColumnOptions, infer_columns
from modelmonitor_trainer.data.object_format import SUFFIXES, FileFormat, csv_options, format_at, suffix
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.quality import in_words
from modelmonitor_trainer.detect.wording import FILES
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.profile.arrow_values import NOT_UTF8
from modelmonitor_trainer.profile.columns import CategoricalProfile, ColumnProfile
from modelmonitor_trainer.storage.base import ObjectInfo, Store

#: Maximum number of batches, as of days: a year of them shows well enough how much they differ.
MAX_BATCHES = 366
_GLOB = frozenset("*?[")


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
    options
        These two as options of the command line.
    """

    reference: str
    current: str
    target: str | None = None
    prediction: str | None = None
    correlations: bool = False
    ablation: bool = False
    columns: ColumnOptions = field(default_factory=ColumnOptions)
    fmt: FileFormat = field(default_factory=FileFormat)
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
    stopwatch = Stopwatch()
    with stopwatch.step("windows"):
        known = files.fmt.kind is None
        reference, current = (find_files(store, where, known=known) for where in (files.reference, files.current))
        fmt = format_of([*reference, *current], files.fmt)
        named = {"--target": files.target, "--prediction": files.prediction}
        inferred = infer_columns(store, reference, current, fmt, named, files.columns)
    features = tuple(column for column in inferred.columns if column.name not in named.values())
    rows = WindowPair(inferred.columns, _batches(reference), _batches(current))
    optional = frozenset() if files.correlations else frozenset({"correlations"})
    return CheckContext(store, None, fmt, stopwatch), CheckData(
        detectors=tuple(_detectors(files, features)),
        features=features,
        target=files.target,
        prediction=files.prediction,
        rows=rows,
        outcomes=_outcomes(files, inferred.columns, features, rows),
        sensitivity=sensitivity,
        checks_per_day=checks_per_day,
        wording=FILES,
        reference_title=files.reference,
        current_title=files.current,
        has_contract=False,
        optional=optional,
        notes=inferred.notes + _several_formats([*reference, *current], fmt) + _on_both_sides(reference, current),
        reproduce=_command(files),
    )


def _batches(files: Sequence[ObjectInfo]) -> tuple[Batch, ...]:
    """Return files as batches, consecutive ones together if there are very many: every pair of them is compared."""
    count = min(len(files), MAX_BATCHES)
    bounds = [len(files) * number // count for number in range(count + 1)]
    parts = [tuple(files[start:end]) for start, end in pairwise(bounds)]
    return tuple(
        Batch(part[0].uri if len(part) == 1 else f"{part[0].uri} and {len(part) - 1} more", part) for part in parts
    )


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
    files: Files, columns: Sequence[Feature], features: tuple[Feature, ...], rows: WindowPair
) -> Outcomes | None:
    target = next((column for column in columns if column.name == files.target), None)
    if target is None:
        return None
    prediction = tuple(column for column in columns if column.name == files.prediction)
    return Outcomes(
        target=target,
        task=None,
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
            for kind in sorted(profile.kinds - {"null", NOT_UTF8}) if profile is not None else ():
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


def _on_both_sides(reference: Sequence[ObjectInfo], current: Sequence[ObjectInfo]) -> tuple[str, ...]:
    both = sorted({info.uri for info in reference} & {info.uri for info in current})
    if not both:
        return ()
    more = f" and {len(both) - 1} more" if len(both) > 1 else ""
    return (f"On both sides, which hides changes: {both[0]}{more}.",)


def find_files(store: Store, where: str, *, known: bool = True) -> list[ObjectInfo]:
    """Return the data files at a path, a folder, a pattern or a URI, sorted; if `known`, only those of known suffixes.

    Raises
    ------
    NotFound
        If there are none.
    """
    uri = where if "://" in where else f"file://{Path(where).absolute()}"
    pattern_start = next((index for index, char in enumerate(uri) if char in _GLOB), None)
    base = uri.rstrip("/") + "/" if pattern_start is None else uri[: uri.rfind("/", 0, pattern_start) + 1]
    # The name of a local file may look like a pattern. On S3 a rejected listing is more informative than a HEAD.
    is_object = not uri.endswith("/") and (pattern_start is None or uri.startswith("file://"))
    single = store.head(uri) if is_object else None
    if single is not None:
        return [single]
    if pattern_start is not None:
        objects = [info for info in store.list(base) if fnmatch.fnmatchcase(info.uri, uri)]
    else:
        objects = [info for info in store.list(base) if not _hidden(info.uri.removeprefix(base))]
        objects = [info for info in objects if not known or suffix(info.uri) in SUFFIXES or len(objects) == 1]
    if not objects:
        raise NotFound(f"there are no Parquet, CSV or JSON Lines files at {where}; check the path")
    return objects


def format_of(objects: Sequence[ObjectInfo], declared: FileFormat) -> FileFormat:
    """Return the format of files: as declared, or from the name of each.

    Raises
    ------
    BadConfiguration
        If it is unknown, or something is declared of CSV files and there are none.
    """
    kinds = {suffix(info.uri): info.uri for info in objects}
    unknown = [uri for kind, uri in kinds.items() if kind not in SUFFIXES]
    if unknown and declared.kind is None:
        raise BadConfiguration(
            f"{unknown[0]} has an unknown type; set --format, or rename it to .parquet, .csv or .jsonl (or .gz of "
            "these)"
        )
    if csv_options(declared).to_wire() and not any(format_at(declared, info.uri) is DataFormat.CSV for info in objects):
        raise BadConfiguration("--separator, --encoding, --decimal and --null-values are for CSV; no file is CSV")
    return declared


def _hidden(path: str) -> bool:
    """Whether a path below a folder is not data: a marker, or the unfinished output of a job."""
    return any(part.startswith(("_", ".")) and "=" not in part for part in path.split("/"))


def _command(files: Files) -> str:
    parts = ["modelmonitor", "check", "--reference", files.reference, "--current", files.current]
    for option, column in (("--target", files.target), ("--prediction", files.prediction)):
        parts += [option, column] if column else []
    for option, requested in (("--correlations", files.correlations), ("--ablation", files.ablation)):
        parts += [option] if requested else []
    parts += files.options
    return shlex.join(parts)
