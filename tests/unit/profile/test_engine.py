"""Profiles of objects and windows: computed once, cached, and computed again where corrupted."""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmonitor_api.spec import DataFormat, Feature
from modelmonitor_trainer.data.tables import Unreadable
from modelmonitor_trainer.data.windows import Batch
from modelmonitor_trainer.errors import BadData
from modelmonitor_trainer.profile.binning import fit_plan
from modelmonitor_trainer.profile.cache import ProfileCache
from modelmonitor_trainer.profile.columns import CategoricalProfile, NumericProfile
from modelmonitor_trainer.profile.object_profile import ObjectProfile, from_bytes, to_bytes
from modelmonitor_trainer.profile.plans import CategoricalPlan
from modelmonitor_trainer.profile.window import profile_objects, profile_window, require_readable
from modelmonitor_trainer.storage.local import uri_of
from modelmonitor_trainer.storage.open import open_store
from support.narrowing import as_type
from support.profiles import assert_same

FEATURES = (
    Feature(name="x", type="Numeric", minimum="-2", maximum="2"),
    Feature(name="c", type="Categorical", allowed_values=["a", "b"]),
)


class Counting:
    """A store that records which objects are opened."""

    def __init__(self, store):
        self._store = store
        self.opened = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def open(self, info):
        self.opened.append(info.uri)
        return self._store.open(info)


def parquet(columns, rows_in_group=50):
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), buffer, row_group_size=rows_in_group)
    return buffer.getvalue().to_pybytes()


@pytest.fixture
def lake(tmp_path):
    store, base = Counting(open_store(None)), uri_of(tmp_path)
    generator = np.random.default_rng(0)
    for number in range(3):
        x = pa.array(generator.normal(size=200), mask=generator.random(200) < 0.1)
        store.write(
            f"{base}/data/{number}.parquet", parquet({"x": x, "c": generator.choice(["a", "b", "z"], 200).tolist()})
        )
    return store, store.list(f"{base}/data/"), ProfileCache(store, f"{base}/profiles/")


def batch_per_object(objects):
    return [Batch(info.uri, (info,)) for info in objects]


def same(one, other):
    assert (one.rows, set(one.columns)) == (other.rows, set(other.columns))
    for name in one.columns:
        assert_same(one.columns[name], other.columns[name])


def test_a_cached_profile_equals_the_computed_one(lake):
    store, objects, cache = lake
    plan = fit_plan(store, objects, FEATURES, DataFormat.PARQUET)
    computed = list(profile_objects(store, objects, plan, DataFormat.PARQUET, cache))
    store.opened.clear()
    cached = list(profile_objects(store, objects, plan, DataFormat.PARQUET, cache))
    assert store.opened == []
    for one, other in zip(computed, cached, strict=True):
        same(one, other)


def test_only_a_new_object_is_read(lake):
    store, objects, cache = lake
    plan = fit_plan(store, objects, FEATURES, DataFormat.PARQUET)
    list(profile_objects(store, objects, plan, DataFormat.PARQUET, cache))
    store.write(objects[1].uri, parquet({"x": [1.0], "c": ["a"]}))
    now = [objects[0], store.head(objects[1].uri), objects[2]]
    store.opened.clear()
    profiles = list(profile_objects(store, now, plan, DataFormat.PARQUET, cache))
    assert store.opened == [objects[1].uri]
    assert [as_type(ObjectProfile, profile).rows for profile in profiles] == [200, 1, 200]


