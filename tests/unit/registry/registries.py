"""Registries with versions of a small model, and their promotions."""

from __future__ import annotations

import datetime as dt
import functools
from typing import Any

import numpy as np

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import Estimator, Feature, Metric, Task
from modelmonitor_trainer.model.pipeline import Model, fit
from modelmonitor_trainer.registry.model_files import dump_model
from modelmonitor_trainer.registry.records import Period, VersionRecord
from modelmonitor_trainer.registry.registry import ModelRegistry

NOW = dt.datetime(2013, 5, 1, tzinfo=dt.UTC)
FEATURES = [Feature(name="x", type="Numeric"), Feature(name="kind", type="Categorical")]


def at(day: float) -> dt.datetime:
    """Return the time so many days after the beginning."""
    return NOW + dt.timedelta(days=day)


def model() -> Model:
    """Return a fitted model."""
    g = np.random.default_rng(0)
    arrays = {"x": g.normal(size=80), "kind": g.choice(["a", "b"], 80).astype(object)}
    declared = parse(Estimator, {"name": "LogisticRegression"})
    return fit(
        declared, FEATURES, Task.BINARY_CLASSIFICATION, arrays, (arrays["x"] > 0).astype(int), ("0", "1"), seed=0
    )


@functools.cache
def _model_file() -> bytes:
    return dump_model(model())


def stored(registry: ModelRegistry, number: int, **changes: Any) -> VersionRecord:
    """Write a complete version of a training that has begun, and return its record."""
    registry.store.write(registry.layout.run("u", number).request, b"{}")
    name = f"v{number}-0000000{number}"
    files = [registry.write_file(name, "model.skops", _model_file())[0]]
    files.append(registry.write_file(name, "manifest.json", b"{}")[0])
    record = VersionRecord(
        version=name,
        number=number,
        monitor_uid="u",
        created=at(number),
        trigger="DriftDetected",
        seed=0,
        task=Task.BINARY_CLASSIFICATION,
        target="late",
        features=FEATURES,
        classes=["0", "1"],
        train=Period(start=dt.date(2013, 1, 1), end=dt.date(2013, 3, number), rows=80),
        holdout=Period(start=dt.date(2013, 4, 1), end=dt.date(2013, 4, 14), rows=40),
        manifest_sha256="m",
        predictions_sha256="p",
        metric=Metric.ROC_AUC,
        score=0.7 + number / 100,
        outcome="Passed",
        reason="Better",
        message="it is better",
        files=files,
    )
    return registry.write_record(VersionRecord.model_validate({**record.model_dump(), **changes}))


def promoted(registry: ModelRegistry, *numbers: int) -> list[VersionRecord]:
    """Promote new versions one after the other, one a day; return their records."""
    records: list[VersionRecord] = []
    before: str | None = None
    for number in numbers:
        record = stored(registry, number)
        registry.promote(record, instead_of=before, by=f"train-{number}", now=at(number))
        before = record.version
        records.append(record)
    return records
