"""Two sets of files as the input of a check: no monitor, no days, and columns inferred from the data."""

from __future__ import annotations

import fnmatch
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from modelmonitor_api.spec import DataFormat, Detector, DetectorType, Feature, FeatureType, Sensitivity
from modelmonitor_trainer.check.context import CheckContext, Stopwatch
from modelmonitor_trainer.check.data import CheckData, Outcomes, ProfiledPair, WindowPair, text_columns
from modelmonitor_trainer.check.predictor import logged_predictor
from modelmonitor_trainer.check.sources.file_columns import infer_columns
from modelmonitor_trainer.check.sources.file_days import batches_of_days
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.detect.quality import in_words
from modelmonitor_trainer.detect.wording import FILES, FILES_OF_DAYS
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_SUFFIXES = {
    ".parquet": DataFormat.PARQUET,
    ".pq": DataFormat.PARQUET,
    ".csv": DataFormat.CSV,
    ".jsonl": DataFormat.JSON_LINES,
    ".ndjson": DataFormat.JSON_LINES,
}
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
    """

    reference: str
    current: str
    target: str | None = None
    prediction: str | None = None
    correlations: bool = False
    ablation: bool = False


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
        reference, current = (find_files(store, where) for where in (files.reference, files.current))
        fmt = format_of([*reference, *current])
        named = {"--target": files.target, "--prediction": files.prediction}
        inferred = infer_columns(store, reference, current, fmt, named)
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
        wording=FILES_OF_DAYS if all(batch.day for batch in (*rows.reference, *rows.current)) else FILES,
        reference_title=files.reference,
        current_title=files.current,
        has_contract=False,
        optional=optional,
        notes=inferred.notes + _on_both_sides(reference, current),
        reproduce=_command(files),
    )


def _batches(files: Sequence[ObjectInfo]) -> tuple[Batch, ...]:
    """Return the files of each day as a batch; else each file, consecutive ones together if there are very many."""
    by_day = batches_of_days(files, MAX_BATCHES)
    if by_day is not None:
        return by_day
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
        seen: dict[str, str] = {}
        for batch in pair.reference.blocks:
            profile = batch.columns.get(name)
            for kind in profile.kinds - {"null"} if profile is not None else ():
                seen.setdefault(kind, batch.block.name)
        if len(seen) > 1:
            (one, first), (other, second) = list(seen.items())[:2]
            raise BadData(
                f"the files of the reference disagree on column {name!r}: {in_words([one])} in {first}, and "
                f"{in_words([other])} in {second}; write it with one type, or remove one of the files"
            )


def _on_both_sides(reference: Sequence[ObjectInfo], current: Sequence[ObjectInfo]) -> tuple[str, ...]:
    both = sorted({info.uri for info in reference} & {info.uri for info in current})
    if not both:
        return ()
    more = f" and {len(both) - 1} more" if len(both) > 1 else ""
    return (f"On both sides, which hides changes: {both[0]}{more}.",)


def find_files(store: Store, where: str) -> list[ObjectInfo]:
    """Return the data files at a path, a folder, a pattern or a URI, sorted.

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
        objects = [info for info in objects if _suffix(info.uri) in _SUFFIXES or len(objects) == 1]
    if not objects:
        raise NotFound(f"there are no Parquet, CSV or JSON Lines files at {where}; check the path")
    return objects


def format_of(objects: Sequence[ObjectInfo]) -> DataFormat:
    """Return the format of files, from their names.

    Raises
    ------
    BadConfiguration
        If it is unknown, or there are several.
    """
    formats = {_suffix(info.uri): info.uri for info in objects}
    unknown = [uri for suffix, uri in formats.items() if suffix not in _SUFFIXES]
    if unknown:
        raise BadConfiguration(
            f"{unknown[0]} has an unknown type; rename it to .parquet, .csv or .jsonl (or .gz of these)"
        )
    kinds = {_SUFFIXES[suffix] for suffix in formats}
    if len(kinds) > 1:
        raise BadConfiguration(
            f"the files have several formats ({', '.join(sorted(kinds))}); compare files of one format"
        )
    return kinds.pop()


def _hidden(path: str) -> bool:
    """Whether a path below a folder is not data: a marker, or the unfinished output of a job."""
    return any(part.startswith(("_", ".")) and "=" not in part for part in path.split("/"))


def _suffix(uri: str) -> str:
    name = uri.rpartition("/")[2].lower().removesuffix(".gz")
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def _command(files: Files) -> str:
    parts = ["modelmonitor", "check", "--reference", files.reference, "--current", files.current]
    for option, column in (("--target", files.target), ("--prediction", files.prediction)):
        parts += [option, column] if column else []
    for option, requested in (("--correlations", files.correlations), ("--ablation", files.ablation)):
        parts += [option] if requested else []
    return shlex.join(parts)