def test_progress_of_a_large_text_object(tmp_path, monkeypatch):
    monkeypatch.setattr("modelmonitor_trainer.profile.engine._POLL", 0.001)
    monkeypatch.setattr("modelmonitor_trainer.data.text_blocks.BLOCK_BYTES", 10_000)
    x = np.random.default_rng(0).normal(size=100_000)
    pyarrow.csv.write_csv(pa.table({"x": x}), tmp_path / "0.csv")
    store = open_store(None)
    ticks: list[int] = []
    objects = store.list(f"{uri_of(tmp_path)}/")
    plan = fit_plan(store, objects, FEATURES[:1], DataFormat.CSV)
    done = profile_objects(store, objects, plan, DataFormat.CSV, ProfileCache(store, None), tick=ticks.append)
    assert [as_type(ObjectProfile, profile).rows for profile in done] == [100_000]
    assert len([tick for tick in ticks if tick]) > 5
    assert min(ticks) >= 0
    assert objects[0].size / 4 < sum(ticks) <= objects[0].size


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no archive", None])
def test_a_corrupted_profile_is_computed_again(lake, damage):
    store, objects, cache = lake
    plan = fit_plan(store, objects, FEATURES, DataFormat.PARQUET)
    computed = list(profile_objects(store, objects, plan, DataFormat.PARQUET, cache))
    cached = store.list(objects[0].uri.partition("/data/")[0] + "/profiles/")
    for info in cached:
        data = store.read(info.uri)
        store.write(info.uri, data[: len(data) // 2] if damage is None else damage)
    store.opened.clear()
    again = list(profile_objects(store, objects, plan, DataFormat.PARQUET, cache))
    assert sorted(store.opened) == [info.uri for info in objects]
    for one, other in zip(computed, again, strict=True):
        same(one, other)


def test_counts_that_do_not_add_up_are_rejected(lake):
    store, objects, _ = lake
    plan = fit_plan(store, objects, FEATURES, DataFormat.PARQUET)
    (result,) = profile_objects(store, objects[:1], plan, DataFormat.PARQUET, ProfileCache(store, None))
    good = as_type(ObjectProfile, result)
    good.columns["x"].counts[3] += 1
    with pytest.raises(ValueError, match="do not add up"):
        from_bytes(to_bytes(good), plan)


@given(st.binary(max_size=300))
@settings(max_examples=50)
def test_random_bytes_are_no_profile(data):
    with pytest.raises(ValueError):  # noqa: PT011 - NumPy raises ValueError for pickles as well; all mean corruption
        from_bytes(data, ())


def test_a_window_is_the_sum_of_its_batches(lake):
    store, objects, cache = lake
    plan = fit_plan(store, objects, FEATURES, DataFormat.PARQUET)
    by_file = profile_window(store, batch_per_object(objects), plan, DataFormat.PARQUET, cache, what="")
    at_once = profile_window(store, [Batch("all", tuple(objects))], plan, DataFormat.PARQUET, cache, what="")
    for name in ("x", "c"):
        assert np.array_equal(by_file.columns[name].total.counts, at_once.columns[name].total.counts)
        assert by_file.columns[name].counts.shape[0] == 3
    assert by_file.rows == at_once.rows == 600
    numeric = as_type(NumericProfile, by_file.columns["x"].total)
    categorical = as_type(CategoricalProfile, by_file.columns["c"].total)
    assert categorical.disallowed_rows == categorical.disallowed["z"]
    assert numeric.below + numeric.above > 0


def test_broken_objects_and_missing_columns_are_findings(lake):
    store, objects, cache = lake
    plan = fit_plan(store, objects, FEATURES, DataFormat.PARQUET)
    store.write(objects[1].uri, b"no parquet")
    store.write(objects[2].uri, parquet({"x": [1.0, 2.0]}))
    now = [store.head(info.uri) for info in objects]
    window = profile_window(store, batch_per_object(now), plan, DataFormat.PARQUET, cache, what="")
    assert window.rows == 202
    assert "1.parquet cannot be read" in window.blocks[1].unreadable[0]
    assert window.blocks[2].lacking == {"c": (objects[2].uri,)}
    assert window.columns["c"].total.rows == 200
    with pytest.raises(BadData, match="the reference is broken"):
        require_readable(window, "reference")


def test_no_rows_and_no_row_groups(lake):
    store, objects, cache = lake
    plan = fit_plan(store, objects, FEATURES, DataFormat.PARQUET)
    store.write(objects[0].uri, parquet(pa.schema([("x", pa.float64()), ("c", pa.string())]).empty_table()))
    (empty,) = profile_objects(store, [store.head(objects[0].uri)], plan, DataFormat.PARQUET, cache)
    assert isinstance(empty, ObjectProfile)
    assert empty.rows == empty.columns["x"].rows == 0


def test_a_sample_can_skip_unreadable_objects(lake):
    store, objects, _ = lake
    store.write(objects[0].uri, b"no parquet")
    now = [store.head(info.uri) for info in objects]
    with pytest.raises(Unreadable):
        fit_plan(store, now, FEATURES, DataFormat.PARQUET)
    plan = fit_plan(store, now, FEATURES, DataFormat.PARQUET, skip_unreadable=True)
    assert plan[0].cells > 100
    assert set(as_type(CategoricalPlan, plan[1]).categories) == {"a", "b", "z"}
