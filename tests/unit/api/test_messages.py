"""Requests and answers round-trip with any content, and malformed input is rejected."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmonitor_api.messages import (
    MAX_TERMINATION_MESSAGE_BYTES,
    MAX_VERDICT_BYTES,
    CheckRequest,
    CheckVerdict,
    Failure,
    Malformed,
    MetricComparison,
    MonitorRef,
    PromoteRequest,
    RollbackRequest,
    RunVerdict,
    TrainRequest,
    decode_answer,
    decode_request,
    encode,
    encode_answer,
)
from modelmonitor_api.names import FailureReason
from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import Champion, ChampionWatch, FeatureEvidence, RowCounts
from support import monitors

SPEC = parse(
    ModelMonitorSpec,
    {
        "schedule": "0 6 * * *",
        "storage": {"resultsURI": "s3://results/"},
        "data": {"live": {"uri": "s3://data/%Y-%m-%d/"}, "reference": {"start": "2013-01-01", "end": "2013-03-31"}},
        "model": {"task": "Regression", "target": "y", "features": [{"name": "größe", "type": "Numeric"}]},
        "retraining": {"estimator": {"name": "Ridge", "parameters": [{"name": "alpha", "value": "0.5"}]}},
        "promotion": {"metric": "R2"},
    },
)
MONITOR = MonitorRef(namespace="demo", name="flights", uid="0000-1111", generation=3)
NOON = dt.datetime(2013, 4, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "request_",
    [
        CheckRequest(monitor=MONITOR, spec=SPEC, checks_per_day=0.5),
        TrainRequest(
            monitor=MONITOR, spec=SPEC, number=7, reason="DriftDetected", message='with "quotes"', trainer_image="i"
        ),
        RollbackRequest(monitor=MONITOR, spec=SPEC, to="previous"),
        PromoteRequest(monitor=MONITOR, spec=SPEC, version="v7-00000000"),
    ],
    ids=lambda request: request.kind,
)
def test_requests_round_trip(request_: Any) -> None:
    assert decode_request(encode(request_)) == request_


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "EOF"),
        ("[]", "should be an object"),
        ('{"kind": "Delete"}', "does not match any of the expected tags"),
        (
            encode(CheckRequest(monitor=MONITOR, spec=SPEC)).replace('"schemaVersion":1', '"schemaVersion":2'),
            "should be 1",
        ),
        (encode(CheckRequest(monitor=MONITOR, spec=SPEC)).replace('"kind":', '"more":1,"kind":'), "not permitted"),
    ],
)
def test_an_invalid_request_is_rejected_with_a_reason(text: str, reason: str) -> None:
    with pytest.raises(Malformed, match="the request is invalid") as caught:
        decode_request(text)
    assert reason in str(caught.value)


#: Any text that file names, column names and error messages can contain; UTF-8 has no lone surrogates.
hostile = st.text(st.characters(codec="utf-8"), max_size=1024)
short = st.text(st.characters(codec="utf-8"), max_size=64)
plain = st.text(st.sampled_from("abcxyz0189/-_.:"), max_size=200)
times = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1)).map(  # noqa: DTZ001 -- made aware immediately
    lambda time: time.replace(microsecond=0, tzinfo=dt.UTC)
)
rows = st.builds(RowCounts, reference=st.integers(0, 2**53), current=st.integers(0, 2**53))
scores = st.floats(-1e6, 1e6)
champions = st.builds(Champion, version=plain, since=times, metric=plain, score=plain, data_end=times)
evidence = st.builds(FeatureEvidence, name=hostile, effect=plain, p_value=plain, drifted=st.booleans())
checks = st.builds(
    CheckVerdict,
    reason=short,
    message=hostile,
    verdict=st.sampled_from(["NoDrift", "Drift", "Corrupted", "PerformanceDrop", "Inconclusive"]),
    performance_dropped=st.booleans(),
    time=times,
    rows=rows,
    new_rows=st.none() | st.integers(0, 2**53),
    data_end=st.none() | times,
    top_features=st.lists(evidence, max_size=5),
    champion=st.none() | champions,
    report_uri=st.none() | plain,
    result_uri=st.none() | plain,
)
comparisons = st.builds(
    MetricComparison,
    name=plain.map(lambda text: text[:64]),
    champion=st.none() | scores,
    challenger=scores,
    difference=st.none() | scores,
    low=st.none() | scores,
    high=st.none() | scores,
)
runs = st.builds(
    RunVerdict,
    reason=short,
    message=hostile,
    outcome=st.sampled_from(["Promoted", "Rejected", "Inconclusive", "AwaitingApproval", "RolledBack"]),
    version=st.none() | short,
    champion=st.none() | champions,
    comparison=st.none() | comparisons,
    train_rows=st.none() | st.integers(0, 2**53),
    holdout_rows=st.none() | st.integers(0, 2**53),
    report_uri=st.none() | plain,
)
failures = st.builds(Failure, reason=st.sampled_from(FailureReason), message=hostile)


@given(checks | runs | failures)
def test_an_answer_fits_and_keeps_the_result(answer: Any) -> None:
    text = encode_answer(answer)
    assert len(text.encode()) <= MAX_VERDICT_BYTES
    read = decode_answer(text)
    shortened = {"message": read.message}
    if isinstance(answer, CheckVerdict) and isinstance(read, CheckVerdict):
        assert answer.top_features[: len(read.top_features)] == read.top_features
        shortened["top_features"] = read.top_features  # type: ignore[assignment]  # a list among texts
    assert read == answer.model_copy(update=shortened)
    # The message is cut last, from its end.
    printable = "".join(c if c.isprintable() else " " for c in answer.message)
    assert printable.startswith(read.message.removesuffix("…"))
    if read.message != printable and isinstance(read, CheckVerdict):
        assert read.top_features == []


@given(hostile)
def test_a_message_has_no_line_breaks_or_control_characters(message: str) -> None:
    read = decode_answer(encode(Failure(reason=FailureReason.CRASHED, message=message)))
    assert read.message == "" or read.message.isprintable()
    assert len(read.message) == len(message)


def _check(**changes: Any) -> dict[str, Any]:
    wire = CheckVerdict(
        reason="NoDrift", message="Nothing.", verdict="NoDrift", time=NOON, rows=RowCounts(reference=1, current=1)
    ).to_wire()
    return {**wire, **changes}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Killed",
        "null",
        "[" * 2000,
        json.dumps(_check(kind="Delete")),
        json.dumps(_check(schemaVersion=2)),
        json.dumps(_check(verdict="Fine")),
        json.dumps(_check(time="yesterday")),
        json.dumps(_check(message="x" * 1025)),
        json.dumps(_check(reason="x" * 65)),
        json.dumps(_check(rows={"reference": -1, "current": 0})),
        json.dumps(_check(rows={"reference": "many", "current": 0})),
        json.dumps(_check(rows={"reference": 2**63, "current": 0})),
        json.dumps(_check(newRows=10**400)),
        json.dumps(_check(time="9999-12-31T23:59:59Z")),
        json.dumps(_check(time="0001-01-01T00:00:00+01:00")),
        json.dumps(_check(driftOnset="9999-12-31")),
        json.dumps(_check(topFeatures=[{"name": "x", "effect": "1", "pValue": "0"}] * 6)),
        json.dumps(_check()) + " " * MAX_TERMINATION_MESSAGE_BYTES,
        json.dumps(_check(message="ü" * 1000), ensure_ascii=False) + "ü" * 1500,
        json.dumps(_check())[:-1],
    ],
)
def test_an_invalid_answer_is_rejected(text: str) -> None:
    with pytest.raises(Malformed, match="the termination message is"):
        decode_answer(text)


def test_a_time_without_a_zone_is_in_utc() -> None:
    """As the API server reads it; times with and without a zone could not be compared."""
    answer = decode_answer(json.dumps(_check(time="2013-04-02T12:00:00")))
    assert isinstance(answer, CheckVerdict)
    assert answer.time == dt.datetime(2013, 4, 2, 12, tzinfo=dt.UTC)


@given(st.text(max_size=5000) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_other_text_is_rejected_as_malformed(text: str) -> None:
    # Random text is never a valid answer.
    with pytest.raises(Malformed) as caught:
        decode_answer(text)
    assert len(str(caught.value)) < 500


def test_unknown_fields_of_a_newer_version_are_ignored() -> None:
    read = decode_answer(json.dumps(_check(colour="red", rows={"reference": 5, "current": 6, "skipped": 1})))
    assert isinstance(read, CheckVerdict)
    assert read.rows == RowCounts(reference=5, current=6)


def test_nan_is_not_sent() -> None:
    comparison = MetricComparison(name="R2", challenger=float("nan"))
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(RunVerdict(reason="Rejected", message="", outcome="Rejected", comparison=comparison))


def test_the_watch_is_kept_when_an_answer_is_shortened() -> None:
    watch = ChampionWatch(
        champion="v" * 64,
        since=dt.datetime(2013, 4, 2, tzinfo=dt.UTC),
        predecessor="w" * 64,
        metric="RootMeanSquaredError",
        days=28,
        rows=100_000,
        difference="-0.0400",
        low="-0.0600",
        high="-0.0200",
        worse=True,
    )
    answer = monitors.check(watch=watch, message="m" * 1024, report_uri="r" * 700, result_uri="s" * 700)
    text = encode_answer(answer)
    assert len(text.encode()) <= MAX_VERDICT_BYTES
    back = decode_answer(text)
    assert isinstance(back, CheckVerdict)
    assert back.watch == watch


def test_a_verdict_without_a_watch_is_accepted() -> None:
    wire = monitors.check().to_wire()
    assert "watch" not in wire
    back = decode_answer(json.dumps(wire))
    assert isinstance(back, CheckVerdict)
    assert back.watch is None
