"""Requests to pods and their answers: versioned JSON documents.

A pod reads one :data:`Request` from a file and writes one :data:`Answer` to its termination message. Answers are
untrusted input to the operator, which parses them with limits.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modelmonitor_api.outcomes import RunOutcome, Verdict
from modelmonitor_api.reasons import FailureReason, Reason
from modelmonitor_api.resource import Message, Resource
from modelmonitor_api.scores import ServedScore
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import (
    MAX_DECISIONS,
    MAX_TOP_FEATURES,
    Champion,
    ChampionWatch,
    FeatureEvidence,
    FirstTrainingData,
    RecordedDecision,
    RowCounts,
)
from modelmonitor_api.times import Time

SCHEMA_VERSION: Literal[1] = 1

#: The kubelet truncates termination messages at 4096 bytes; a verdict uses at most half of that.
MAX_VERDICT_BYTES = 2048
MAX_TERMINATION_MESSAGE_BYTES = 4096
#: A request is stored in an annotation, and all annotations of an object share 256 KiB.
MAX_REQUEST_BYTES = 200 * 1024

Word = Annotated[str, Field(max_length=64)]
#: Maximum length of a message, in characters.
MAX_SENTENCE = 1024
Sentence = Annotated[str, Field(max_length=MAX_SENTENCE)]
Location = Annotated[str, Field(max_length=1024)]


class MonitorRef(Resource):
    """The monitor that a pod works for."""

    namespace: str = Field(description="Namespace of the monitor.")
    name: str = Field(description="Name of the monitor.")
    uid: str = Field(description="UID of the monitor.")
    generation: int = Field(1, description="Generation of the spec.")
    cluster: str | None = Field(None, description="Identifies the cluster; absent on a command line.", max_length=64)


class _Request(Resource):
    schema_version: Literal[1] = SCHEMA_VERSION
    monitor: MonitorRef = Field(description="The monitor.")
    spec: ModelMonitorSpec = Field(description="Spec of the monitor when the pod was created.")
    decisions: list[RecordedDecision] | None = Field(
        None, description="Newest decisions, which the pod writes to the ledger.", max_length=MAX_DECISIONS
    )


class CheckRequest(_Request):
    """Request to check the live window."""

    kind: Literal["Check"] = "Check"
    checks_per_day: float = Field(
        1.0,
        description="Average number of scheduled checks per day; determines the significance level of one check.",
        gt=0,
    )


class TrainRequest(_Request):
    """Request to train a challenger, compare it with the champion, and promote it if it passes the gate."""

    kind: Literal["Train"] = "Train"
    number: int = Field(description="Number of the training, counted from 1.", ge=1)
    reason: Word = Field(description="Trigger, as a CamelCase reason.")
    message: Sentence = Field("", description="Trigger, in a sentence.")
    trainer_image: str = Field("", description="Image of the training container, recorded with the version.")
    drift_onset: dt.date | None = Field(None, description="First day after the change that the training responds to.")
    pinned: bool = Field(False, description="Whether an annotation pins the champion.")


class RollbackRequest(_Request):
    """Request to make an earlier version the champion again."""

    kind: Literal["Rollback"] = "Rollback"
    to: Word = Field(description="Version to roll back to, or previous.")
    instead_of: Word | None = Field(
        None, description="Champion to replace. If another version is the champion by then, nothing is changed."
    )
    reason: Word = Field(Reason.REQUESTED.value, description="Cause of the rollback, as a CamelCase reason.")
    message: Sentence = Field("", description="Cause of the rollback, in a sentence.")


class PromoteRequest(_Request):
    """Request to make a version the champion."""

    kind: Literal["Promote"] = "Promote"
    version: Word = Field(description="Version to promote.")
    comment: Sentence = Field(
        "", description="Why a person promotes it; required for a version that did not pass the gate."
    )


#: Any request; ``kind`` is the discriminator.
Request: TypeAlias = CheckRequest | TrainRequest | RollbackRequest | PromoteRequest


class _Answer(Message):
    schema_version: Literal[1] = SCHEMA_VERSION
    reason: Word = Field(description="Reason, in one CamelCase word.")
    message: Sentence = Field(description="Explanation in one sentence, with what to change.")


class CheckVerdict(_Answer):
    """The result of a check."""

    kind: Literal["Check"] = "Check"
    verdict: Verdict = Field(description="Verdict of the check.")
    performance_dropped: bool = Field(False, description="Whether the champion's score has dropped significantly.")
    champion_problem: Sentence = Field(
        "", description="Why the champion cannot be loaded or scored; empty if it can, or if that was not tested."
    )
    time: Time = Field(description="Time at which the check was due.")
    rows: RowCounts = Field(description="Numbers of rows compared.")
    new_rows: int | None = Field(
        None, description="Number of rows that have arrived since the champion's training data.", ge=0
    )
    data_end: Time | None = Field(None, description="End of the live window, exclusive.")
    drift_onset: dt.date | None = Field(
        None,
        description="First day after the change: estimated if the live window begins before it, else its first day.",
    )
    first_training: FirstTrainingData | None = Field(
        None, description="What a first training would find, until there is a champion."
    )
    top_features: list[FeatureEvidence] = Field(
        default_factory=list, description="Features with the strongest evidence of drift.", max_length=MAX_TOP_FEATURES
    )
    drifted_features: int | None = Field(
        None, description="Number of columns that have drifted; absent if none were compared.", ge=0
    )
    largest_effect: Word | None = Field(
        None, description="Largest effect of a column, from 0 to 1; absent if none were compared."
    )
    performance: ServedScore | None = Field(
        None, description="Score of the champion on the labelled rows; absent if it was not scored."
    )
    champion: Champion | None = Field(None, description="Champion at the time of the check.")
    watch: ChampionWatch | None = Field(None, description="New champion compared with its predecessor.")
    report_uri: Location | None = Field(None, description="URI of the report page.")
    result_uri: Location | None = Field(None, description="URI of the full result, as JSON.")


class MetricComparison(Message):
    """Scores of champion and challenger on the same rows."""

    name: Word = Field(description="Name of the metric.")
    champion: float | None = Field(None, description="Score of the champion.")
    challenger: float = Field(description="Score of the challenger.")
    difference: float | None = Field(
        None, description="Improvement of the challenger over the champion; negative if it is worse."
    )
    low: float | None = Field(None, description="Lower bound of the confidence interval of the difference.")
    high: float | None = Field(None, description="Upper bound of the confidence interval of the difference.")


class RunVerdict(_Answer):
    """The result of a training, a rollback or a promotion."""

    kind: Literal["Run"] = "Run"
    outcome: RunOutcome = Field(description="Outcome of the run.")
    version: Word | None = Field(None, description="Version that was trained, promoted or rolled back to.")
    champion: Champion | None = Field(None, description="Champion after the run.")
    comparison: MetricComparison | None = Field(None, description="Scores of champion and challenger.")
    train_rows: int | None = Field(None, description="Number of rows in the training data.", ge=0)
    train_end: dt.date | None = Field(None, description="Last day of the training window, included.")
    holdout_rows: int | None = Field(None, description="Number of rows in the hold-out.", ge=0)
    peak_memory_bytes: int | None = Field(None, description="Peak memory of the training.", ge=0)
    report_uri: Location | None = Field(None, description="URI of the report page.")


class Failure(_Answer):
    """The reason why a pod has no result."""

    kind: Literal["Failure"] = "Failure"
    reason: FailureReason = Field(description="Reason, in one CamelCase word.")


#: Any answer; ``kind`` is the discriminator.
Answer: TypeAlias = CheckVerdict | RunVerdict | Failure

_LAZY = ConfigDict(defer_build=True)
_REQUEST: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")], config=_LAZY)
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Annotated[Answer, Field(discriminator="kind")], config=_LAZY)


class Malformed(ValueError):
    """A message that does not match its schema."""


def encode(message: Resource) -> str:
    """Return `message` as compact JSON."""
    return json.dumps(message.to_wire(), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def decode_request(text: str) -> Request:
    """Return the request in `text`.

    Raises
    ------
    Malformed
        If `text` is not a request of a known version.
    """
    try:
        return _REQUEST.validate_json(text)
    except ValidationError as error:
        raise Malformed(f"the request is invalid: {error.errors(include_url=False)[0]['msg']}") from error


def encode_answer(answer: Answer) -> str:
    """Return `answer` as compact JSON of at most MAX_VERDICT_BYTES.

    An answer that is too long is shortened: first the list of features, then optional fields, then the message.
    """
    text = encode(answer)
    while len(text.encode()) > MAX_VERDICT_BYTES and isinstance(answer, CheckVerdict) and answer.top_features:
        answer = answer.model_copy(update={"top_features": answer.top_features[:-1]})
        text = encode(answer)
    if len(text.encode()) > MAX_VERDICT_BYTES and not isinstance(answer, Failure):
        # The URI can be derived from the monitor; the message still states the result without these fields.
        dropped = ("result_uri",) if isinstance(answer, CheckVerdict) else ("comparison",)
        answer = answer.model_copy(update=dict.fromkeys(dropped))
        text = encode(answer)
    while (excess := len(text.encode()) - MAX_VERDICT_BYTES) > 0:
        kept = max(0, len(answer.message) - max(excess, 16))
        answer = answer.model_copy(update={"message": answer.message[:kept] + ("…" if kept else "")})
        text = encode(answer)
        if not kept:
            break
    return text


def decode_answer(text: str) -> Answer:
    """Return the answer in the termination message `text`.

    Raises
    ------
    Malformed
        If `text` is too long, not JSON, or not an answer of a known version.
    """
    if len(text.encode()) > MAX_TERMINATION_MESSAGE_BYTES:
        raise Malformed(f"the termination message is longer than {MAX_TERMINATION_MESSAGE_BYTES} bytes")
    try:
        answer = _ANSWER.validate_json(text)
    except ValidationError as error:
        raise Malformed(
            f"the termination message is not a verdict: {error.errors(include_url=False)[0]['msg']}"
        ) from error
    printable = "".join(c if c.isprintable() else " " for c in answer.message)
    return answer.model_copy(update={"message": printable})
