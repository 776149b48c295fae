"""The spec of a ModelMonitor."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from modelmonitor_api.resource import Resource, Rule
from modelmonitor_api.spec.data import Data, Storage
from modelmonitor_api.spec.detection import Detector, DetectorType, Metric, Sensitivity
from modelmonitor_api.spec.model import Model, Task
from modelmonitor_api.spec.promotion import Promotion
from modelmonitor_api.spec.retraining import CheckPod, Retraining, Triggers

S3_ONLY = "in a cluster, every URI must start with s3:// (file:// is for the command line)"

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
#: Metrics that need the score of one positive class.
BINARY_METRICS = frozenset({Metric.AVERAGE_PRECISION, Metric.BRIER_SCORE})


def metric_fits(metric: Metric, task: Task) -> bool:
    """Whether `metric` can score a model of `task`."""
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
    """What to watch, how, and what to do about it."""

    schedule: str = Field(
        description='When to check, in the five fields of cron: "0 6 * * *" is every day at six.',
        min_length=1,
        max_length=100,
    )
    time_zone: str = Field(
        "Etc/UTC", description="Time zone of the schedule, a name of the tz database.", min_length=1, max_length=64
    )
    suspend: bool = Field(False, description="Whether to stop checking and training; what runs is not stopped.")
    storage: Storage = Field(description="The object store that holds the data and takes the results.")
    data: Data = Field(description="The data of the model.")
    model: Model = Field(description="The model under watch.")
    check: CheckPod = Field(CheckPod(), description="The pod that checks.")
    detectors: list[Detector] | None = Field(
        None,
        description="What a check looks for. Absent: drift of features, of the target and of logged predictions, "
        "the contract of the features, and the champion's score by promotion.metric.",
        min_length=1,
        max_length=32,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    sensitivity: Sensitivity = Field(Sensitivity(), description="How much a check may cry wolf.")
    triggers: Triggers = Field(Triggers(), description="What starts a training.")
    retraining: Retraining = Field(description="With what to train, and within which limits.")
    promotion: Promotion = Field(description="How a challenger is compared with the champion.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.storage.resultsURI.startsWith('s3://') && self.data.live.uri.startsWith('s3://')"
            " && (!has(self.data.labels) || self.data.labels.uri.startsWith('s3://'))",
            message=S3_ONLY,
            holds=lambda _: True,  # the command line takes file:// too; see only_s3
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
            # All containers of a pod share the identity of its service account, those of a foreign image too.
            cel="!has(self.retraining.trainer) || !has(self.retraining.trainer.image) "
            "|| (has(self.storage.credentialsSecretRef) && !has(self.storage.serviceAccountName))",
            message="with retraining.trainer.image set storage.credentialsSecretRef and no "
            "storage.serviceAccountName: the identity of a service account is the whole pod's, and your image would "
            "have it",
            holds=lambda self: (
                self.retraining.trainer.image is None
                or not self.only_s3()  # on a laptop there are no pods
                or (self.storage.credentials_secret_ref is not None and self.storage.service_account_name is None)
            ),
        ),
    )

    def only_s3(self) -> bool:
        """Whether all data and results are on S3, as pods of a cluster need them."""
        labels = self.data.labels
        uris = (self.storage.results_uri, self.data.live.uri, labels.uri if labels else "s3://")
        return all(uri.startswith("s3://") for uri in uris)

    def effective_detectors(self) -> tuple[Detector, ...]:
        """Return the detectors in force: the declared ones, or the default set."""
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
