"""The spec of a ModelMonitor."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from modelmonitor_api.resource import Resource, Rule
from modelmonitor_api.spec.data import Data, Storage
from modelmonitor_api.spec.detection import Detector, DetectorType, Metric, Sensitivity
from modelmonitor_api.spec.model import Model, Task
from modelmonitor_api.spec.pods import CheckPod
from modelmonitor_api.spec.promotion import FinalFit, Promotion
from modelmonitor_api.spec.retraining import Costs, Retraining, Triggers

S3_ONLY = "in a cluster, every URI must start with s3:// (file:// is for the command line only)"

CLASSIFICATION_METRICS = frozenset(
    {
        Metric.ROC_AUC,
        Metric.AVERAGE_PRECISION,
        Metric.ACCURACY,
        Metric.BALANCED_ACCURACY,
        Metric.F1,
        Metric.LOG_LOSS,
        Metric.BRIER_SCORE,
    }
)
#: Metrics that need the score of a single positive class.
BINARY_METRICS = frozenset({Metric.AVERAGE_PRECISION, Metric.BRIER_SCORE})


def metric_fits(metric: Metric, task: Task) -> bool:
    """Return whether `metric` applies to models of `task`."""
    if task is Task.REGRESSION:
        return metric not in CLASSIFICATION_METRICS
    return metric in CLASSIFICATION_METRICS and (task is Task.BINARY_CLASSIFICATION or metric not in BINARY_METRICS)


_METRIC_CEL = (
    "self.model.task == 'Regression'"
    " ? {metric} in ['R2', 'MeanAbsoluteError', 'RootMeanSquaredError']"
    " : !({metric} in ['R2', 'MeanAbsoluteError', 'RootMeanSquaredError'])"
    " && (self.model.task == 'BinaryClassification' || !({metric} in ['AveragePrecision', 'BrierScore']))"
)


class ModelMonitorSpec(Resource):
    """Desired state of the monitor."""

    schedule: str = Field(
        description='Schedule of checks in five-field cron syntax, for example "0 6 * * *" for every day at 06:00.',
        min_length=1,
        max_length=100,
    )
    time_zone: str = Field(
        "Etc/UTC",
        description="Time zone of the schedule, as a name of the tz database, for example Europe/Berlin.",
        min_length=1,
        max_length=64,
    )
    suspend: bool = Field(False, description="Whether to suspend checks and trainings. Running Jobs are not stopped.")
    storage: Storage = Field(description="Object store of the data and the results.")
    data: Data = Field(description="Live rows, labels and reference window.")
    model: Model = Field(description="Monitored model: task, target and feature contract.")
    check: CheckPod = Field(CheckPod(), description="Resources and limits of check pods.")
    detectors: list[Detector] | None = Field(
        None,
        description="Detectors of a check. Defaults to DataQuality, FeatureDrift, TargetDrift, PredictionDrift (if "
        "model.predictionColumn is set) and Performance (by promotion.metric).",
        min_length=1,
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    sensitivity: Sensitivity = Field(
        Sensitivity(), description="How many false alarms are acceptable, and the smallest change that matters."
    )
    triggers: Triggers = Field(Triggers(), description="Conditions that start a training.")
    costs: Costs | None = Field(
        None,
        description="Prices of a training and of a worse model: triggers.onExpectedGain weighs them, and modelmonitor "
        "replay compares settings by them. If omitted, nothing is weighed.",
    )
    retraining: Retraining = Field(description="How challengers are trained, and how often.")
    promotion: Promotion = Field(description="Promotion gate, champion watch and rollout.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.storage.resultsURI.startsWith('s3://') && self.data.live.uri.startsWith('s3://')"
            " && (!has(self.data.labels) || self.data.labels.uri.startsWith('s3://'))",
            message=S3_ONLY,
            holds=lambda _: True,  # the command line accepts file:// as well; see only_s3
        ),
        Rule(
            cel="!self.schedule.contains('TZ')",
            message="schedule must not set a time zone; set spec.timeZone instead",
            holds=lambda self: "TZ" not in self.schedule,
        ),
        Rule(
            cel=_METRIC_CEL.format(metric="self.promotion.metric"),
            message="promotion.metric does not fit model.task",
            holds=lambda self: metric_fits(self.promotion.metric, self.model.task),
        ),
        Rule(
            cel="!has(self.detectors) || self.detectors.all(d, !has(d.metric) || ("
            + _METRIC_CEL.format(metric="d.metric")
            + "))",
            message="the metric of a detector does not fit model.task",
            holds=lambda self: all(
                d.metric is None or metric_fits(d.metric, self.model.task) for d in self.detectors or ()
            ),
        ),
        Rule(
            cel="!has(self.retraining.estimator) || (self.model.task == 'Regression') != "
            "(self.retraining.estimator.name.endsWith('Classifier') "
            "|| self.retraining.estimator.name == 'LogisticRegression')",
            message="retraining.estimator does not fit model.task: classifiers for classification, "
            "regressors for Regression",
            holds=lambda self: (
                self.retraining.estimator is None
                or (self.model.task is Task.REGRESSION) != self.retraining.estimator.name.is_classifier
            ),
        ),
        Rule(
            cel="!self.triggers.onExpectedGain || has(self.costs)",
            message="triggers.onExpectedGain needs spec.costs: the price of a training, and that of a worse model",
            holds=lambda self: not self.triggers.on_expected_gain or self.costs is not None,
        ),
        Rule(
            cel="!has(self.promotion.finalFit) || self.promotion.finalFit == 'None' || has(self.retraining.estimator)",
            message="promotion.finalFit WithHoldout needs retraining.estimator: a custom trainer fits its model itself",
            holds=lambda self: (
                self.promotion.final_fit is not FinalFit.WITH_HOLDOUT or self.retraining.estimator is not None
            ),
        ),
        Rule(
            # All containers of a pod share the identity of its service account, including that of a custom image.
            cel="!has(self.retraining.trainer) || !has(self.retraining.trainer.image) "
            "|| (has(self.storage.credentialsSecretRef) && !has(self.storage.serviceAccountName))",
            message="with retraining.trainer.image, set storage.credentialsSecretRef and remove "
            "storage.serviceAccountName, because all containers of a pod, including the custom image, share the "
            "identity of its service account",
            holds=lambda self: (
                self.retraining.trainer.image is None
                or not self.only_s3()  # on a laptop there are no pods
                or (self.storage.credentials_secret_ref is not None and self.storage.service_account_name is None)
            ),
        ),
    )

    def only_s3(self) -> bool:
        """Return whether all data and results are on S3, as pods in a cluster need them."""
        labels = self.data.labels
        uris = (self.storage.results_uri, self.data.live.uri, labels.uri if labels else "s3://")
        return all(uri.startswith("s3://") for uri in uris)

    def effective_detectors(self) -> tuple[Detector, ...]:
        """Return the detectors in effect: the declared ones, or the defaults."""
        if self.detectors is not None:
            return tuple(self.detectors)
        logged = self.model.prediction_column is not None
        return (
            Detector(name="contract", type=DetectorType.DATA_QUALITY),
            Detector(name="features", type=DetectorType.FEATURE_DRIFT),
            Detector(name="target", type=DetectorType.TARGET_DRIFT),
            *([Detector(name="predictions", type=DetectorType.PREDICTION_DRIFT)] if logged else []),
            Detector(name="performance", type=DetectorType.PERFORMANCE),
        )
