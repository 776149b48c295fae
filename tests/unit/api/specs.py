"""Specs that both the API server and the reconcile loop accept, and specs that both reject."""

from __future__ import annotations

from typing import Any


def spec(**changes: Any) -> dict[str, Any]:
    """Return a valid spec with `changes`, whose keys are paths such as ``data__live__uri``; None removes the field."""
    result: dict[str, Any] = {
        "schedule": "0 6 * * *",
        "storage": {"resultsURI": "s3://results/"},
        "data": {"live": {"uri": "s3://data/date=%Y-%m-%d/"}},
        "model": {
            "task": "BinaryClassification",
            "target": "late",
            "features": [{"name": "temp", "type": "Numeric"}, {"name": "carrier", "type": "Categorical"}],
        },
        "retraining": {"estimator": {"name": "LogisticRegression"}},
        "promotion": {"metric": "ROCAUC"},
    }
    for path, value in changes.items():
        *above, last = path.split("__")
        level = result
        for name in above:
            level = level.setdefault(name, {})
        if value is None:
            level.pop(last, None)
        else:
            level[last] = value
    return result


def numeric(**more: str) -> list[dict[str, Any]]:
    return [{"name": "temp", "type": "Numeric", **more}]


def custom_trainer(**changes: Any) -> dict[str, Any]:
    """Return a spec with a custom trainer image."""
    image = {"retraining__estimator": None, "retraining__trainer": {"image": "trainer:1"}}
    return spec(**({"storage__credentialsSecretRef": {"name": "s3"}} | image | changes))


