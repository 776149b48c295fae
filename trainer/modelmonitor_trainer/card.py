"""The model card of a version: what it is, what it learnt from, how it was judged."""

from __future__ import annotations

from modelmonitor_trainer.gate import GateResult
from modelmonitor_trainer.manifest import Manifest
from modelmonitor_trainer.registry import Version


def model_card(version: Version, manifest: Manifest, result: GateResult) -> str:
    """Return the card in Markdown."""
    objects = sum(len(day.objects) for day in (*manifest.features, *manifest.labels))
    lines = [
        f"# {version.version}",
        "",
        f"{version.outcome} ({version.reason}): {version.message}",
        "",
        "## Data",
        "",
        f"- Trained on {version.train_rows} rows of {version.train_start} to {version.train_end}.",
        f"- Judged on {result.rows} later rows of {manifest.holdout_start} to {manifest.holdout_end}.",
        f"- {objects} objects, frozen in manifest.json (SHA-256 {version.manifest_sha256}).",
        "",
        "## Scores",
        "",
        f"| {version.metric} | value |",
        "|---|---|",
        f"| this version | {_number(result.challenger)} |",
        f"| champion {version.compared_with or '(none)'} | {_number(result.champion)} |",
        f"| trivial model | {_number(result.baseline)} |",
        *[
            f"| {_plain(one.column)} = {_plain(one.value)} ({one.rows} rows) | {_number(one.challenger)} |"
            for one in result.slices
        ],
        "",
        "## To make it again",
        "",
        f"- Seed {version.seed}; trainer image `{version.trainer_image or 'none'}`.",
        "- " + ", ".join(f"{name} {number}" for name, number in version.libraries.items()) + ".",
        "- The declared estimator and features are in version.json, under parameters.",
        "",
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _plain(text: str) -> str:
    """Return text from data so that it cannot break out of a table."""
    return "".join(c if c.isprintable() else " " for c in text).replace("|", "\\|").replace("<", "&lt;")
