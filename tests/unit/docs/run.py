"""A monitor over a folder, whose checks and trainings are run by the command line, as a user does."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from modelmonitor_trainer.cli.main import main

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
_FIRST = dt.date(2013, 1, 1)


class Run:
    """A monitor whose data arrive day by day.

    Attributes
    ----------
    folder
        Where data and results are.
    results
        Results of the monitor.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results" / "ns" / "mon"
        self.file = folder / "monitor.yaml"
        spec = {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"file://{folder}/results/"},
            "data": {
                "live": {"uri": f"file://{folder}/rows/date=%Y-%m-%d/", "windowDays": 7},
                "labels": {"uri": f"file://{folder}/labels/date=%Y-%m-%d/", "joinKey": "id"},
                "reference": {"start": "2013-01-01", "end": "2013-01-07"},
            },
            "model": {
                "task": "BinaryClassification",
                "target": "late",
                "features": [
                    {"name": "x", "type": "Numeric", "maximum": "100"},
                    {"name": "z", "type": "Numeric"},
                    {"name": "kind", "type": "Categorical"},
                ],
            },
            "detectors": [
                {"name": "contract", "type": "DataQuality"},
                {"name": "features", "type": "FeatureDrift"},
                {"name": "target", "type": "TargetDrift"},
                {"name": "score", "type": "Performance"},
                {"name": "correlations", "type": "CorrelationDrift"},
            ],
            "retraining": {
                "windowDays": 10,
                "estimator": {
                    "name": "LogisticRegression",
                    "preprocessing": {"numericImputation": "Median", "categoricalEncoding": "OneHot"},
                },
            },
            "promotion": {"metric": "ROCAUC", "holdoutDays": 4, "minHoldoutRows": 100, "requirement": "NotWorse"},
        }
        document = {
            "apiVersion": "modelmonitor.io/v1alpha1",
            "kind": "ModelMonitor",
            "metadata": {"name": "mon", "namespace": "ns"},
            "spec": spec,
        }
        self.file.write_text(yaml.safe_dump(document))

    def land(self, first: int, last: int, *, slope: float = 2.0) -> None:
        """Write the days `first` to `last`; `slope` is the effect of x on the outcome."""
        for number in range(first, last + 1):
            day = _FIRST + dt.timedelta(days=number - 1)
            generator = np.random.default_rng(number)
            x = generator.normal(size=150)
            ids = [f"{day}-{row}" for row in range(x.size)]
            late = generator.random(x.size) < 1 / (1 + np.exp(-slope * x))
            kinds = generator.choice(["a", "b"], x.size).tolist()
            self._write("rows", day, {"id": ids, "x": x, "z": generator.normal(size=x.size), "kind": kinds})
            self._write("labels", day, {"id": ids, "late": late})

    def _write(self, kind: str, day: dt.date, columns: dict[str, Any]) -> None:
        path = self.folder / kind / f"date={day}" / "part.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)

    def call(self, command: str, *options: str) -> None:
        """Run a command of the command line on the monitor."""
        assert main([command, "-f", str(self.file), *options]) == 0

    def files(self) -> list[str]:
        """Return the paths of all files of the monitor's results."""
        return sorted(p.relative_to(self.results).as_posix() for p in self.results.rglob("*") if p.is_file())

    def verdicts(self) -> list[dict[str, Any]]:
        """Return the results of all checks, the earliest first."""
        return [json.loads(path.read_text()) for path in sorted(self.results.glob("checks/*/*/verdict.json"))]
