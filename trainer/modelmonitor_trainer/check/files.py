"""A check of two sets of files: no monitor, no partitions, columns as they are found."""

from __future__ import annotations

import datetime as dt
import fnmatch
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_api.spec import DataFormat, Detector, DetectorType, Feature, FeatureType, Sensitivity
from modelmonitor_api.status import MAX_TOP_FEATURES, RowCounts
from modelmonitor_trainer.check.compare import Stopwatch, Workplace, broken, compare, profile_pair
from modelmonitor_trainer.check.inputs import Pair
from modelmonitor_trainer.check.outcomes import Finding, notes_on, outcomes
from modelmonitor_trainer.data.tables import is_text, scan
from modelmonitor_trainer.detect.result import CheckResult, Side, top_features
from modelmonitor_trainer.detect.verdict import decide
from modelmonitor_trainer.failures import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.profile.columns import kind_of
from modelmonitor_trainer.profile.window import Block
from modelmonitor_trainer.storage.store import ObjectInfo, Store

_SUFFIXES = {
    ".parquet": DataFormat.PARQUET,
    ".pq": DataFormat.PARQUET,
    ".csv": DataFormat.CSV,
    ".jsonl": DataFormat.JSON_LINES,
    ".ndjson": DataFormat.JSON_LINES,
}
_GLOB = frozenset("*?[")
#: Characters in the name of a feature, as the spec allows them.
_LONGEST_NAME = 253


@dataclass(frozen=True)
class Files:
    """Two sets of files.

    Attributes
    ----------
    reference, current
        A file, a folder, or a pattern; a path or a URI.
    target, prediction
        Columns that are no features.
    """

    reference: str
    current: str
    target: str | None = None
    prediction: str | None = None


def check_files(
    store: Store, files: Files, sensitivity: Sensitivity, checks_per_day: float, *, now: dt.datetime
) -> CheckResult:
    """Return what a check of two sets of files finds; nothing is written.

    Raises
    ------
    NotFound, BadConfiguration, BadData
        If there are no files, of one known format, or nothing in them can be compared.
    """
    watch = Stopwatch()
    with watch.step("windows"):
        sides = [find_files(store, where) for where in (files.reference, files.current)]
        fmt = format_of([info for side in sides for info in side])
        columns, ignored = infer_columns(store, sides[0][0], fmt, files)
    blocks = [tuple(Block(info.uri, (info,)) for info in side) for side in sides]
    at = Workplace(store, None, fmt, watch)
    windows = profile_pair(at, Pair(columns, blocks[0], blocks[1]), "files")
    detectors = [
        Detector(name="contract", type=DetectorType.DATA_QUALITY),
        Detector(name="features", type=DetectorType.FEATURE_DRIFT),
        *([Detector(name="target", type=DetectorType.TARGET_DRIFT)] if files.target else []),
        *([Detector(name="predictions", type=DetectorType.PREDICTION_DRIFT)] if files.prediction else []),
    ]
    features = [column for column in columns if column.name not in {files.target, files.prediction}]
    with watch.step("tests"):
        violations = tuple(broken(detectors, features, windows))
        drift = compare(
            detectors, features, files.target, [windows], sensitivity, checks_per_day, prediction=files.prediction
        )
    found = Finding(windows, None, drift, violations, ())
    rows = (windows.reference.rows if windows.reference else 0, windows.current.rows)
    decided = decide(drift, violations, (), sensitivity, rows=rows)
    verdict = CheckVerdict(
        verdict=decided.name,
        reason=decided.reason.value,
        message=decided.message[:1024],
        time=now,
        rows=RowCounts(reference=rows[0], current=rows[1]),
        top_features=top_features(drift.columns, MAX_TOP_FEATURES) if drift else [],
    )
    skipped = (f"Not compared, being neither numbers nor text: {', '.join(ignored)}.",) if ignored else ()
    return CheckResult(
        verdict=verdict,
        monitor=None,
        sensitivity=sensitivity,
        checks_per_day=checks_per_day,
        reference=Side(files.reference, blocks[0], rows=rows[0]),
        current=Side(files.current, blocks[1], rows=rows[1]),
        drift=drift,
        violations=violations,
        detectors=outcomes(detectors, found),
        notes=notes_on(drift, windows) + skipped,
        timings=watch.seconds,
        reproduce=_command(files),
    )


