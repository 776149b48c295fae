"""A check of two sets of files: no monitor, no partitions, columns as they are found."""

from __future__ import annotations

import datetime as dt
import fnmatch
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from modelmonitor_api.messages import CheckVerdict
from modelmonitor_api.spec import DataFormat, Detector, DetectorType, Feature, FeatureType, Sensitivity
from modelmonitor_api.status import MAX_TOP_FEATURES, RowCounts
from modelmonitor_trainer.check.compare import CheckContext, ProfiledPair, Stopwatch, broken, compare, profile_pair
from modelmonitor_trainer.check.detector_results import CheckFindings, detector_outcomes, notes_on
from modelmonitor_trainer.check.file_columns import infer_columns
from modelmonitor_trainer.check.file_relations import FileScene, find_file_relations, too_many_to_correlate
from modelmonitor_trainer.check.windows import WindowPair
from modelmonitor_trainer.detect.drift import level_of
from modelmonitor_trainer.detect.hypotheses import CORRELATION, HypothesisFamily
from modelmonitor_trainer.detect.quality import in_words
from modelmonitor_trainer.detect.result import CheckResult, Side, top_features
from modelmonitor_trainer.detect.verdict import decide
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.profile.window import Batch
from modelmonitor_trainer.storage.base import ObjectInfo, Store

