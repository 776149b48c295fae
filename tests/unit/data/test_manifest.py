"""Manifests: the same bytes for the same data, reading of pinned objects, and labels joined to rows."""

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.resource import parse
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_trainer.data.labels import load
from modelmonitor_trainer.data.manifest import Manifest, days_within, freeze, objects_of
from modelmonitor_trainer.data.tables import MissingColumn
from modelmonitor_trainer.data.windows import TrainingWindows
from modelmonitor_trainer.errors import BadData, ObjectChanged
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.open import open_store

WINDOWS = TrainingWindows((dt.date(2013, 1, 1), dt.date(2013, 1, 3)), (dt.date(2013, 1, 4), dt.date(2013, 1, 5)))


@pytest.fixture
def store():
    return open_store(None)


@pytest.fixture
def base(tmp_path):
    for number in range(1, 10):
        put(tmp_path, "rows", number, {"id": [f"{number}-{i}" for i in range(4)], "x": [1.0, None, 3.0, 4.0]})
        put(tmp_path, "labels", number, {"id": [f"{number}-{i}" for i in range(3)], "y": [True, False, None]})
    return uri_of(tmp_path)


def put(folder, kind, number, columns):
    path = folder / kind / f"date=2013-01-{number:02}" / "part.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def spec(base, **data):
    labels = {"uri": f"{base}/labels/date=%Y-%m-%d/", "joinKey": "id", "delayDays": 2}
    return parse(
        ModelMonitorSpec,
        {
            "schedule": "0 6 * * *",
            "storage": {"resultsURI": f"{base}/results/"},
            "data": {"live": {"uri": f"{base}/rows/date=%Y-%m-%d/"}, "labels": labels, **data},
            "model": {
                "task": "BinaryClassification",
                "target": "y",
                "features": [{"name": "x", "type": "Numeric"}],
            },
            "retraining": {"estimator": {"name": "HistGradientBoostingClassifier"}},
            "promotion": {"metric": "ROCAUC"},
        },
    )


def test_what_is_frozen(store, base):
    manifest = freeze(store, spec(base), WINDOWS)
    assert [day.day.day for day in manifest.features] == [1, 2, 3, 4, 5]
    assert [day.day.day for day in manifest.labels] == [1, 2, 3, 4, 5, 6, 7], "labels come two days later"
    assert [day.rows for day in manifest.features] == [4] * 5
    assert dict(manifest.columns) == {"id": "string", "x": "double", "y": "bool"}
    assert len(objects_of(manifest.features, manifest.holdout)) == 2
    assert days_within(manifest.features, (dt.date(2013, 1, 2), dt.date(2013, 1, 2)))[0].day == dt.date(2013, 1, 2)