VALID = {
    "minimal": spec(),
    "labels": spec(data__labels={"uri": "s3://data/labels/%Y/%m/%d/", "joinKey": "id"}),
    "versions of labels": spec(
        data__labels={
            "uri": "s3://data/labels/%Y/%m/%d/",
            "joinKey": "id",
            "versionColumn": "v",
            "maxContradictions": "0",
        }
    ),
    "predictions": spec(model__predictionColumn="score"),
    "reference of one day": spec(data__reference={"start": "2013-01-01", "end": "2013-01-01"}),
    "CSV": spec(data__format="CSV", data__csv={"separator": ";", "decimal": ",", "nullValues": ["", "-"]}),
    "range": spec(model__features=numeric(minimum="-1.5", maximum="10")),
    "range of one value": spec(model__features=numeric(minimum="0", maximum="0.0")),
    "range above ten": spec(model__features=numeric(minimum="9", maximum="10")),
    "open range": spec(model__features=numeric(maximum="10")),
    "allowed values": spec(model__features=[{"name": "c", "type": "Categorical", "allowedValues": ["a"]}]),
    "performance": spec(detectors=[{"name": "p", "type": "Performance", "metric": "F1", "maxDrop": "0.1"}]),
    "columns": spec(detectors=[{"name": "f", "type": "FeatureDrift", "columns": ["temp"]}]),
    "quality of columns": spec(detectors=[{"name": "q", "type": "DataQuality", "columns": ["temp"]}]),
    "custom trainer": custom_trainer(),
    "workload identity": spec(storage__serviceAccountName="model-monitors"),
    "search": spec(
        retraining__strategy="Retrain",
        retraining__estimator={
            "name": "LogisticRegression",
            "search": {"space": [{"name": "C", "values": ["0.1", "1"]}]},
        },
    ),
    "warm start": spec(retraining__strategy="WarmStart", retraining__estimator={"name": "SGDClassifier"}),
    "custom trainer with a search": custom_trainer(retraining__strategy="Retrain"),
    "calibration": spec(
        retraining__estimator={"name": "LogisticRegression", "calibration": "Sigmoid", "classWeights": "Balanced"}
    ),
    "trainer's resources only": spec(retraining__trainer={"resources": {"limits": {"memory": "4Gi"}}}),
}
INVALID = {
    "Parquet with separators": (spec(data__csv={"separator": ";"}), "csv is for objects in CSV; set format to CSV"),
    "effects in the wrong order": (
        spec(sensitivity={"minimumEffect": "0.2", "detectableEffect": "0.1"}),
        "detectableEffect must not be smaller than minimumEffect",
    ),
    "results without a slash": (spec(storage__resultsURI="s3://results"), "resultsURI must end with a slash"),
    "reversed reference": (
        spec(data__reference={"start": "2013-02-01", "end": "2013-01-31"}),
        "reference.end must not be before reference.start",
    ),
    "range of a categorical feature": (
        spec(model__features=[{"name": "c", "type": "Categorical", "minimum": "1"}]),
        "minimum and maximum are for Numeric features",
    ),
    "allowed values of a numeric feature": (
        spec(model__features=[{"name": "n", "type": "Numeric", "allowedValues": ["1"]}]),
        "allowedValues is for Categorical features",
    ),
    "reversed range": (
        spec(model__features=numeric(minimum="10", maximum="9")),
        "minimum must not be greater than maximum",
    ),
    "live partition of a month": (
        spec(data__live={"uri": "s3://data/%Y-%m/"}),
        "live.uri must contain %Y, %m and %d, because a partition is one day or hour",
    ),
    "label partition of all days": (
        spec(data__labels={"uri": "s3://data/labels/", "joinKey": "id"}),
        "labels.uri must contain %Y, %m and %d, because a partition is one day or hour",
    ),
    "versions that are keys": (
        spec(data__labels={"uri": "s3://data/labels/%Y/%m/%d/", "joinKey": "id", "versionColumn": "id"}),
        "labels.versionColumn must not be labels.joinKey",
    ),
    "prediction among the features": (
        spec(model__predictionColumn="temp"),
        "predictionColumn must be neither the target nor one of the features",
    ),
    "prediction that is the target": (
        spec(model__target="late", model__predictionColumn="late"),
        "predictionColumn must be neither the target nor one of the features",
    ),
    "target among the features": (spec(model__target="temp"), "the target must not be one of the features"),
    "metric of a drift detector": (
        spec(detectors=[{"name": "f", "type": "FeatureDrift", "metric": "F1"}]),
        "metric and maxDrop are for detectors of type Performance",
    ),
    "drop of a drift detector": (
        spec(detectors=[{"name": "f", "type": "TargetDrift", "maxDrop": "0.1"}]),
        "metric and maxDrop are for detectors of type Performance",
    ),
    "columns of the target": (
        spec(detectors=[{"name": "t", "type": "TargetDrift", "columns": ["temp"]}]),
        "columns is for detectors of type FeatureDrift, DataQuality",
    ),
    "calibration of a regression": (
        spec(
            model__task="Regression",
            promotion__metric="R2",
            retraining__estimator={"name": "Ridge", "calibration": "Sigmoid"},
        ),
        "calibration and classWeights are for classifiers",
    ),
    "Retrain without a search": (spec(retraining__strategy="Retrain"), "set retraining.estimator.search"),
    "warm start of boosting": (
        spec(
            retraining__strategy="WarmStart",
            retraining__estimator={"name": "HistGradientBoostingClassifier"},
        ),
        "the strategy WarmStart is for RandomForestClassifier",
    ),
    "neither estimator nor image": (spec(retraining__estimator=None), "set either retraining.estimator"),
    "estimator and image": (
        custom_trainer(retraining__estimator={"name": "LogisticRegression"}),
        "set either retraining.estimator",
    ),
    "workload identity with a custom image": (
        custom_trainer(storage__serviceAccountName="model-monitors"),
        "share the identity of its service account",
    ),
    "default service account with a custom image": (
        custom_trainer(storage__credentialsSecretRef=None),
        "share the identity of its service account",
    ),
    "processors beyond the limit": (
        spec(check__resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}),
        "requests.cpu must not be above limits.cpu",
    ),
    "memory beyond the limit": (
        spec(check__resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "2G"}}),
        "requests.memory must not be above limits.memory",
    ),
    "expected gain without prices": (spec(triggers__onExpectedGain=True), "onExpectedGain needs spec.costs"),
    "final fit of a custom trainer": (
        custom_trainer(promotion={"metric": "ROCAUC", "finalFit": "WithHoldout"}),
        "a custom trainer fits its model itself",
    ),
    "time zone in the schedule": (spec(schedule="CRON_TZ=UTC 0 6 * * *"), "set spec.timeZone instead"),
}
