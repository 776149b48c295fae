"""Monitors over local folders: partitions that land day by day, and the commands that read them."""

import datetime as dt
import json

import numpy as np
import yaml

from unit.golden import tables
from unit.golden.documents import kept_files, reduced, run

FIRST = dt.date(2013, 1, 1)
#: What is stored of a version, besides the model and its pages.
VERSION_DOCUMENTS = ("version", "parameters", "metrics", "comparison", "manifest")
DETECTORS = {
    "contract": "DataQuality",
    "features": "FeatureDrift",
    "target": "TargetDrift",
    "predictions": "PredictionDrift",
    "bias": "PredictionBias",
    "correlations": "CorrelationDrift",
    "ablation": "Ablation",
    "performance": "Performance",
}


def detectors(*names):
    """Return detectors by their names."""
    columns = {"ablation": {"columns": ["x", "kind"]}}
    return [{"name": name, "type": DETECTORS[name]} | columns.get(name, {}) for name in names]


def partition(day, part="day"):
    """Return the folder of a day of the year."""
    date = FIRST + dt.timedelta(days=day - 1)
    return f"{date:%Y/%m/%d}" if part == "hour" else f"date={date}"


class Monitor:
    """A monitor and its data.

    Parameters
    ----------
    folder
        Where everything lies.
    base
        URI of that folder.
    spec
        All of the spec but where things are.
    suffix
        Of the files that land.
    hours
        Hours of a day that partitions go down to; none where a partition is a day.
    labels
        The spec of the labels; None where the target is a column of the rows.
    """

    def __init__(self, folder, base, spec, *, suffix="parquet", hours=(), labels=None):
        self.folder = folder
        self.suffix = suffix
        self.hours = hours
        template = "%Y/%m/%d/%H/" if hours else "date=%Y-%m-%d/"
        data = spec["data"]
        data["live"] = {"uri": f"{base}/rows/{template}"} | data["live"]
        if labels is not None:
            data["labels"] = {"uri": f"{base}/labels/date=%Y-%m-%d/", "joinKey": "id"} | labels
        self.labelled = labels is not None
        self.spec = {"schedule": "0 6 * * *", "storage": {"resultsURI": f"{base}/results/"}} | spec
        self.file = folder / "monitor.yaml"
        self.declare()

    def detect(self, *names):
        """Declare other detectors."""
        self.spec["detectors"] = detectors(*names)
        self.declare()

    def declare(self):
        """Write the monitor's file."""
        document = {
            "apiVersion": "modelmonitor.io/v1alpha1",
            "kind": "ModelMonitor",
            "metadata": {"name": "mon", "namespace": "ns"},
            "spec": self.spec,
        }
        self.file.write_text(yaml.safe_dump(document))

    def land(self, day, columns, target="outcome", *, repeats=0):
        """Write the rows of a day, and their outcomes apart where labels are."""
        count = len(next(iter(columns.values())))
        columns = {"id": [f"{day}-{max(0, row - repeats)}" for row in range(count)]} | columns
        if self.labelled:
            labels = {"id": columns["id"], target: columns.pop(target)}
            self._write(f"labels/{partition(day)}/part", labels)
        if not self.hours:
            self._write(f"rows/{partition(day)}/part", columns)
            return
        for number, hour in enumerate(self.hours):
            part = {name: list(values[number :: len(self.hours)]) for name, values in columns.items()}
            self._write(f"rows/{partition(day, 'hour')}/{hour:02d}/part", part)

    def _write(self, name, columns):
        tables.write(self.folder / f"{name}.{self.suffix}", columns)

    def run(self, command, *options, names=()):
        """Run a command on the monitor, and return what it prints without free text."""
        return reduced(run(command, "-f", self.file, *options), str(self.folder), names=names)

    def train(self):
        """Train, and return the verdict and the documents of the version."""
        answer = run("train", "-f", self.file)
        version = answer["document"].get("version")
        stored = {}
        if version:
            folder = self.results / "versions" / version
            stored = {name: json.loads((folder / f"{name}.json").read_text()) for name in VERSION_DOCUMENTS}
            stored["names"] = sorted(path.name for path in folder.iterdir())
        return reduced({"verdict": answer, "stored": stored}, str(self.folder))

    @property
    def results(self):
        """Folder of the monitor's results."""
        return self.folder / "results/ns/mon"

    def kept(self):
        """Return what is kept of profiles and moments."""
        return kept_files(self.results, self.folder)

    def champion_since(self, day):
        """Let the champion serve since a day of the data, as if it had been promoted then."""
        path = self.results / "champion.json"
        time = (FIRST + dt.timedelta(days=day - 1)).isoformat() + "T06:00:00Z"
        pointer = json.loads(path.read_text())
        pointer["since"] = time
        for reign in pointer.get("history", ()):
            reign["since"] = time
        path.write_text(json.dumps(pointer))


