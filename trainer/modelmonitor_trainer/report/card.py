"""The model card of a version: what it is, what it learnt from, how it was judged, how to use it and make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelmonitor_api.spec import Feature
from modelmonitor_trainer.registry.layout import MODEL_FILE, MODEL_FOLDER
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.report.check_page import render_page

_TONES = {"Passed": "good", "Rejected": "bad", "Inconclusive": "unsure"}
_ANSWERS = {True: "yes", False: "no", None: "cannot be told"}
#: Slices that a card lists, those that got worst first; the page of the training has all.
_SLICES = 20


@dataclass(frozen=True)
class Section:
    """A part of the card: a table, or sentences where there are no columns.

    Attributes
    ----------
    title
        Its heading.
    columns
        Headings of the table.
    rows
        Its cells, or one sentence each.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def model_card(
    record: VersionRecord, found: Mapping[str, Any], environment: Mapping[str, Any], parameters: Mapping[str, Any]
) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    record
        The version.
    found
        What comparison.json holds.
    environment, parameters
        What the files of these names hold.
    """
    lines = [f"# {record.version}", "", _plain(_subtitle(record)), "", f"**{record.outcome}** ({record.reason}): "]
    lines[-1] += _plain(record.message)
    for section in _sections(record, found, environment, parameters):
        lines += ["", f"## {section.title}", ""]
        if not section.columns:
            lines += [f"- {_plain(row[0])}" for row in section.rows]
            continue
        lines += ["| " + " | ".join(section.columns) + " |", "|---" * len(section.columns) + "|"]
        lines += ["| " + " | ".join(_plain(cell) for cell in row) + " |" for row in section.rows]
    return "\n".join(lines) + "\n"


def model_card_page(
    record: VersionRecord, found: Mapping[str, Any], environment: Mapping[str, Any], parameters: Mapping[str, Any]
) -> str:
    """Return the card as a page of its own; parameters as for :func:`model_card`."""
    return render_page(
        "card.html.j2",
        {
            "title": f"Model card of {record.version}",
            "tone": _TONES[record.outcome],
            "heading": f"Model card of {record.version}",
            "sentence": f"{record.outcome} ({record.reason}): {record.message}",
            "subtitle": _subtitle(record),
            "sections": list(_sections(record, found, environment, parameters)),
        },
    )


def _subtitle(record: VersionRecord) -> str:
    return (
        f"Predicts {record.target} ({record.task}) from {len(record.features)} features. Made "
        f"{record.created:%Y-%m-%d %H:%M} UTC, triggered by {record.trigger}."
    )


def _sections(
    record: VersionRecord, found: Mapping[str, Any], environment: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Iterator[Section]:
    """Yield the sections that have something to say."""
    checks = ((check["name"], _ANSWERS[check["passed"]], check["sentence"]) for check in found["checks"])
    made = [
        Section("Data", (), _sentences(_data(record, found))),
        Section("Scores on the later rows", ("", "this version", "champion", "trivial model"), tuple(_scores(found))),
        Section("What the gate looked at", ("Question", "Answer", "Figures"), tuple(checks)),
        Section("Slices", ("", "Rows", "champion", "this version", "Difference"), tuple(_slices(found))),
        Section(
            "Features", ("Name", "Type", "May be NULL", "Legitimate values"), tuple(map(_feature, record.features))
        ),
        Section("Parameters", ("", ""), tuple(_parameters(record, parameters))),
        Section("To know before it is used", (), _sentences(_limits(found, parameters))),
        Section("To use it", (), _sentences(_use(record))),
        Section("To make it again", ("", ""), tuple(_recipe(record, environment))),
    ]
    yield from (section for section in made if section.rows)


def _sentences(found: Iterator[str]) -> tuple[tuple[str, ...], ...]:
    return tuple((sentence,) for sentence in found)


def _data(record: VersionRecord, found: Mapping[str, Any]) -> Iterator[str]:
    yield f"Trained on {record.train.rows:,} labelled rows of {record.train.start} to {record.train.end}."
    yield f"Judged on {record.holdout.rows:,} later rows of {record.holdout.start} to {record.holdout.end}."
    for window, what in zip(found["windows"], ("the training window", "the later rows"), strict=True):
        without = window["unlabelled"] + window.get("immature", 0)
        if without:
            yield f"Of {what} {without:,} more rows had no label, or too few of their day had one, and took no part."
    yield f"The objects are in manifest.json, SHA-256 {record.manifest_sha256}."


def _scores(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    against = found["champion"]
    for row in found["metrics"]:
        name = row["metric"]
        if name == found["metricTitle"] and against is not None:
            low, high = against["low"], against["high"]
            name += f" (decides; {against['value']:+.4f}, {low:+.4f} to {high:+.4f} at {100 * found['confidence']:g} %)"
        yield name, *(_number(row[model]) for model in ("challenger", "champion", "baseline"))
    for name, key in (("expected calibration error", "error"), ("bias", "bias")):
        models = [found["calibration"].get(model) or {} for model in ("challenger", "champion")]
        if models[0].get(key) is not None:
            yield name, *(_number(model.get(key)) for model in models), ""


def _slices(found: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    deciding = sorted((part for part in found["slices"] if part["decides"]), key=lambda part: part["difference"])
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


def _limits(found: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[str]:
    yield from parameters.get("notes") or ()
    few = [part for part in found["slices"] if not part["decides"]]
    if few:
        yield f"On {len(few):,} slices with too few rows nothing is known of it."
    yield "Its scores are of the days that it was judged on; checks say how it does since."


def _use(record: VersionRecord) -> Iterator[str]:
    if record.kind == "Own":
        yield f"Its files are under {MODEL_FOLDER}; the image that made it can ask it."
        return
    yield (
        f"{MODEL_FILE} is a scikit-learn pipeline; its SHA-256 is in version.json. skops.io.load reads it with the "
        "types that skops.io.get_untrusted_types names, after a look at them."
    )
    yield (
        "It takes a data frame with the features in this order: numbers, with NaN for what is missing, and text, with "
        "None for it."
    )


def _recipe(record: VersionRecord, environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return what the version was made with, and the sums by which a copy is known."""
    yield "Seed", str(record.seed)
    yield "Image", record.image or "not recorded"
    yield from environment["libraries"].items()
    if record.train_seconds is not None:
        peak = record.peak_memory_bytes
        memory = f", {peak / 2**20:,.0f} MiB at most" if peak is not None else ""
        yield "Took", f"{record.train_seconds:.1f} s{memory}"
    if record.fitted_sha256 is not None:
        yield "SHA-256 of what was fitted", record.fitted_sha256
    yield "SHA-256 of its scores of the hold-out rows", record.predictions_sha256
    yield "SHA-256 of all code that was installed", environment["installedSHA256"]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _plain(text: str) -> str:
    """Return text from data so that it stays text in Markdown."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\|`*_[]":
        shown = shown.replace(mark, "\\" + mark)
    return shown.replace("<", "&lt;")
