"""A draft as a commented YAML file."""

from __future__ import annotations

import math
from collections.abc import Iterator

import yaml

from modelmonitor_api.names import API_VERSION, KIND
from modelmonitor_api.spec import DataFormat, FeatureType
from modelmonitor_trainer.draft.columns import Column, ColumnUse
from modelmonitor_trainer.draft.monitor import Draft
from modelmonitor_trainer.text import number, printable

_WHY = {
    ColumnUse.KEY: "a key",
    ColumnUse.TIME: "a time",
    ColumnUse.PREDICTION: "a prediction?",
    ColumnUse.UNIQUE: "nearly every row has a value of its own",
    ColumnUse.UNUSABLE: "not a number, and no category that a model can learn",
    ColumnUse.TARGET: "a target?",
    ColumnUse.FEATURE: "",
}


def render_yaml(draft: Draft, fmt: DataFormat, results: str, endpoint: str | None) -> str:
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
    yield "# Review it, then: modelmonitor validate, modelmonitor replay, kubectl apply."
    yield f"apiVersion: {API_VERSION}"
    yield f"kind: {KIND}"
    yield f"metadata: {{name: {_scalar(draft.name)}}}"
    yield "spec:"
    yield '  schedule: "0 6 * * *"  # every day at 06:00; rows of a day are checked once it is over in UTC'
    yield "  timeZone: Etc/UTC"
    yield "  storage:"
    if endpoint:
        yield f"    endpoint: {_scalar(endpoint)}"
    if results.startswith("s3://"):
        yield "    credentialsSecretRef: {name: s3}  # a Secret in the namespace; or serviceAccountName"
    yield f"    resultsURI: {_scalar(results)}"
    yield "  data:"
    yield f"    format: {fmt.value}"
    yield f"    live: {{uri: {_quote(rows.template)}, windowDays: {windows.live}}}"
    if draft.labels is not None and draft.key is not None:
        delay = (
            "labels end this many days before the rows; is that the delay?"
            if draft.delay
            else "raise it if labels come later"
        )
        yield "    labels:"
        yield f"      uri: {_quote(draft.labels.template)}"
        yield f"      joinKey: {_scalar(draft.key)}"
        yield f"      delayDays: {draft.delay}  # {delay}"
    yield "  model:"
    yield f"    task: {draft.task.value}"
    yield f"    target: {_scalar(draft.target)}" + ("  # a guess" if draft.guessed else "")
    if draft.prediction is not None:
        yield f"    predictionColumn: {_scalar(draft.prediction)}  # logged predictions; remove it if it is a feature"
    yield "    features:  # in comments, what the sample showed; limits make a check fail loudly"
    yield from (f"      {_feature(column)}" for column in draft.features)
    if draft.left_out:
        yield "    # Left out:"
        yield from (f"    #   {printable(column.name)}: {column.kind}, {_WHY[column.use]}" for column in draft.left_out)
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
    text = f"- {{name: {_scalar(column.name)}, type: {column.type.value}{nullable}}}"
    remarks = []
    if column.type is FeatureType.NUMERIC and column.low is not None and column.high is not None:
        remarks.append(f"{number(column.low)} to {number(column.high)}")
    elif column.values:
        shown = ", ".join(value[:30] for value in column.values[:4])
        remarks.append(f"{column.distinct:,} values: {shown}{', …' if column.distinct > 4 else ''}")
    if column.nulls:
        remarks.append(f"{100 * column.nulls:.1f} % missing")
    if column.use is ColumnUse.TARGET:
        remarks.append("remove it if it is an outcome")
    # A line break in a value would end the comment.
    return f"{text}  # {printable('; '.join(remarks))}" if remarks else text


def _scalar(value: str) -> str:
    """Return text as a YAML scalar that is safe inside braces."""
    unsafe = any(char in value for char in "{}[],#&*!|>'\"%@`: ") or not value.isprintable()
    # kubectl reads y and n as booleans, and 1e3 as a number; PyYAML does not.
    if unsafe or value in {"y", "Y", "n", "N"} or value[:1] in set("0123456789+-."):
        return _quote(value)
    return _dump(value)


def _quote(value: str) -> str:
    return _dump(value, style='"')


def _dump(value: str, style: str | None = None) -> str:
    text: str = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=math.inf)
    return text.strip().removesuffix("\n...")