def binary(folder, base):
    """Return a monitor of a classifier with labels, logged predictions, slices and all detectors."""
    spec = {
        "data": {"live": {"windowDays": 10}, "reference": {"start": "2013-01-01", "end": "2013-01-22"}},
        "model": {
            "task": "BinaryClassification",
            "target": "outcome",
            "predictionColumn": "score",
            "slices": ["kind"],
            "features": [
                {"name": "x", "type": "Numeric", "minimum": "-9", "maximum": "9"},
                {"name": "z", "type": "Numeric"},
                {"name": "kind", "type": "Categorical", "allowedValues": ["north", "south", "west"]},
            ],
        },
        "detectors": detectors(*DETECTORS),
        "retraining": {
            "windowDays": 20,
            "estimator": {"name": "LogisticRegression", "preprocessing": {"categoricalEncoding": "OneHot"}},
        },
        "promotion": {
            "metric": "ROCAUC",
            "holdoutDays": 5,
            "minHoldoutRows": 100,
            "minSliceRows": 100,
            "nonInferiorityMargin": "0.02",
            "maxSliceDrop": "0.05",
        },
    }
    return Monitor(folder, base, spec, labels={"delayDays": 2})


def regression(folder, base):
    """Return a monitor of a regression with warm starts, on hourly JSON Lines, with the target among the rows."""
    spec = {
        "data": {
            "format": "JSONLines",
            "live": {"windowDays": 6},
            "reference": {"start": "2013-01-01", "end": "2013-01-12"},
        },
        "model": {
            "task": "Regression",
            "target": "outcome",
            "predictionColumn": "score",
            "slices": ["kind"],
            "features": [
                {"name": "x", "type": "Numeric"},
                {"name": "z", "type": "Numeric"},
                {"name": "kind", "type": "Categorical"},
            ],
        },
        "detectors": detectors("contract", "features", "target", "bias", "correlations", "performance"),
        "retraining": {
            "windowDays": 14,
            "strategy": "WarmStart",
            "warmStart": {"fullRefitEvery": 1, "batchRows": 100},
            "estimator": {
                "name": "SGDRegressor",
                "parameters": [{"name": "average", "value": "true"}],
                "preprocessing": {"numericImputation": "Mean", "scaling": "Standard", "categoricalEncoding": "OneHot"},
            },
        },
        "promotion": {"metric": "RootMeanSquaredError", "holdoutDays": 9, "minHoldoutRows": 100, "minSliceRows": 50},
    }
    return Monitor(folder, base, spec, suffix="jsonl", hours=(3, 15))


def many_classes(folder, base):
    """Return a monitor of a classifier of three classes that searches for its parameters."""
    spec = {
        "data": {"live": {"windowDays": 5}, "reference": {"start": "2013-01-01", "end": "2013-01-08"}},
        "model": {
            "task": "MulticlassClassification",
            "target": "outcome",
            "predictionColumn": "score",
            "features": [
                {"name": "x", "type": "Numeric"},
                {"name": "z", "type": "Numeric"},
                {"name": "kind", "type": "Categorical"},
            ],
        },
        "retraining": {
            "windowDays": 8,
            "strategy": "Retrain",
            "estimator": {
                "name": "LogisticRegression",
                "preprocessing": {
                    "numericImputation": "Median",
                    "scaling": "Standard",
                    "categoricalEncoding": "Target",
                },
                "search": {
                    "method": "Grid",
                    "space": [{"name": "C", "values": ["0.001", "0.1", "10"]}],
                    "folds": 2,
                },
            },
        },
        "promotion": {"metric": "LogLoss", "holdoutDays": 3, "minHoldoutRows": 100, "nonInferiorityMargin": "0.1"},
    }
    return Monitor(folder, base, spec, labels={"delayDays": 1})


def contract(folder, base):
    """Return a monitor of CSV files whose contract is declared in full."""
    spec = {
        "data": {
            "format": "CSV",
            "live": {"windowDays": 7},
            "reference": {"start": "2013-01-01", "end": "2013-01-14"},
        },
        "model": {
            "task": "BinaryClassification",
            "target": "outcome",
            "features": [
                {"name": "amount", "type": "Numeric", "minimum": "-8", "maximum": "8"},
                {"name": "steady", "type": "Numeric", "nullable": False},
                {"name": "visits", "type": "Numeric"},
                {"name": "kind", "type": "Categorical", "allowedValues": ["a", "b", "c"]},
                {"name": "member", "type": "Categorical"},
            ],
        },
        "detectors": detectors("contract", "features", "target"),
        "retraining": {"windowDays": 10, "estimator": {"name": "HistGradientBoostingClassifier"}},
        "promotion": {"metric": "ROCAUC"},
    }
    return Monitor(folder, base, spec, suffix="csv", labels={"delayDays": 1})


def outcomes_of(g, columns):
    """Return outcomes of rows that have none."""
    return (g.random(len(columns["steady"])) < 1 / (1 + np.exp(-(np.array(columns["visits"]) - 6.0)))).tolist()
