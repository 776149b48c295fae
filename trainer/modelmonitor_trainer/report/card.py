"""The model card of a version: what it is, what it learnt from, how it was judged, how to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelmonitor_trainer.gate.verdict import GateResult
from modelmonitor_trainer.model.metrics import title
from modelmonitor_trainer.registry.versions import VersionRecord


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
    yield f"| this version | {_number(record.score)} |"
    if result.champion is not None:
        yield f"| champion {record.compared_with} | {_number(result.champion.champion)} |"
    if result.baseline is not None:
        yield f"| trivial model | {_number(result.baseline.champion)} |"
    for part in result.slices:
        if part.decides:
            yield f"| {_plain(part.column)} = {_plain(part.value)} ({part.rows:,} rows) | {_number(part.challenger)} |"
    yield from ("", "## What the gate looked at", "")
    words = {True: "yes", False: "no", None: "cannot be told"}
    for check in result.checks:
        yield f"- {check.name}: {words[check.passed]}. {_plain(check.sentence)}."
    if notes:
        yield from ("", "## Notes", "")
        yield from (f"- {_plain(note)}" for note in notes)
    yield from ("", "## To make it again", "")
    yield f"- Seed {record.seed}; image `{_plain(record.image) or 'not recorded'}`."
    yield "- " + ", ".join(f"{name} {version}" for name, version in environment["libraries"].items()) + "."
    yield "- Parameters and features are in parameters.json."


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _plain(text: str) -> str:
    """Return text from data so that it stays text in Markdown."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    for mark in "\\|`*_[]":
        shown = shown.replace(mark, "\\" + mark)
    return shown.replace("<", "&lt;")
