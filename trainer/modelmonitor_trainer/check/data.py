"""Input of a check, resolved to objects before any row is read; both sources produce it.

A source (:mod:`~modelmonitor_trainer.check.sources`) decides *what* is compared. Everything after it – profiles,
detectors, verdict – is the same for the partitions of a monitor and for files on the command line.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelmonitor_api.messages import MonitorRef
from modelmonitor_api.spec import Detector, Feature, FeatureType, KeyScope, ModelMonitorSpec, Sensitivity, Task
from modelmonitor_api.status import Champion, ChampionWatch
from modelmonitor_trainer.data.left_out import LeftOut
from modelmonitor_trainer.data.windows import Batch, Window
from modelmonitor_trainer.detect.wording import Wording
from modelmonitor_trainer.profile.plans import Plan
from modelmonitor_trainer.profile.window import WindowProfile
from modelmonitor_trainer.registry.registry import ModelRegistry

if TYPE_CHECKING:
    from modelmonitor_trainer.check.predictor import Predictor


@dataclass(frozen=True)
class WindowPair:
    """The reference and the current window of some columns.

    Attributes
    ----------
    columns
        Columns to compare.
    reference, current
        Batches of the windows.
    stored_profile
        Stored profile of the reference, as a model version carries it; None if there is none.
    """

    columns: tuple[Feature, ...]
    reference: tuple[Batch, ...]
    current: tuple[Batch, ...]
    stored_profile: bytes | None = None


@dataclass(frozen=True)
class ProfiledPair:
    """The profiles of a window pair; without a reference only the declared contract can be tested."""

    plan: Plan
    reference: WindowProfile | None
    current: WindowProfile


@dataclass(frozen=True)
class LabelJoin:
    """How labels are joined to rows.

    Attributes
    ----------
    key
        Join key.
    delay_days
        Days after which the label of a row is expected.
    min_share
        Share of the rows of a day that must have a label.
    version
        Column that orders the labels of a key; None if their arrival does.
    max_contradictions
        Share of labelled rows that may have contradicting labels.
    scope
        What a key identifies; None if that is not declared.
    """

    key: str
    delay_days: int
    min_share: float
    version: str | None = None
    max_contradictions: float = 0.01
    scope: KeyScope | None = None


@dataclass(frozen=True)
class Outcomes:
    """Rows whose true outcome is known.

    Attributes
    ----------
    target
        Column of the outcome.
    task
        Task of the model; None if it is to be inferred from the values of the target.
    text_columns
        Columns that are text, even if their values look like numbers in CSV.
    reference, current
        Batches with labels; current ones are after the reference.
    predicted
        Current batches with labels and predictions of the model in production on rows that it was not trained on.
    not_predicted
        Why there are none.
    predictor
        Loads what gives the predictions; None if there is none.
    slices
        Columns whose values form slices.
    join
        How labels are joined; None if the target is a column of the rows.
    reference_labels, current_labels
        Batches of labels.
    """

    target: Feature
    task: Task | None
    text_columns: tuple[str, ...]
    reference: tuple[Batch, ...]
    current: tuple[Batch, ...]
    predicted: tuple[Batch, ...]
    not_predicted: str = ""
    predictor: Callable[[], Predictor] | None = None
    slices: tuple[str, ...] = ()
    join: LabelJoin | None = None
    reference_labels: tuple[Batch, ...] = ()
    current_labels: tuple[Batch, ...] = ()


@dataclass(frozen=True)
class ChampionInfo:
    """The champion, as a check needs it.

    Attributes
    ----------
    version
        Its name.
    window
        First and last day of its training window, or of its part after a change.
    features, labels
        Batches of its training data.
    since
        Day of its promotion; None if unknown.
    stored_features, stored_labels
        Profiles of these batches, as the version carries them; None if it carries none.
    change_point
        First day after a change within its training window; None if none is known.
    retyped
        Features that it was trained on as another type than the spec declares now.
    """

    version: str
    window: Window
    features: tuple[Batch, ...]
    labels: tuple[Batch, ...]
    since: dt.date | None = None
    stored_features: bytes | None = None
    stored_labels: bytes | None = None
    change_point: dt.date | None = None
    retyped: frozenset[str] = frozenset()


@dataclass(frozen=True)
class MonitorData:
    """What only a monitor has.

    Attributes
    ----------
    ref, spec
        The monitor.
    registry
        Its versions and champion.
    mature
        Last day whose labels are expected to be complete.
    last_day
        Last day that is over.
    champion, champion_status
        What the model in production was trained on, and its status; None before the first promotion.
    champion_problem
        Why the former is None although there is a champion, in a sentence; empty otherwise.
    """

    ref: MonitorRef
    spec: ModelMonitorSpec
    registry: ModelRegistry
    mature: dt.date
    last_day: dt.date
    champion: ChampionInfo | None = None
    champion_status: Champion | None = None
    champion_problem: str = ""


@dataclass(frozen=True)
class CheckData:
    """Everything that a check compares, resolved to objects.

    Attributes
    ----------
    detectors
        Detectors to run, in the order of the result.
    features
        Feature columns.
    target, prediction
        Names of these columns, if there are any.
    rows
        Windows of the features, and of the target and predictions where they are columns of the same rows.
    labels
        Windows of the target where it comes with the labels.
    predictions
        Windows of logged predictions, if they differ from those of the rows.
    outcomes
        Rows with known outcomes; None without a target.
    sensitivity, checks_per_day
        Determine the level of the check.
    reference_title, current_title
        Names of both sides in the report.
    reference_window, current_window
        First and last day of both sides; None for files.
    wording
        Words for partitions or files.
    has_contract
        Whether columns were declared. If they were inferred, rows can violate a contract only if the reference has
        rows.
    optional
        Names of detectors that were not requested: they run only if they are cheap.
    nothing_to_compare
        Why there is no reference.
    notes
        Notes of the source, for the report.
    left_out
        Files, days and columns that are not compared.
    reproduce
        Command that repeats the check.
    monitor
        What only a monitor has; None for files.
    """

    detectors: tuple[Detector, ...]
    features: tuple[Feature, ...]
    target: str | None
    prediction: str | None
    rows: WindowPair
    sensitivity: Sensitivity
    checks_per_day: float
    wording: Wording
    reference_title: str
    current_title: str
    labels: WindowPair | None = None
    predictions: WindowPair | None = None
    outcomes: Outcomes | None = None
    reference_window: Window | None = None
    current_window: Window | None = None
    has_contract: bool = True
    optional: frozenset[str] = frozenset()
    nothing_to_compare: str = ""
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    reproduce: str = ""
    monitor: MonitorData | None = None

    @property
    def champion(self) -> ChampionInfo | None:
        """The model in production, if there is one."""
        return self.monitor.champion if self.monitor else None


@dataclass(frozen=True)
class ProfiledData:
    """The input of the detectors: resolved data and the profiles of their windows.

    Attributes
    ----------
    source
        The resolved data.
    rows, labels, predictions
        Profiles; None where there are no such windows or no detector needs them.
    """

    source: CheckData
    rows: ProfiledPair
    labels: ProfiledPair | None = None
    predictions: ProfiledPair | None = None

    @property
    def pairs(self) -> tuple[ProfiledPair, ...]:
        """All profiled pairs, the rows first."""
        return tuple(pair for pair in (self.rows, self.labels, self.predictions) if pair is not None)


@dataclass(frozen=True)
class WatchResult:
    """The champion compared with its predecessor.

    Attributes
    ----------
    finding
        The comparison; None if there is none yet, or nothing to compare.
    note
        Note for the report; empty if there is nothing to compare.
    uri
        Where the comparison is to be stored; empty if it is there already.
    """

    finding: ChampionWatch | None = None
    note: str = ""
    uri: str = ""


def text_columns(features: tuple[Feature, ...], slices: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the columns that are read as text: categorical features, and slices that are not numeric."""
    numeric = {feature.name for feature in features if feature.type is FeatureType.NUMERIC}
    categorical = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
    return tuple(dict.fromkeys([*categorical, *(name for name in slices if name not in numeric)]))