_SUFFIXES = {
    ".parquet": DataFormat.PARQUET,
    ".pq": DataFormat.PARQUET,
    ".csv": DataFormat.CSV,
    ".jsonl": DataFormat.JSON_LINES,
    ".ndjson": DataFormat.JSON_LINES,
}
#: Blocks of files, as of days, at most: a year of them tells enough of how they differ.
MAX_BLOCKS = 366
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
        Whether these detectors are asked for; correlations of small files are compared unasked.
    """

    reference: str
    current: str
    target: str | None = None
    prediction: str | None = None
    correlations: bool = False
    ablation: bool = False


def check_files(
    store: Store, files: Files, sensitivity: Sensitivity, checks_per_day: float, *, now: dt.datetime
) -> CheckResult:
    """Return what a check of two sets of files finds; nothing is written.

    Raises
    ------
    NotFound, BadConfiguration, BadData
        If there are no files, of one known format, or nothing in them can be compared.
    """
    if files.target is not None and files.target == files.prediction:
        raise BadConfiguration(f"--target and --prediction are both {files.target!r}; name two columns")
    if files.ablation and files.target is None:
        raise BadConfiguration("--ablation looks at what columns tell of the outcome; name its column with --target")
    watch = Stopwatch()
    with watch.step("windows"):
        sides = [find_files(store, where) for where in (files.reference, files.current)]
        fmt = format_of([info for side in sides for info in side])
        found = infer_columns(
            store, sides[0], sides[1], fmt, {"--target": files.target, "--prediction": files.prediction}
        )
    blocks = [_blocks(side) for side in sides]
    at = CheckContext(store, None, fmt, watch)
    windows = profile_pair(at, WindowPair(found.columns, blocks[0], blocks[1]), "files")
    _require_one_kind(windows)
    features = [column for column in found.columns if column.name not in {files.target, files.prediction}]
    detectors = _detectors(files, features)
    with watch.step("tests"):
        # Rows cannot break a contract that no row of the reference tells of.
        told = windows.reference is not None and windows.reference.rows > 0
        violations = tuple(broken(detectors, features if told else (), windows))
    level = level_of(sensitivity, checks_per_day)
    relations = () if violations else _relations(at, windows, files, found.columns, detectors, level)
    with watch.step("tests"):
        drift = compare(
            *(detectors, features, files.target, [windows], sensitivity, checks_per_day),
            prediction=files.prediction,
            relations=relations,
        )
    rows = (windows.reference.rows if windows.reference else 0, windows.current.rows)
    decided = decide(drift, violations, (), sensitivity, rows=rows, of_files=True)
    verdict = CheckVerdict(
        verdict=decided.name,
        reason=decided.reason.value,
        message=decided.message[:1024],
        time=now,
        rows=RowCounts(reference=rows[0], current=rows[1]),
        top_features=top_features(drift.columns, MAX_TOP_FEATURES) if drift else [],
    )
    return CheckResult(
        verdict=verdict,
        monitor=None,
        sensitivity=sensitivity,
        checks_per_day=checks_per_day,
        reference=Side(files.reference, blocks[0], rows=rows[0]),
        current=Side(files.current, blocks[1], rows=rows[1]),
        drift=drift,
        violations=violations,
        detectors=detector_outcomes(detectors, CheckFindings(windows, None, drift, violations, ())),
        notes=notes_on(drift, windows) + found.notes + _on_both_sides(sides[0], sides[1]),
        timings=watch.seconds,
        reproduce=_command(files),
    )


def _blocks(files: Sequence[ObjectInfo]) -> tuple[Batch, ...]:
    """Return files as blocks, consecutive ones together where there are very many: each is compared with each other."""
    count = min(len(files), MAX_BLOCKS)
    bounds = [len(files) * number // count for number in range(count + 1)]
    parts = [tuple(files[start:end]) for start, end in pairwise(bounds)]
    return tuple(
        Batch(part[0].uri if len(part) == 1 else f"{part[0].uri} and {len(part) - 1} more", part) for part in parts
    )


def _detectors(files: Files, features: Sequence[Feature]) -> list[Detector]:
    """Return the detectors that the named columns and the options make sense of."""
    numeric = sum(feature.type is FeatureType.NUMERIC for feature in features)
    asked = (
        ("contract", DetectorType.DATA_QUALITY, True),
        ("features", DetectorType.FEATURE_DRIFT, True),
        ("target", DetectorType.TARGET_DRIFT, files.target is not None),
        ("predictions", DetectorType.PREDICTION_DRIFT, files.prediction is not None),
        ("bias", DetectorType.PREDICTION_BIAS, files.target is not None and files.prediction is not None),
        ("correlations", DetectorType.CORRELATION_DRIFT, numeric > 1 or files.correlations),
        ("ablation", DetectorType.ABLATION, files.ablation),
    )
    return [Detector(name=name, type=kind) for name, kind, wanted in asked if wanted]


def _relations(
    at: CheckContext,
    windows: ProfiledPair,
    files: Files,
    columns: Sequence[Feature],
    detectors: Sequence[Detector],
    level: float,
) -> tuple[HypothesisFamily, ...]:
    named = {column.name: column for column in columns}
    features = tuple(column for column in columns if column.name not in {files.target, files.prediction})
    target, prediction = (named.get(name) if name else None for name in (files.target, files.prediction))
    why = "" if files.correlations else too_many_to_correlate(windows, features)
    scene = FileScene(at, windows, features, target, prediction, level)
    left = [d for d in detectors if why and d.type is DetectorType.CORRELATION_DRIFT]
    skipped = tuple(HypothesisFamily(detector.name, CORRELATION, "correlations", message=why) for detector in left)
    return find_file_relations(scene, [d for d in detectors if d not in left]) + skipped


def _require_one_kind(windows: ProfiledPair) -> None:
    """Refuse a reference whose files disagree on whether a column is numbers or text.

    Raises
    ------
    BadData
        Naming the column and two of the files.
    """
    if windows.reference is None:
        return
    for name in windows.reference.columns:
        seen: dict[str, str] = {}
        for block in windows.reference.blocks:
            profile = block.columns.get(name)
            for kind in profile.kinds - {"null"} if profile is not None else ():
                seen.setdefault(kind, block.block.name)
        if len(seen) > 1:
            (one, first), (other, second) = list(seen.items())[:2]
            raise BadData(
                f"the files of the reference disagree on column {name!r}: {in_words([one])} in {first}, and "
                f"{in_words([other])} in {second}; write it with one type, or leave one of the files out"
            )


def _on_both_sides(reference: Sequence[ObjectInfo], current: Sequence[ObjectInfo]) -> tuple[str, ...]:
    both = sorted({info.uri for info in reference} & {info.uri for info in current})
    if not both:
        return ()
    more = f" and {len(both) - 1} more" if len(both) > 1 else ""
    return (f"On both sides, which hides what has changed: {both[0]}{more}.",)


def find_files(store: Store, where: str) -> list[ObjectInfo]:
    """Return the data files at a path, a folder, a pattern or a URI, sorted.

    Raises
    ------
    NotFound
        If there are none.
    """
    uri = where if "://" in where else f"file://{Path(where).absolute()}"
    pattern_at = next((place for place, char in enumerate(uri) if char in _GLOB), None)
    base = uri.rstrip("/") + "/" if pattern_at is None else uri[: uri.rfind("/", 0, pattern_at) + 1]
    # A file's name may look like a pattern. Not asked of S3, where a listing that is refused says more than a HEAD.
    single = store.head(uri) if not uri.endswith("/") and (pattern_at is None or uri.startswith("file://")) else None
    if single is not None:
        found, pattern_at = [single], None
    elif pattern_at is not None:
        found = [info for info in store.list(base) if fnmatch.fnmatchcase(info.uri, uri)]
    else:
        found = [info for info in store.list(base) if not _hidden(info.uri.removeprefix(base))]
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


def _hidden(path: str) -> bool:
    """Whether a path below a folder is no data: a marker, or what a job has not finished yet."""
    return any(part.startswith(("_", ".")) and "=" not in part for part in path.split("/"))


def _suffix(uri: str) -> str:
    name = uri.rpartition("/")[2].lower().removesuffix(".gz")
    return f".{name.rpartition('.')[2]}" if "." in name else ""


def _command(files: Files) -> str:
    parts = ["modelmonitor", "check", "--reference", files.reference, "--current", files.current]
    for option, column in (("--target", files.target), ("--prediction", files.prediction)):
        parts += [option, column] if column else []
    for option, asked in (("--correlations", files.correlations), ("--ablation", files.ablation)):
        parts += [option] if asked else []
    return shlex.join(parts)