def find_files(store: Store, where: str) -> list[ObjectInfo]:
    """Return the data files at a path, a folder, a pattern or a URI, sorted.

    Raises
    ------
    NotFound
        If there are none.
    """
    uri = where if "://" in where else f"file://{Path(where).absolute()}"
    pattern_at = next((place for place, char in enumerate(uri) if char in _GLOB), None)
    if pattern_at is not None:
        listed = store.list(uri[: uri.rfind("/", 0, pattern_at) + 1])
        found = [info for info in listed if fnmatch.fnmatchcase(info.uri, uri)]
    else:
        single = store.head(uri) if not uri.endswith("/") else None
        found = [single] if single is not None else store.list(uri.rstrip("/") + "/")
    found = [info for info in found if _suffix(info.uri) in _SUFFIXES or pattern_at is not None or len(found) == 1]
    if not found:
        raise NotFound(f"there are no Parquet, CSV or JSON Lines files at {where}; check the path")
    return found


def format_of(objects: Sequence[ObjectInfo]) -> DataFormat:
    """Return the format that the names of the files tell.

    Raises
    ------
    BadConfiguration
        If they tell none, or several.
    """
    formats = {_suffix(info.uri): info.uri for info in objects}
    unknown = [uri for suffix, uri in formats.items() if suffix not in _SUFFIXES]
    if unknown:
        raise BadConfiguration(f"{unknown[0]} is of an unknown kind; name it .parquet, .csv, .jsonl (or .gz of these)")
    kinds = {_SUFFIXES[suffix] for suffix in formats}
    if len(kinds) > 1:
        raise BadConfiguration(f"the files are of several formats ({', '.join(sorted(kinds))}); compare files of one")
    return kinds.pop()


def infer_columns(
    store: Store, info: ObjectInfo, fmt: DataFormat, files: Files
) -> tuple[tuple[Feature, ...], list[str]]:
    """Return the columns of a file as features, and those that are of no kind we compare.

    Raises
    ------
    BadConfiguration
        If the target or the prediction is not among them.
    BadData
        If none can be compared.
    """
    with scan(store, info, None, fmt) as opened:
        types = dict(opened.types)
    for option, column in (("--target", files.target), ("--prediction", files.prediction)):
        if column is not None and column not in types:
            raise BadConfiguration(f"{option} {column!r} is not a column of {info.uri}")
    found, ignored = [], []
    for name, kind in types.items():
        if not 1 <= len(name) <= _LONGEST_NAME:
            ignored.append(f"{name[:40]}… (its name has {len(name)} characters)" if name else "a column without a name")
        elif kind_of(kind) in {"number", "null"} and not pa.types.is_boolean(kind):
            found.append(Feature(name=name, type=FeatureType.NUMERIC))
        elif is_text(kind) or pa.types.is_boolean(kind):
            found.append(Feature(name=name, type=FeatureType.CATEGORICAL))
        else:
            ignored.append(name)
    if not found:
        raise BadData(f"{info.uri} has no column of numbers or text")
    return tuple(found), ignored


def _suffix(uri: str) -> str:
    name = uri.rpartition("/")[2].lower().removesuffix(".gz")
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def _command(files: Files) -> str:
    parts = ["modelmonitor", "check", "--reference", files.reference, "--current", files.current]
    for option, column in (("--target", files.target), ("--prediction", files.prediction)):
        parts += [option, column] if column else []
    return shlex.join(parts)
