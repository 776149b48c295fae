"""A draft as a commented YAML file."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from modelmonitor_api.names import API_VERSION, KIND
from modelmonitor_api.spec import DataFormat, FeatureType
from modelmonitor_trainer.draft.columns import Column, Part
from modelmonitor_trainer.draft.monitor import Draft
from modelmonitor_trainer.text import number

_WHY = {
    Part.KEY: "a key",
    Part.TIME: "a time",
    Part.PREDICTION: "a prediction?",
    Part.UNIQUE: "nearly every row has a value of its own",
    Part.UNUSABLE: "not a number, and no category that a model can learn",
    Part.TARGET: "a target?",
    Part.FEATURE: "",
}


def text_of(draft: Draft, fmt: DataFormat, results: str, endpoint: str | None) -> str:
    """Return the YAML of a draft.

    Parameters
    ----------
    draft
        The draft.
    fmt
        Format of the objects.
    results
        Prefix of the results.
    endpoint
        URL of an S3-compatible store; None for AWS and for files.
    """
    return "\n".join(_lines(draft, fmt, results, endpoint)) + "\n"


def _lines(draft: Draft, fmt: DataFormat, results: str, endpoint: str | None) -> Iterator[str]:
    rows, windows = draft.rows, draft.windows
    days = f"{len(rows.days):,} days, {rows.first} through {rows.last}"
    yield f"# Drafted from {days}, of about {draft.rows_per_day:,.0f} rows."
    yield "# Read it once, then: modelmonitor validate, modelmonitor replay, kubectl apply."
    yield f"apiVersion: {API_VERSION}"
    yield f"kind: {KIND}"
    yield f"metadata: {{name: {_word(draft.name)}}}"
    yield "spec:"
    yield '  schedule: "0 6 * * *"  # every day at 06:00; rows of a day are checked once it is over in UTC'
    yield "  timeZone: Etc/UTC"
    yield "  storage:"
    if endpoint:
        yield f"    endpoint: {_word(endpoint)}"
    if results.startswith("s3://"):
        yield "    credentialsSecretRef: {name: s3}  # a Secret in the namespace; or serviceAccountName"
    yield f"    resultsURI: {_word(results)}"
    yield "  data:"
    yield f"    format: {fmt.value}"
    yield f"    live: {{uri: {_quoted(rows.template)}, windowDays: {windows.live}}}"
    if draft.labels is not None and draft.key is not None:
        delay = (
            "labels end so many days before the rows; is that the delay?"
            if draft.delay
            else "raise it if labels come later"
        )
        yield "    labels:"
        yield f"      uri: {_quoted(draft.labels.template)}"
        yield f"      joinKey: {_word(draft.key)}"
        yield f"      delayDays: {draft.delay}  # {delay}"
    yield "  model:"
    yield f"    task: {draft.task.value}"
    yield f"    target: {_word(draft.target)}" + ("  # a guess" if draft.guessed else "")
    if draft.prediction is not None:
        yield f"    predictionColumn: {_word(draft.prediction)}  # logged predictions; remove it if it is a feature"
    yield "    features:  # in comments, what the sample showed; limits make a check fail loudly"
    yield from (f"      {_feature(column)}" for column in draft.features)
    if draft.left_out:
        yield "    # Left out:"
        yield from (f"    #   {column.name}: {column.kind}, {_WHY[column.part]}" for column in draft.left_out)
    yield "  sensitivity:"
    yield "    falseAlarms: {count: 1, perDays: 90}"
    yield "  triggers:"
    yield "    onDrift: true"
    yield "    onPerformance: true"
    yield f"    everyDays: {windows.every}"
    yield "  retraining:"
    yield f"    windowDays: {windows.train}"
    yield "    estimator:"
    yield f"      name: {draft.estimator.value}"
    yield "  promotion:"
    yield f"    metric: {draft.metric.value}"
    yield f"    holdoutDays: {windows.holdout}"


def _feature(column: Column) -> str:
    assert column.type is not None
    nullable = "" if column.nulls else ", nullable: false"
    text = f"- {{name: {_word(column.name)}, type: {column.type.value}{nullable}}}"
    remarks = []
    if column.type is FeatureType.NUMERIC and column.low is not None and column.high is not None:
        remarks.append(f"{number(column.low)} to {number(column.high)}")
    elif column.values:
        shown = ", ".join(value[:30] for value in column.values[:4])
        remarks.append(f"{column.distinct:,} values: {shown}{', …' if column.distinct > 4 else ''}")
    if column.nulls:
        remarks.append(f"{100 * column.nulls:.1f} % missing")
    if column.part is Part.TARGET:
        remarks.append("remove it if it is an outcome")
    remark = "; ".join(remarks).replace("\n", " ")
    return f"{text}  # {remark}" if remark else text


def _word(value: str) -> str:
    """Return text as a YAML scalar that is safe inside braces."""
    plain = (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000).strip().removesuffix("\n...")
    )
    return plain if not any(char in value for char in "{}[],#&*!|>'\"%@`: ") else _quoted(value)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
