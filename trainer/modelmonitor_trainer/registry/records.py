"""Records of the registry: model versions, their files, and the champion pointer."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import Field, ValidationError

from modelmonitor_api.outcomes import GateOutcome, ModelKind
from modelmonitor_api.resource import Message
from modelmonitor_api.spec import Feature, Metric, Task
from modelmonitor_api.status import Champion
from modelmonitor_api.times import Time
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.registry.layout import MANIFEST_FILE, MODEL_FILE, MODEL_FOLDER

#: Least days from after a change that can be a reference: all weekdays.
MIN_REFERENCE_DAYS = 7


def is_model_file(name: str) -> bool:
    """Return whether a file of a version is part of the model itself."""
    return name == MODEL_FILE or name.startswith(MODEL_FOLDER)


def is_essential(name: str) -> bool:
    """Return whether a version cannot serve, or its data cannot be named, without a file; a card is not essential."""
    return name == MANIFEST_FILE or is_model_file(name)


class StoredFile(Message):
    """One file of a version."""

    name: str = Field(description="Path below the folder of the version.")
    sha256: str = Field(description="SHA-256 of the content.")
    size: int = Field(description="Size in bytes.", ge=0)


def digest_of_files(files: Iterable[StoredFile]) -> str | None:
    """Return the digest of the files of a version that are part of the model; None if there are none."""
    parts = sorted(f"{stored.name} {stored.sha256}" for stored in files if is_model_file(stored.name))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else None


class Period(Message):
    """Days and rows of a window."""

    start: dt.date = Field(description="First day.")
    end: dt.date = Field(description="Last day, included.")
    rows: int = Field(description="Labelled rows.", ge=0)
    first_day: dt.date | None = Field(None, description="First day that had rows.")
    last_day: dt.date | None = Field(None, description="Last day that had rows.")
    days: int | None = Field(None, description="Number of days that had rows.", ge=0)


class EvaluatedFit(Message):
    """The fit that was compared, where the model that serves was fitted once more."""

    train: Period = Field(description="Its training window.")
    fitted_sha256: str | None = Field(None, description="SHA-256 of its fitted parameters.")


class VersionRecord(Message):
    """A model version: what it is and how it was trained."""

    schema_version: Literal[1] = 1
    version: str = Field(description="Name.")
    number: int = Field(description="Number of the training.")
    monitor_uid: str = Field(description="UID of the monitor.")
    created: Time = Field(description="When the training finished.")
    trigger: str = Field(description="Trigger of the training.")
    kind: ModelKind = Field(
        ModelKind.SKOPS, description="Skops: a pipeline of the built-in trainer. Custom: files of a custom trainer."
    )
    image: str = Field("", description="Image that trained it.")
    seed: int = Field(description="Seed of all random numbers.")
    task: Task = Field(description="Task of the model.")
    target: str = Field(description="Target column.")
    features: list[Feature] = Field(description="Features, in the order in which the model takes them.")
    classes: list[str] = Field(default_factory=list, description="Classes, in the order of the probabilities.")
    train: Period = Field(description="Training window.")
    change_point: dt.date | None = Field(
        None, description="First day after a change within the training window; null if none is known."
    )
    holdout: Period = Field(description="Hold-out.")
    evaluated: EvaluatedFit | None = Field(
        None,
        description="The fit that was compared, if the model was fitted once more with the hold-out "
        "(promotion.finalFit); null if it is the model itself.",
    )
    manifest_sha256: str = Field(description="SHA-256 of the data manifest.")
    predictions_sha256: str = Field(
        description="SHA-256 of the scores of the hold-out rows; equal models have equal sums."
    )
    fitted_sha256: str | None = Field(
        None, description="SHA-256 of the fitted parameters; equal models have equal sums, although their files differ."
    )
    train_seconds: float | None = Field(
        None, description="Duration of the training, from the first row to the model.", ge=0
    )
    peak_memory_bytes: int | None = Field(None, description="Peak memory of the training.", ge=0)
    strategy: str | None = Field(None, description="Strategy that was used: Refit, Retrain or WarmStart.")
    metric: Metric = Field(description="Metric of the score.")
    score: float | None = Field(None, description="Score on the hold-out.")
    compared_with: str | None = Field(None, description="Champion that it was compared with.")
    best_champion: str | None = Field(
        None,
        description="Best champion so far, from which the steps began that were not worse; null if it is this version.",
    )
    outcome: GateOutcome = Field(description="Outcome of the promotion gate.")
    reason: str = Field(description="Reason of the outcome, one CamelCase word.")
    message: str = Field(description="Reason of the outcome, one sentence.")
    files: list[StoredFile] = Field(default_factory=list, description="All other files of the version.")

    @property
    def reference(self) -> tuple[dt.date, dt.date]:
        """The days that checks compare with: the training window, from the change within it on.

        The model has learnt the days before and after the change, and it serves those after it. Fewer than
        MIN_REFERENCE_DAYS after the change are too few to compare with; then the whole window counts.
        """
        start, end = self.train.start, self.train.end
        if self.change_point is not None and (end - self.change_point).days + 1 >= MIN_REFERENCE_DAYS:
            start = max(start, self.change_point)
        return start, end

    @property
    def model_sha256(self) -> str | None:
        """Digest of the model: equal for equal models, although their files differ; None if no model is recorded."""
        return self.fitted_sha256 or digest_of_files(self.files)

    @property
    def compared_sha256(self) -> str | None:
        """Digest of the model that was compared: a training that gives it again gives nothing new."""
        return self.evaluated.fitted_sha256 if self.evaluated is not None else self.model_sha256

    def describe_final_fit(self) -> str | None:
        """Return a sentence on the model that serves; None if it is the one that was compared."""
        if self.evaluated is None:
            return None
        return (
            f"The model that serves was fitted once more, to {self.train.start} through {self.train.end} "
            "(promotion.finalFit); the scores are those of the same recipe, fitted to "
            f"{self.evaluated.train.start} through {self.evaluated.train.end}."
        )

    def other_task(self, task: Task, target: str) -> str:
        """Return in words that the version predicts something else than is declared; empty if it does not."""
        if (self.task, self.target) == (task, target):
            return ""
        return f"{self.version} predicts {self.target!r} ({self.task}), and the spec declares {target!r} ({task})"

    def for_tenure(self) -> dict[str, object]:
        """Return the fields of a tenure that describe its version."""
        return {
            "metric": self.metric.value,
            "score": self.score,
            "data_end": self.train.end,
            "data_start": self.train.start,
            "first_day": self.train.first_day,
            "last_day": self.train.last_day,
            "change_point": self.change_point,
            "train_rows": self.train.rows,
            "manifest_sha256": self.manifest_sha256,
            "model_sha256": self.model_sha256,
            "image": self.image or None,
        }

    def describe_change(self) -> str | None:
        """Return a sentence on the change within the training window; None if none is known."""
        if self.change_point is None:
            return None
        after = (self.train.end - self.change_point).days + 1
        before = max(0, (self.change_point - self.train.start).days)
        compared = (
            "Checks compare with these days"
            if self.reference[0] == self.change_point
            else (
                f"Checks compare with the whole window, because fewer than {MIN_REFERENCE_DAYS} days are from after it"
            )
        )
        if not before:
            return f"The data changed on {self.change_point}, the first of the {after} days of the training window."
        return (
            f"The data changed on {self.change_point}: {after} days of the training window are from after the change, "
            f"{before} from before it. {compared}."
        )


class Tenure(Message):
    """The time during which one version is the champion."""

    number: int | None = Field(None, description="Number of the change of champion, from 1.", ge=1)
    version: str = Field(description="Version.")
    since: Time = Field(description="When it became the champion.")
    action: Literal["Promoted", "RolledBack"] = Field(description="How it became the champion.")
    by: str = Field(description="Job that made it the champion.")
    message: str = Field("", description="Reason, one sentence.")
    reason: str = Field("", description="Reason of a rollback, one CamelCase word.")
    previous: str | None = Field(None, description="Champion before it, which a rollback to previous restores.")
    metric: str | None = Field(None, description="Metric of its score.")
    score: float | None = Field(None, description="Score on the hold-out of its training.")
    data_end: dt.date | None = Field(None, description="Last day of its training window, included.")
    data_start: dt.date | None = Field(None, description="First day of its training window.")
    first_day: dt.date | None = Field(None, description="First day of its training window that had rows.")
    last_day: dt.date | None = Field(None, description="Last day of its training window that had rows.")
    change_point: dt.date | None = Field(None, description="First day after a change within its training window.")
    train_rows: int | None = Field(None, description="Labelled rows of its training window.")
    manifest_sha256: str | None = Field(None, description="SHA-256 of its data manifest.")
    model_sha256: str | None = Field(None, description="Digest of the model; equal models have equal digests.")
    image: str | None = Field(None, description="Image that trained it.")


@dataclass(frozen=True)
class ServingPeriod:
    """A tenure with its beginning and its end.

    Attributes
    ----------
    tenure
        Which version, and what it was trained on; known even if the version has been deleted.
    since
        When it became the champion.
    until
        When another version replaced it; None for the present champion.
    """

    tenure: Tenure
    since: dt.datetime
    until: dt.datetime | None


class Decision(Message):
    """A decision of a person about the champion."""

    since: Time = Field(description="When it was made.")
    by: str = Field(description="Job that recorded it.")
    comment: str = Field(description="Reason, in the words of the person.")


class Pointer(Tenure):
    """The champion pointer: the present champion and the history of all champions."""

    schema_version: Literal[1] = 1
    pin: Decision | None = Field(None, description="Present if only a person may replace the champion.")
    retired: Decision | None = Field(
        None,
        description="Present if the champion is not compared with any more: the next version starts over as a first "
        "model. The retired version serves until then.",
    )
    history: list[Tenure] = Field(description="All tenures, the present one first.", min_length=1)

    def to_champion(self) -> Champion:
        """Return the champion as the operator's status shows it.

        ``dataEnd`` of the status is exclusive: it is the start of the day after the last training day.
        """
        end = None
        if self.data_end is not None:
            end = dt.datetime.combine(self.data_end + dt.timedelta(days=1), dt.time(), dt.UTC)
        return Champion(
            version=self.version,
            since=self.since,
            metric=self.metric,
            score=None if self.score is None else f"{self.score:.6g}",
            data_end=end,
            change_point=self.change_point,
            pinned=self.pin.comment if self.pin else None,
        )

    def serving_periods(self, start: dt.datetime, end: dt.datetime) -> list[ServingPeriod]:
        """Return the champions that served from `start` until before `end`, the earliest first.

        Parameters
        ----------
        start, end
            With time zone. If they are equal: the champion at that moment.
        """
        return [
            period
            for period in self.all_periods()
            if (period.since <= start or period.since < end)
            and (period.until is None or start < period.until)
            and period.until != period.since
        ]

    def all_periods(self) -> list[ServingPeriod]:
        """Return all tenures with beginning and end, the earliest first; each begins where the one before ends."""
        starts = self.starts()
        periods = map(ServingPeriod, self.history, starts, [None, *starts])
        return list(periods)[::-1]

    def starts(self) -> list[dt.datetime]:
        """Return when each tenure of the history began, the present one first, never before the one that it replaced.

        The order of the history is that of the changes. The times are those of the clocks of several machines; where
        one of them went back, a tenure begins when the one before it did.
        """
        starts = list(itertools.accumulate((tenure.since for tenure in reversed(self.history)), max))
        return starts[::-1]

    def not_after(self, limit: dt.datetime) -> Pointer:
        """Return the pointer with all times after `limit` replaced by it."""
        history = [tenure.model_copy(update={"since": min(tenure.since, limit)}) for tenure in self.history]
        return self.model_copy(update={"since": history[0].since, "history": history})

    def numbers(self) -> list[int]:
        """Return the number of each change of champion in the history, the present one first."""
        newest = self.number or len(self.history)
        return [newest - index for index in range(len(self.history))]


def pointer_of(history: Sequence[Tenure]) -> Pointer:
    """Return the pointer with this history, the present champion first."""
    tenures = [tenure.model_dump() for tenure in history]
    return Pointer.model_validate({**tenures[0], "history": tenures})


def parse_record(data: bytes, uri: str) -> VersionRecord:
    """Return the record of a version.

    Raises
    ------
    BadData
        If the content of the object `uri` is no such record.
    """
    try:
        return VersionRecord.model_validate_json(data)
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"]
        raise BadData(f"{uri} cannot be read ({why}); it is corrupt, or a newer release wrote it") from error


def parse_pointer(data: bytes, uri: str) -> Pointer:
    """Return the champion pointer.

    Raises
    ------
    BadData
        If the content of the object `uri` is no pointer.
    """
    try:
        return Pointer.model_validate_json(data)
    except ValidationError as error:
        why = error.errors(include_url=False)[0]["msg"]
        raise BadData(
            f"{uri} cannot be read ({why}), so the serving version cannot be determined; modelmonitor repair reports "
            "what can be restored"
        ) from error