def test_the_same_data_the_same_bytes(store, base):
    first, second = (freeze(store, spec(base), WINDOWS) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first.sha256 == second.sha256
    assert Manifest.from_json(first.to_json(), "here") == first
    assert json.loads(first.to_json())["schemaVersion"] == 1
    assert (
        freeze(store, spec(base, reference={"start": "2013-01-01", "end": "2013-01-31"}), WINDOWS).sha256
        != first.sha256
    )


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schemaVersion": 2}', b'{"schemaVersion": 1}'])
def test_damaged_manifests_name_their_uri(data):
    with pytest.raises(BadData, match="s3://here"):
        Manifest.from_json(data, "s3://here")


def test_a_replaced_object_is_named(store, base):
    manifest = freeze(store, spec(base), WINDOWS)
    assert load(store, manifest, manifest.train, spec(base)).rows == 6
    uri = manifest.features[1].objects[0].uri
    pq.write_table(pa.table({"id": ["a"], "x": [0.0]}), path_of(uri))
    with pytest.raises(ObjectChanged, match="2013-01-02"):
        load(store, manifest, manifest.train, spec(base))
    assert load(store, manifest, manifest.holdout, spec(base)).rows == 4, "the others are as they were"


def test_freezing_names_a_missing_column(store, base, tmp_path):
    put(tmp_path, "rows", 2, {"id": ["a"], "z": [0.0]})
    (left_out,) = freeze(store, spec(base), WINDOWS).left_out
    assert left_out.day == dt.date(2013, 1, 2)
    assert "date=2013-01-02/part.parquet has no column 'x'" in left_out.reason
    for number in range(1, 10):
        put(tmp_path, "rows", number, {"id": ["a"], "z": [0.0]})
    with pytest.raises(MissingColumn, match=r"2013-01-01.*'x'"):
        freeze(store, spec(base), WINDOWS)


def test_empty_csv_objects_are_not_pinned(store, tmp_path):
    """They have no header, but no row of them lacks a column."""
    for number in range(1, 8):
        for kind, text in {"rows": "id,x\n1,2.5\n", "labels": "id,y\n1,true\n"}.items():
            folder = tmp_path / kind / f"date=2013-01-{number:02}"
            folder.mkdir(parents=True)
            (folder / "part-0.csv").write_text("" if number != 5 else text)
            (folder / "part-1.csv").write_text("" if number == 2 else text)
    manifest = freeze(store, spec(uri_of(tmp_path), format="CSV"), WINDOWS)
    assert [day.day.day for day in manifest.features] == [1, 3, 4, 5]
    assert [len(day.objects) for day in manifest.features] == [1, 1, 1, 2]
    assert (manifest.train, manifest.left_out) == (WINDOWS.train, ())


def test_rows_and_labels_are_counted(store, base):
    manifest = freeze(store, spec(base), WINDOWS)
    data = load(store, manifest, manifest.train, spec(base))
    report = data.report
    assert (report.feature_rows, report.label_rows, report.matched) == (12, 15, 6)
    assert report.unlabelled == 6, "of each day one without a label, and one whose label is NULL"
    assert report.orphaned_labels == 0, "labels of the two days after belong to the hold-out"
    assert np.unique(data.days, return_counts=True)[1].tolist() == [2, 2, 2]
    assert data.target.to_pylist() == ["1", "0"] * 3


def test_labels_in_the_partition_of_their_arrival(store, base, tmp_path):
    for number in range(1, 10):
        put(tmp_path, "labels", number, {"id": [f"{number - 2}-{i}" for i in range(4)], "y": [True] * 4})
    manifest = freeze(store, spec(base), WINDOWS)
    assert load(store, manifest, manifest.train, spec(base)).rows == 12
    assert load(store, manifest, manifest.holdout, spec(base)).rows == 8


def test_orphaned_labels_are_counted_for_days_with_all_rows(store, base, tmp_path):
    """Late labels of the first days may be of rows before the window, and labels after it are of later rows."""
    for number in range(1, 10):
        ids = [*(f"{number}-{i}" for i in range(4)), f"{number}-strange"]
        put(tmp_path, "labels", number, {"id": ids, "y": [True] * 5})
    manifest = freeze(store, spec(base), WINDOWS)
    days = (manifest.train[1] - manifest.train[0]).days + 1
    delay = spec(base).data.labels.delay_days
    assert load(store, manifest, manifest.train, spec(base)).report.orphaned_labels == days - delay


def test_a_day_with_few_labels_is_left_out(store, base, tmp_path):
    put(tmp_path, "labels", 2, {"id": ["2-0"], "y": [True]})
    manifest = freeze(store, spec(base), WINDOWS)
    data = load(store, manifest, manifest.train, spec(base))
    assert sorted(set(data.days.tolist())) == [15706, 15708], "without the second of January"
    assert (data.report.matched, data.report.immature) == (4, 1)


def test_a_day_with_few_outcomes_is_left_out(store, base, tmp_path):
    """The target is a column of the rows: a day is compared with the usual share of the window."""
    for number in range(1, 10):
        outcomes = [1, 0, 1, None, None, None] if number != 5 else [1, *[None] * 5]
        put(tmp_path, "rows", number, {"x": [1.0] * 6, "y": outcomes})
    plain = spec(base, labels=None)
    manifest = freeze(store, plain, WINDOWS)
    parts = [load(store, manifest, window, plain) for window in (manifest.train, manifest.holdout)]
    days = {dt.date(1970, 1, 1) + dt.timedelta(days=int(day)) for part in parts for day in part.days}
    assert dt.date(2013, 1, 5) not in days
    assert dt.date(2013, 1, 4) in days
    assert sum(part.report.immature for part in parts) == 1


def test_the_target_among_the_rows(store, base, tmp_path):
    for number in range(1, 10):
        put(tmp_path, "rows", number, {"x": [1.0, 2.0, 3.0], "y": [1, 0, None]})
    plain = spec(base, labels=None)
    manifest = freeze(store, plain, WINDOWS)
    assert manifest.labels == ()
    data = load(store, manifest, manifest.holdout, plain)
    assert (data.rows, data.report.unlabelled) == (4, 2)
