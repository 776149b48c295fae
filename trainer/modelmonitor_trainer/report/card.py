"""Model card of a version: training data, evaluation, limitations, usage, and how to reproduce it.

The sections follow M. Mitchell et al.: Model cards for model reporting. FAT* 2019, 220-229.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.outcomes import ModelKind
from modelmonitor_api.spec import Feature
from modelmonitor_trainer.registry.layout import MODEL_FILE, MODEL_FOLDER
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.report.check_page import render_page

_TONES = {"Passed": "good", "Rejected": "bad", "Inconclusive": "unsure"}
_ANSWERS = {True: "yes", False: "no", None: "unknown"}
#: Slices in a card, the worst first; the report page of the training has more.
_SLICES = 20


@dataclass(frozen=True)
class Section:
    """A section of the card: a table, or sentences if it has no columns.

    Attributes
    ----------
    title
        Heading of the section.
    columns
        Headings of the table.
    rows
        Cells of the table, or one sentence each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def model_card(
    record: VersionRecord, evidence: Mapping[str, Any], environment: Mapping[str, Any], parameters: Mapping[str, Any]
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    record
        Record of the version.
    evidence
        Contents of ``comparison.json``.
    environment, parameters
        Contents of the files of these names.
    """
    lines = [f"# {record.version}", "", _plain(_subtitle(record)), "", f"**{record.outcome}** ({record.reason}): "]
    lines[-1] += _plain(record.message)
    for section in _sections(record, evidence, environment, parameters):
        lines += ["", f"## {section.title}", ""]
        if not section.columns:
            lines += [f"- {_plain(row[0])}" for row in section.rows]
            continue
        lines += ["| " + " | ".join(section.columns) + " |", "|---" * len(section.columns) + "|"]
        lines += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in section.rows]
    return "\n".join(lines) + "\n"


def model_card_page(
    record: VersionRecord, evidence: Mapping[str, Any], environment: Mapping[str, Any], parameters: Mapping[str, Any]
) -> str:
    """Return the card as an HTML page; parameters as for :func:`model_card`."""
    return render_page(
        "card.html.j2",
        {
            "title": f"Model card of {record.version}",
            "tone": _TONES[record.outcome],
            "heading": f"Model card of {record.version}",
            "sentence": f"{record.outcome} ({record.reason}): {record.message}",
            "subtitle": _subtitle(record),
            "sections": list(_sections(record, evidence, environment, parameters)),
        },
    )


def _subtitle(record: VersionRecord) -> str:
    return (
        f"Predicts {record.target} ({record.task}) from {len(record.features)} features. Created "
        f"{record.created:%Y-%m-%d %H:%M} UTC, triggered by {record.trigger}."
    )


def _sections(
    record: VersionRecord, evidence: Mapping[str, Any], environment: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Iterator[Section]:
    """Yield the sections that are not empty."""
    checks = ((check["name"], _ANSWERS[check["passed"]], check["sentence"]) for check in evidence["checks"])
    sections = [
        Section("Data", (), _sentences(_data(record, evidence))),
        Section("Scores on the hold-out", ("", "this version", "champion", "baseline"), tuple(_scores(evidence))),
        Section("Promotion gate", ("Criterion", "Passed", "Figures"), tuple(checks)),
        Section("Slices", ("", "Rows", "champion", "this version", "Difference"), tuple(_slices(evidence))),
        Section("Features", ("Name", "Type", "Nullable", "Allowed values"), tuple(map(_feature, record.features))),
        Section("Parameters", ("", ""), tuple(_parameters(record, parameters))),
        Section("Limitations", (), _sentences(_limitations(evidence, parameters))),
        Section("Usage", (), _sentences(_use(record))),
        Section("Reproduction", ("", ""), tuple(_recipe(record, environment))),
    ]
    yield from (section for section in sections if section.rows)


def _sentences(sentences: Iterator[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((sentence,) for sentence in sentences)


def _data(record: VersionRecord, evidence: Mapping[str, Any]) -> Iterator[str]:
    yield f"Trained on {record.train.rows:,} labelled rows of {record.train.start} through {record.train.end}."
    yield from filter(None, (record.describe_final_fit(), record.describe_change()))
    yield f"Evaluated on {record.holdout.rows:,} later rows of {record.holdout.start} through {record.holdout.end}."
    for window, name in zip(evidence["windows"], ("the training window", "the hold-out"), strict=True):
        without = window["unlabelled"] + window.get("immature", 0)
        if without:
            yield f"{without:,} more rows of {name} had no mature label and were left out."
    yield f"The objects are listed in manifest.json, SHA-256 {record.manifest_sha256}."


def _scores(evidence: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    difference = evidence["champion"]
    for row in evidence["metrics"]:
        name = row["metric"]
        if name == evidence["metricTitle"] and difference is not None:
            low, high, confidence = difference["low"], difference["high"], 100 * evidence["confidence"]
            name += f" (decides; {difference['value']:+.4f}, {low:+.4f} to {high:+.4f} at {confidence:g}%)"
        yield name, *(_number(row[model]) for model in ("challenger", "champion", "baseline"))
    for name, key in (("expected calibration error", "error"), ("bias", "bias")):
        models = [evidence["calibration"].get(model) or {} for model in ("challenger", "champion")]
        if models[0].get(key) is not None:
            yield name, *(_number(model.get(key)) for model in models), ""


def _slices(evidence: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    deciding = sorted((part for part in evidence["slices"] if part["decides"]), key=lambda part: part["difference"])
    for part in deciding[:_SLICES]:
        figures = (part["champion"], part["challenger"])
        difference = f"{part['difference']:+.4f}{', worse' if part['worse'] else ''}"
        yield f"{part['column']} = {part['value']}", f"{part['rows']:,}", *map(_number, figures), difference


def _feature(feature: Feature) -> tuple[str, ...]:
    values = ", ".join(feature.allowed_values or ())
    if feature.minimum is not None or feature.maximum is not None:
        ends = ("…" if end is None else str(end) for end in (feature.minimum, feature.maximum))
        values = " to ".join(ends)
    return feature.name, feature.type.value, "yes" if feature.nullable else "no", values or "any"


def _parameters(record: VersionRecord, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Estimator", str((parameters.get("estimator") or {}).get("name") or f"image {record.image or '(unnamed)'}")
    if record.strategy is not None:
        yield "Strategy", record.strategy
    yield from ((name, str(value)) for name, value in (parameters.get("effectiveParameters") or {}).items())
    if record.classes:
        yield "Classes", ", ".join(record.classes)


def _limitations(evidence: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
    yield from parameters.get("notes") or ()
    few = [part for part in evidence["slices"] if not part["decides"]]
    if few:
        yield f"It was not evaluated on {len(few):,} slices with too few rows."
    yield "The scores are those of the hold-out days; checks report how it performs since."


def _use(record: VersionRecord) -> Iterator[str]:
    if record.kind == ModelKind.CUSTOM:
        yield f"Its files are in {MODEL_FOLDER}; the trainer image that created them can predict with them."
        return
    yield (
        f"{MODEL_FILE} is a scikit-learn pipeline; its SHA-256 is in version.json. load it with skops.io.load, "
        "after reviewing the types that skops.io.get_untrusted_types lists."
    )
    yield (
        "Its input is a data frame with the features in this order: numbers, with NaN for missing values, and text, "
        "with None for missing values."
    )


def _recipe(record: VersionRecord, environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the settings of the training, and the digests that a reproduced version has."""
    yield "Seed", str(record.seed)
    yield "Image", record.image or "not recorded"
    yield from environment["libraries"].items()
    if record.train_seconds is not None:
        peak = record.peak_memory_bytes
        memory = f", peak memory {peak / 2**20:,.0f} MiB" if peak is not None else ""
        yield "Duration", f"{record.train_seconds:.1f} s{memory}"
    if record.fitted_sha256 is not None:
        yield "SHA-256 of the fitted parameters", record.fitted_sha256
    yield "SHA-256 of its scores on the hold-out", record.predictions_sha256
    yield "SHA-256 of all installed code", environment["installedSHA256"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _plain(text: str) -> str:
    """Escape text from data for Markdown."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\|`*_[]":
        shown = shown.replace(mark, "\\" + mark)
    return shown.replace("<", "&lt;")
