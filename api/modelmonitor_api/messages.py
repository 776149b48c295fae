"""The documents that pass between the operator and its pods, as versioned JSON.

A pod is given one :class:`CheckRequest`, :class:`TrainRequest`, :class:`RollbackRequest` or
:class:`PromoteRequest` in a file, and leaves one :class:`CheckVerdict`, :class:`RunVerdict`
or :class:`Failure` as its termination message. The operator trusts none of the latter: they
are parsed with limits.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from modelmonitor_api.names import FailureReason
from modelmonitor_api.resource import Message, Resource
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import MAX_TOP_FEATURES, Champion, ChampionWatch, FeatureEvidence, RowCounts, Time

SCHEMA_VERSION: Literal[1] = 1

#: The kubelet keeps 4096 bytes of a termination message; we stay at half of it.
MAX_VERDICT_BYTES = 2048
MAX_TERMINATION_MESSAGE_BYTES = 4096
#: A request is an annotation, and all annotations of an object share 256 KiB.
MAX_REQUEST_BYTES = 200 * 1024

Word = Annotated[str, Field(max_length=64)]
#: Characters of a sentence for a human.
MAX_SENTENCE = 1024
Sentence = Annotated[str, Field(max_length=MAX_SENTENCE)]
Location = Annotated[str, Field(max_length=1024)]


class MonitorRef(Resource):
    """Which monitor a pod works for."""

    namespace: str = Field(description="Namespace of the monitor.")
    name: str = Field(description="Name of the monitor.")
    uid: str = Field(description="UID of the monitor.")
    generation: int = Field(1, description="Generation of the spec.")


class _Request(Resource):
    schema_version: Literal[1] = SCHEMA_VERSION
    monitor: MonitorRef = Field(description="The monitor.")
    spec: ModelMonitorSpec = Field(description="Its spec when the pod was created.")


class CheckRequest(_Request):
    """Check the live window."""

    kind: Literal["Check"] = "Check"
    checks_per_day: float = Field(1.0, description="How often the schedule checks, from which the level follows.", gt=0)


class TrainRequest(_Request):
    """Train a challenger, compare it with the champion, promote it if it passes."""

    kind: Literal["Train"] = "Train"
    number: int = Field(description="Number of the decision.", ge=1)
    reason: Word = Field(description="What triggered it.")
    message: Sentence = Field("", description="Why, in a sentence.")
    trainer_image: str = Field("", description="Image that trains, for the record.")


class RollbackRequest(_Request):
    """Make an earlier version the champion again."""

    kind: Literal["Rollback"] = "Rollback"
    to: Word = Field(description="Version, or 'previous'.")
    instead_of: Word | None = Field(
        None, description="The champion that this is about; where it is another by then, nothing is done."
    )
    reason: Word = Field("Requested", description="Why, in one CamelCase word.")
    message: Sentence = Field("", description="Why, in a sentence.")


class PromoteRequest(_Request):
    """Make a version that awaits approval the champion."""

    kind: Literal["Promote"] = "Promote"
    version: Word = Field(description="Version.")


Request = Annotated[CheckRequest | TrainRequest | RollbackRequest | PromoteRequest, Field(discriminator="kind")]


class _Answer(Message):
    schema_version: Literal[1] = SCHEMA_VERSION
    reason: Word = Field(description="Why, in one CamelCase word.")
    message: Sentence = Field(description="Why, in a sentence a human can act on.")


class CheckVerdict(_Answer):
    """What a check found."""

    kind: Literal["Check"] = "Check"
    verdict: Literal["NoDrift", "Drift", "Corrupted", "Inconclusive"] = Field(description="The verdict.")
    performance_dropped: bool = Field(False, description="Whether the champion's score has dropped.")
    time: Time = Field(description="When the check was due.")
    rows: RowCounts = Field(description="How many rows were compared.")
    new_rows: int | None = Field(None, description="Rows since the champion's training data.", ge=0)
    data_end: Time | None = Field(None, description="End of the live window.")
    top_features: list[FeatureEvidence] = Field(default_factory=list, max_length=MAX_TOP_FEATURES)
    champion: Champion | None = Field(None, description="The champion that the check found.")
    watch: ChampionWatch | None = Field(None, description="The champion beside the version before it.")
    report_uri: Location | None = Field(None, description="Report page.")
    result_uri: Location | None = Field(None, description="The whole result, as JSON.")


class MetricComparison(Message):
    """Champion and challenger on the same rows."""

    name: Word = Field(description="Metric.")
    champion: float | None = Field(None, description="Score of the champion.")
    challenger: float = Field(description="Score of the challenger.")
    difference: float | None = Field(None, description="How much better the challenger is; negative is worse.")
    low: float | None = Field(None, description="Lower end of the interval of the difference.")
    high: float | None = Field(None, description="Upper end of the interval of the difference.")


class RunVerdict(_Answer):
    """How a training, a rollback or a promotion ended."""

    kind: Literal["Run"] = "Run"
    outcome: Literal["Promoted", "Rejected", "Inconclusive", "AwaitingApproval", "RolledBack"] = Field(
        description="The outcome."
    )
    version: Word | None = Field(None, description="Version concerned.")
    champion: Champion | None = Field(None, description="The champion afterwards.")
    comparison: MetricComparison | None = Field(None, description="Champion and challenger on the same rows.")
    train_rows: int | None = Field(None, description="Rows trained on.", ge=0)
    holdout_rows: int | None = Field(None, description="Rows compared on.", ge=0)
    report_uri: Location | None = Field(None, description="Report page.")


class Failure(_Answer):
    """Why a pod could not do its work."""

    kind: Literal["Failure"] = "Failure"
    reason: FailureReason = Field(description="Why, in one CamelCase word.")


Answer = Annotated[CheckVerdict | RunVerdict | Failure, Field(discriminator="kind")]

_LATER = ConfigDict(defer_build=True)
_REQUEST: TypeAdapter[Request] = TypeAdapter(Request, config=_LATER)
_ANSWER: TypeAdapter[Answer] = TypeAdapter(Answer, config=_LATER)


class Malformed(ValueError):
    """A message that does not follow its contract."""


def encode(message: Resource) -> str:
    """Return `message` as compact JSON."""
    return json.dumps(message.to_wire(), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def decode_request(text: str) -> CheckRequest | TrainRequest | RollbackRequest | PromoteRequest:
    """Return the request in `text`.

    Raises
    ------
    Malformed
        Where it is not a request of a version that we know.
    """
    try:
        return _REQUEST.validate_json(text)
    except ValidationError as error:
        raise Malformed(f"the request cannot be read: {error.errors(include_url=False)[0]['msg']}") from error


def encode_answer(answer: CheckVerdict | RunVerdict | Failure) -> str:
    """Return `answer` as compact JSON of at most MAX_VERDICT_BYTES.

    What is too long is shortened: first the list of features, then the sentence.
    """
    text = encode(answer)
    while len(text.encode()) > MAX_VERDICT_BYTES and isinstance(answer, CheckVerdict) and answer.top_features:
        answer = answer.model_copy(update={"top_features": answer.top_features[:-1]})
        text = encode(answer)
    if len(text.encode()) > MAX_VERDICT_BYTES and not isinstance(answer, Failure):
        # Locations follow from the monitor's own fields; a message without them still tells what was found.
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


def decode_answer(text: str) -> CheckVerdict | RunVerdict | Failure:
    """Return the answer that a pod left.

    Raises
    ------
    Malformed
        Where it is too long, not JSON, or not an answer of a version that we know.
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
