"""Large objects in parts: the same bytes for any number of threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import DataFormat, Feature, FeatureType
from modelmonitor_trainer.data import parquet
from modelmonitor_trainer.data.tables import scan
from modelmonitor_trainer.profile.binning import fit_plan
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.engine import ThreadEngine
from modelmonitor_trainer.profile.hashing import digest
from modelmonitor_trainer.profile.object_profile import ObjectProfile, to_bytes
from modelmonitor_trainer.profile.plans import plan_to_json
from modelmonitor_trainer.profile.tasks import PartProfile, ProfileTask
from modelmonitor_trainer.profile.window import profile_objects
from modelmonitor_trainer.storage.open import open_store
from support.narrowing import as_type

FEATURES = [Feature(name="x", type=FeatureType.NUMERIC), Feature(name="w", type=FeatureType.CATEGORICAL)]
FMT = DataFormat.PARQUET


@pytest.fixture
def objects(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "PART_BYTES", 20_000)
    draw = np.random.default_rng(3)
    for number, rows in enumerate((30_000, 0, 700)):
        values = draw.normal(1e6, 1e-3, rows)
        words = pa.array(draw.choice(2_000, rows).astype(str)) if rows else pa.array([], pa.string())
        table = pa.table({"x": pa.array(values, mask=draw.random(rows) < 0.1), "w": words})
        pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=1_999)
    return open_store(None), open_store(None).list(f"file://{tmp_path}/")


def test_the_same_bytes_for_any_number_of_threads(objects):
    store, infos = objects
    plan = fit_plan(store, infos, FEATURES, FMT)
    with scan(store, infos[0], ["x", "w"], FMT, in_parts=True) as opened:
        assert len(opened.others) > 3
    cache = ProfileCache(store, None)
    results = [
        [
            to_bytes(as_type(ObjectProfile, profile))
            for profile in profile_objects(store, infos, plan, FMT, cache, engine=ThreadEngine(threads))
        ]
        for threads in (1, 2, 4)
    ]
    assert results[0] == results[1] == results[2]
    assert results[0] == [to_bytes(in_sequence(store, info, plan)) for info in infos]


def in_sequence(store, info, plan):
    """Profile an object part by part, without an engine."""
    task = ProfileTask(info, plan, digest(plan_to_json(plan)), FMT)
    first = as_type(PartProfile, task.run(store))
    return task.combine([first, *(as_type(PartProfile, other.run(store)) for other in task.others(first))])


def test_parts_have_every_chunk_once(objects):
    store, infos = objects
    with scan(store, infos[0], None, FMT, in_parts=True) as opened:
        chunks = [name for name, _ in opened.chunks]
        rows = opened.rows
        others = opened.others
    read = 0
    for part in others:
        with scan(store, infos[0], None, FMT, part=part) as opened:
            part_chunks = list(opened.chunks)
        chunks += [name for name, _ in part_chunks]
        read += sum(len(values) for name, values in part_chunks if name == "x")
    assert chunks == ["x", "w"] * 16
    with scan(store, infos[0], ["x"], FMT) as opened:  # whole by default
        assert opened.others == ()
        assert sum(len(values) for _, values in opened.chunks) == rows == 30_000
    assert 0 < read < rows


@pytest.mark.parametrize("nested", [False, True])
def test_texts_are_decoded_some_bytes_at_a_time(tmp_path, monkeypatch, nested):
    """Arrow's dictionary of a column chunk holds every value seen so far: for free text, all of the file."""
    monkeypatch.setattr(parquet, "BATCH_BYTES", 100_000)
    texts = [f"{row:06d} {'long ' * 200}" for row in range(3_000)]
    few = ["a", "b", "c"] * 1_000
    nested_column = {"list": pa.array([[1, 2]] * 3_000)} if nested else {}
    pq.write_table(pa.table({**nested_column, "text": texts, "few": few}), tmp_path / "texts.parquet")
    store = open_store(None)
    (info,) = store.list(f"file://{tmp_path}/")
    with scan(store, info, ["text", "few"], FMT) as opened:
        chunks = list(opened.chunks)
    batches = [values for name, values in chunks if name == "text"]
    assert [text for values in batches for text in values.to_pylist()] == texts
    assert max(values.nbytes for values in batches) < 200_000
    assert [len(values) for name, values in chunks if name == "few"] == [3_000], "a small column chunk is read at once"


def test_a_column_whose_name_begins_like_another(tmp_path):
    pq.write_table(pa.table({"a.b": [1.0, 2.0], "a": [5.0, 6.0]}), tmp_path / "dots.parquet")
    store = open_store(None)
    with scan(store, store.list(f"file://{tmp_path}/")[0], ["a"], FMT) as opened:
        assert [(name, values.to_pylist()) for name, values in opened.chunks] == [("a", [5.0, 6.0])]


def test_a_corrupted_part_is_an_error_of_the_object(objects):
    store, infos = objects
    plan = fit_plan(store, infos, FEATURES, FMT)
    with Path(infos[0].uri.removeprefix("file://")).open("r+b") as file:
        file.seek(infos[0].size // 2)
        file.write(b"\xff" * 30_000)
    now = store.list(infos[0].uri)
    (result,) = profile_objects(store, now, plan, FMT, ProfileCache(store, None), engine=ThreadEngine(2))
    assert infos[0].uri in str(result)
    assert isinstance(result, Exception)
