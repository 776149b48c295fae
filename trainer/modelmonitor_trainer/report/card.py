"""The model card of a version: what it is, what it learnt from, how it was judged, how to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelmonitor_trainer.gate.verdict import GateResult
from modelmonitor_trainer.model.metrics import title
from modelmonitor_trainer.registry.versions import VersionRecord
from modelmonitor_trainer.report.check_page import render_page

_TONES = {"Passed": "good", "Rejected": "bad", "Inconclusive": "unsure"}


def model_card(record: VersionRecord, result: GateResult, environment: Mapping[str, Any], notes: Sequence[str]) -> str:
    """Return the card in Markdown.

    Parameters
    ----------
    record
        The version.
    result
        What the gate said.
    environment
        What environment.json holds.
    notes
        What the fit had to say.
    """
    return "\n".join(_lines(record, result, environment, notes)) + "\n"


def model_card_page(
    record: VersionRecord, result: GateResult, environment: Mapping[str, Any], notes: Sequence[str]
) -> str:
    """Return the card as a page of its own; parameters as for :func:`model_card`."""
    return render_page(
        "card.html.j2",
        {
            "title": f"Model card of {record.version}",
            "tone": _TONES[record.outcome],
            "heading": f"Model card of {record.version}",
            "sentence": f"{record.outcome} ({record.reason}): {record.message}",
            "subtitle": f"Predicts {record.target} ({record.task}) from {len(record.features)} features. Made "
            f"{record.created:%Y-%m-%d %H:%M} UTC, triggered by {record.trigger}.",
            "record": record,
            "result": result,
            "metric": title(record.metric),
            "scores": list(_scores(record, result)),
            "notes": notes,
            "recipe": list(_recipe(record, environment)),
        },
    )


def _lines(
    record: VersionRecord, result: GateResult, environment: Mapping[str, Any], notes: Sequence[str]
) -> Iterator[str]:
    yield f"# {record.version}"
    yield ""
    yield f"Predicts `{_plain(record.target)}` ({record.task}) from {len(record.features)} features."
    yield ""
    yield f"**{record.outcome}** ({record.reason}): {_plain(record.message)}"
    yield from ("", "## Data", "")
    yield f"- Trained on {record.train.rows:,} labelled rows of {record.train.start} to {record.train.end}."
    yield f"- Judged on {record.holdout.rows:,} later rows of {record.holdout.start} to {record.holdout.end}."
    yield f"- The objects are in manifest.json, SHA-256 `{record.manifest_sha256}`."
    yield from ("", "## Scores", "", f"| | {title(record.metric)} |", "|---|---|")
    for name, value in _scores(record, result):
        yield f"| {_plain(name)} | {_number(value)} |"
    yield from ("", "## What the gate looked at", "")
    words = {True: "yes", False: "no", None: "cannot be told"}
    for check in result.checks:
        yield f"- {check.name}: {words[check.passed]}. {_plain(check.sentence)}."
    if notes:
        yield from ("", "## Notes", "")
        yield from (f"- {_plain(note)}" for note in notes)
    yield from ("", "## To make it again", "")
    yield from (f"- {name}: `{_plain(value)}`" for name, value in _recipe(record, environment))
    yield "- Parameters and features are in parameters.json."


def _scores(record: VersionRecord, result: GateResult) -> Iterator[tuple[str, float | None]]:
    yield "this version", record.score
    if result.champion is not None:
        yield f"champion {record.compared_with}", result.champion.champion
    if result.baseline is not None:
        yield "trivial model", result.baseline.champion
    if result.last_period is not None:
        yield "trivial model of the last days", result.last_period.champion
    for part in result.slices:
        if part.decides:
            yield f"{part.column} = {part.value} ({part.rows:,} rows)", part.challenger


def _recipe(record: VersionRecord, environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return what the version was made with, and the sums by which a copy is known."""
    if record.strategy is not None:
        yield "Strategy", record.strategy
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


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _plain(text: str) -> str:
    """Return text from data so that it stays text in Markdown."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\|`*_[]":
        shown = shown.replace(mark, "\\" + mark)
    return shown.replace("<", "&lt;")
