"""Engines: the same bytes and the same errors, on threads, on executors and in other processes."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import threading
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from modelmonitor_api.spec import DataFormat, Feature, FeatureType
from modelmonitor_trainer.data import parquet
from modelmonitor_trainer.data.tables import Unreadable, scan
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.errors import ObjectChanged, OutOfMemory
from modelmonitor_trainer.profile.binning import fit_plan
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.engine import ExecutorEngine, ThreadEngine
from modelmonitor_trainer.profile.hashing import digest
from modelmonitor_trainer.profile.moments import Scale, scale_of, to_bytes
from modelmonitor_trainer.profile.object_profile import ObjectProfile
from modelmonitor_trainer.profile.plans import NumericPlan, plan_to_json
from modelmonitor_trainer.profile.tasks import ProfileTask
from modelmonitor_trainer.profile.window import profile_objects, profile_window
from modelmonitor_trainer.profile.window_moments import window_moments
from modelmonitor_trainer.storage.open import StoreConfig, open_store
from support.narrowing import as_type
from support.profiles import KillingStore, assert_same, set_part_bytes

PARQUET, CSV, JSON_LINES = DataFormat.PARQUET, DataFormat.CSV, DataFormat.JSON_LINES
FEATURES = [Feature(name=name, type=FeatureType.NUMERIC) for name in ("x", "y")]
FEATURES += [Feature(name="w", type=FeatureType.CATEGORICAL)]
PART_BYTES = 20_000


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(parquet, "PART_BYTES", PART_BYTES)


@pytest.fixture(scope="module")
def processes():
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=spawn, initializer=set_part_bytes, initargs=(PART_BYTES,)) as pool:
        yield pool


@pytest.fixture(params=["one thread", "four threads", "executor of threads", "executor of processes"])
def engine(request):
    if request.param == "one thread":
        yield ThreadEngine(1)
    elif request.param == "four threads":
        yield ThreadEngine(4)
    elif request.param == "executor of processes":
        yield ExecutorEngine(request.getfixturevalue("processes"), StoreConfig(), in_flight=2)
    else:
        with ThreadPoolExecutor(2) as pool:
            yield ExecutorEngine(pool, StoreConfig())


def write(folder, fmt):
    draw = np.random.default_rng(3)
    folder.mkdir()
    for number, rows in enumerate((12_000, 300, 1)):
        x = draw.normal(1e6, 1e-3, rows)
        words = draw.choice(2_000, rows).astype(str)
        table = pa.table({"x": pa.array(x, mask=draw.random(rows) < 0.1), "y": x + draw.normal(size=rows), "w": words})
        path = folder / f"{number}.data"
        if fmt is PARQUET:
            pq.write_table(table, path, row_group_size=999)
        elif fmt is CSV:
            pyarrow.csv.write_csv(table, path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    store = open_store(None)
    return store, store.list(f"file://{folder}/")


def stored(store, prefix):
    return {info.uri.removeprefix(prefix): store.read(info.uri) for info in store.list(prefix)}


@pytest.mark.parametrize("fmt", [PARQUET, CSV, JSON_LINES])
def test_the_stored_bytes_do_not_depend_on_the_engine(tmp_path, engine, fmt):
    store, objects = write(tmp_path / "data", fmt)
    batches = [Batch("first", tuple(objects[:2])), Batch("second", tuple(objects[2:]))]
    plan = fit_plan(store, objects, FEATURES, fmt)
    if fmt is PARQUET:
        with scan(store, objects[0], None, fmt, in_parts=True) as opened:
            assert len(opened.others) > 3

    def run(prefix, with_engine):
        cache = ProfileCache(store, prefix)
        window = profile_window(store, batches, plan, fmt, cache, what="", engine=with_engine)
        numeric = [as_type(NumericPlan, column) for column in plan[:2]]
        scales = [as_type(Scale, scale_of(column, window.columns[column.name].total.counts)) for column in numeric]
        moments = window_moments(store, batches, scales, fmt, cache, engine=with_engine)
        return stored(store, prefix), window, [to_bytes(batch) for batch in moments]

    expected, reference, moments = run(f"file://{tmp_path}/expected/", ThreadEngine(1))
    result, window, again = run(f"file://{tmp_path}/result/", engine)
    assert sorted(name.rpartition(".")[2] for name in expected) == ["moments"] * 3 + ["profile"] * 3
    assert result == expected
    assert again == moments
    assert_same(window, reference)
    # From the cache, without another read of the objects.
    for info in objects:
        store.delete(info.uri)
    assert run(f"file://{tmp_path}/result/", engine)[2] == moments


def test_the_errors_do_not_depend_on_the_engine(tmp_path, engine):
    store, objects = write(tmp_path / "data", PARQUET)
    plan = fit_plan(store, objects, FEATURES, PARQUET)
    store.write(objects[1].uri, b"no parquet")
    objects[1] = store.head(objects[1].uri)
    store.write(objects[2].uri, store.read(objects[0].uri))  # replaced after the listing
    results = profile_objects(store, objects, plan, PARQUET, ProfileCache(store, None), engine=engine)
    assert as_type(ObjectProfile, next(results)).rows == 12_000
    unreadable = next(results)
    assert type(unreadable) is Unreadable
    assert unreadable.uri == objects[1].uri
    assert str(unreadable).startswith(f"{objects[1].uri} cannot be read as Parquet")
    with pytest.raises(ObjectChanged) as raised:
        next(results)
    assert raised.value.uri == objects[2].uri
    assert "has been replaced since it was listed" in str(raised.value)


def test_a_task_and_a_part_are_small_whatever_the_file(tmp_path):
    store, objects = write(tmp_path / "data", PARQUET)
    plan = fit_plan(store, objects, FEATURES, PARQUET)
    task = ProfileTask(objects[0], plan, digest(plan_to_json(plan)), PARQUET)
    first = pickle.loads(pickle.dumps(task)).run(store)
    assert first.others[0].footer is not None
    part = pickle.loads(pickle.dumps(first.others[0]))
    assert (part, part.footer) == (first.others[0], None)
    assert len(pickle.dumps(first.others[0])) < 1_000
    again = pickle.loads(pickle.dumps(task.others(first)[0])).run(store)
    assert_same(again, task.others(first)[0].run(store))


class Recording(Executor):
    """Notes which threads submit."""

    def __init__(self, pool):
        self._pool, self.submitters = pool, []

    def submit(self, fn, /, *args, **kwargs):
        self.submitters.append(threading.get_ident())
        return self._pool.submit(fn, *args, **kwargs)


@dataclass(frozen=True)
class CountedStore:
    """Counts how often a store is opened."""

    name: str
    opened: ClassVar[list[str]] = []

    def open(self):
        self.opened.append(self.name)
        return open_store(None)


def test_only_the_caller_submits_and_a_store_is_opened_once(tmp_path):
    """A worker that waits for tasks of its own pool can wait for ever."""
    store, objects = write(tmp_path / "data", PARQUET)
    plan = fit_plan(store, objects, FEATURES, PARQUET)
    with ThreadPoolExecutor(1) as pool:
        executor = Recording(pool)
        engine = ExecutorEngine(executor, CountedStore("once"))
        profiles = list(profile_objects(store, objects, plan, PARQUET, ProfileCache(store, None), engine=engine))
        pool.submit(len, "").result()  # it has not been shut down
    assert [as_type(ObjectProfile, profile).rows for profile in profiles] == [12_000, 300, 1]
    assert len(executor.submitters) > 5
    assert set(executor.submitters) == {threading.get_ident()}
    assert CountedStore.opened == ["once"]


def test_a_worker_that_is_killed_is_an_error_of_the_check(tmp_path):
    store, objects = write(tmp_path / "data", PARQUET)
    plan = fit_plan(store, objects, FEATURES, PARQUET)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        engine = ExecutorEngine(pool, KillingStore())
        with pytest.raises(OutOfMemory, match="a worker process ended unexpectedly"):
            list(profile_objects(store, objects, plan, PARQUET, ProfileCache(store, None), engine=engine))
