"""The champion's pointer: races, repeats, rollbacks; versions: written once, checked before they are used."""

import datetime as dt
import io
import itertools
import pickle
import threading
import zipfile

import numpy as np
import pyarrow as pa
import pytest
import skops.io
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from modelmonitor_api.outcomes import ModelKind
from modelmonitor_api.spec import Task
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound
from modelmonitor_trainer.registry.layout import ResultsLayout
from modelmonitor_trainer.registry.model_files import dump_model, load_model, read_pipeline
from modelmonitor_trainer.registry.records import Decision
from modelmonitor_trainer.registry.registry import ChampionChanged, ModelRegistry
from modelmonitor_trainer.registry.writer import put_once
from modelmonitor_trainer.storage.local import path_of, uri_of
from modelmonitor_trainer.storage.open import open_store
from unit.registry.registries import NOW, at, model, promoted, stored


@pytest.fixture
def registry(tmp_path):
    return ModelRegistry(open_store(None), ResultsLayout(f"{uri_of(tmp_path)}/results/ns/mon/"))


def test_before_the_first_promotion(registry):
    assert registry.champion() is None
    assert registry.versions() == []
    with pytest.raises(NotFound, match="no champion"):
        registry.rollback("previous", by="j", now=NOW)


def test_promotions_are_a_history(registry):
    first, second = promoted(registry, 1, 2)
    pointer = registry.champion()
    assert (pointer.version, pointer.previous, pointer.since) == (second.version, first.version, at(2))
    assert (pointer.metric, pointer.score, pointer.data_end) == ("ROCAUC", 0.72, dt.date(2013, 3, 2))
    assert [tenure.version for tenure in pointer.history] == [second.version, first.version]
    champion = pointer.to_champion()
    assert (champion.version, champion.score) == (second.version, "0.72")
    assert champion.data_end == dt.datetime(2013, 3, 3, tzinfo=dt.UTC), "a day ends where the next begins"
    assert [record.version for record in registry.versions()] == [second.version, first.version]


@pytest.mark.parametrize(
    ("start", "end", "served"),
    [
        (0, 0, []),
        (1, 1, [1]),
        (1.5, 1.5, [1]),
        (2, 2, [2]),  # at the very moment of the switch: the new one
        (400, 400, [1]),
        (0, 1, []),  # a day ends before the next begins
        (0, 1.01, [1]),
        (1.5, 2.5, [1, 2]),
        (0, 400, [1, 2, 1]),
    ],
)
def test_which_version_served_when(registry, start, end, served):
    first, second = promoted(registry, 1, 2)
    registry.rollback("previous", by="j", now=at(3))
    pointer = registry.champion()
    periods = pointer.serving_periods(at(start), at(end))
    names = {1: first.version, 2: second.version}
    assert [one.tenure.version for one in periods] == [names[number] for number in served]
    for one, following in itertools.pairwise(periods):
        assert one.until == following.tenure.since


def test_what_a_version_was_trained_on_is_known_when_the_version_is_gone(registry):
    first, _ = promoted(registry, 1, 2)
    for item in registry.store.list(registry.layout.version(first.version).folder):
        registry.store.delete(item.uri)
    pointer = registry.champion()
    (served,) = pointer.serving_periods(at(1.5), at(1.5))
    assert (served.tenure.data_start, served.tenure.data_end) == (first.train.start, first.train.end)
    assert (served.tenure.train_rows, served.tenure.manifest_sha256) == (first.train.rows, first.manifest_sha256)


def test_a_promotion_is_made_once(registry):
    (first,) = promoted(registry, 1)
    before = registry.store.read(registry.layout.champion)
    registry.promote(first, instead_of=None, by="train-1", now=at(5))
    assert registry.store.read(registry.layout.champion) == before


def test_a_restarted_pod_does_not_undo_a_rollback(registry):
    first, second = promoted(registry, 1, 2)
    registry.rollback("previous", by="rollback-1", now=at(3))
    pointer = registry.promote(second, instead_of=first.version, by="train-2", now=at(4))
    assert pointer.version == first.version


def test_a_promotion_over_another_champion_fails(registry):
    first, second = promoted(registry, 1, 2)
    third = stored(registry, 3)
    with pytest.raises(ChampionChanged, match=second.version) as changed:
        registry.promote(third, instead_of=first.version, by="train-3", now=at(3))
    assert changed.value.pointer is not None
    assert changed.value.pointer.version == second.version
    with pytest.raises(ChampionChanged):
        registry.promote(third, instead_of=None, by="train-3", now=at(3))
    assert registry.champion().version == second.version


@pytest.mark.parametrize("start", [(), (1,)])
def test_only_one_of_several_concurrent_trainings_promotes(registry, start):
    champions = promoted(registry, *start)
    before = champions[-1].version if champions else None
    rivals = [stored(registry, number) for number in range(2, 8)]
    outcomes, ready = [], threading.Barrier(len(rivals))

    def race(record):
        ready.wait()
        try:
            ModelRegistry(open_store(None), registry.layout).promote(
                record, instead_of=before, by=record.version, now=at(9)
            )
            outcomes.append(record.version)
        except ChampionChanged:
            pass

    threads = [threading.Thread(target=race, args=(record,)) for record in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [registry.champion().version]


def test_a_lost_response_of_the_store_is_not_a_conflict(registry):
    """The store wrote the pointer, but its response was lost: the client tries again, and the condition fails."""
    first = stored(registry, 1)

    class LosesFirstResponse:
        def __getattr__(self, name):
            return getattr(registry.store, name)

        def write(self, uri, data, **conditions):
            registry.store.write(uri, data, **conditions)
            return registry.store.write(uri, data, **conditions)

    pointer = ModelRegistry(LosesFirstResponse(), registry.layout).promote(
        first, instead_of=None, by="train-1", now=at(1)
    )
    assert pointer.version == first.version


def test_a_job_rolls_back_once(registry):
    first, second = promoted(registry, 1, 2)
    pointer, changed = registry.rollback("previous", by="rollback-1", now=at(3))
    assert (pointer.version, pointer.previous, changed) == (first.version, second.version, True)
    assert pointer.action == "RolledBack"
    again, changed = registry.rollback("previous", by="rollback-1", now=at(4))
    assert (again, changed) == (pointer, False)
    forth, changed = registry.rollback("previous", by="rollback-2", now=at(5))
    assert (forth.version, changed) == (second.version, True)
    versions = [tenure.version for tenure in forth.history]
    assert versions == [second.version, first.version, second.version, first.version]


def test_rollback_to_a_version(registry):
    first, _, third = promoted(registry, 1, 2, 3)
    pointer, _ = registry.rollback(first.version, by="r", now=at(4))
    assert (pointer.version, pointer.previous) == (first.version, third.version)
    same, changed = registry.rollback(first.version, by="s", now=at(5))
    assert (same.version, changed) == (first.version, False)


def test_impossible_rollbacks_are_rejected(registry):
    promoted(registry, 1)
    with pytest.raises(NotFound, match="first champion"):
        registry.rollback("previous", by="r", now=NOW)
    never = stored(registry, 5)
    with pytest.raises(BadConfiguration, match="never been the champion"):
        registry.rollback(never.version, by="r", now=NOW)


def test_after_a_retirement_a_rollback_names_the_versions_before(registry):
    promoted(registry, 1)
    registry.decide(retired=Decision(since=NOW, by="a", comment="another target"))
    registry.promote(stored(registry, 2), instead_of=None, by="train-2", now=at(2))
    with pytest.raises(NotFound, match="the champion before it was retired; name the version, for example v1-00000001"):
        registry.rollback("previous", by="r", now=at(3))


def test_a_corrupted_version_is_no_target_of_a_rollback(registry):
    first, second = promoted(registry, 1, 2)
    uri = registry.layout.version(first.version).file("model.skops")
    path_of(uri).write_bytes(b"something else")
    with pytest.raises(BadData, match="SHA-256"):
        registry.rollback("previous", by="r", now=NOW)
    assert registry.champion().version == second.version


def test_files_are_written_once(registry):
    kept, data = registry.write_file("v1-00000000", "card.md", b"first")
    again, still = registry.write_file("v1-00000000", "card.md", b"second")
    assert (kept, data) == (again, still)
    assert still == b"first"
    assert put_once(registry.store, registry.layout.version("v1-00000000").file("card.md"), b"third") == b"first"


@pytest.mark.parametrize("name", ["", "..", "../v1", "v1/..", "v1 x", "vé"])
def test_names_that_no_version_has(registry, name):
    with pytest.raises(NotFound):
        registry.version(name)


def test_a_version_without_its_record_does_not_exist(registry):
    registry.write_file("v1-00000000", "model.skops", b"half")
    assert registry.find_version("v1-00000000") is None
    assert registry.versions() == []
    with pytest.raises(NotFound, match="v1-00000000"):
        load_model(registry, "v1-00000000")


@pytest.mark.parametrize("data", [b"", b"{}", b"not json", b"[]", b'{"version": 3}'])
def test_a_corrupted_pointer_is_reported(registry, data):
    promoted(registry, 1)
    path_of(registry.layout.champion).write_bytes(data)
    with pytest.raises(BadData, match=r"champion\.json cannot be read"):
        registry.champion()


def test_a_stored_model_predicts_as_before(registry):
    promoted(registry, 1)
    loaded = load_model(registry, registry.champion().version)
    table = pa.table({"kind": ["a", None, "new"], "x": [0.5, -1.0, 2.0], "more": [1, 2, 3]})
    arrays = {"x": np.array([0.5, -1, 2]), "kind": np.array(["a", None, "new"], dtype=object)}
    expected = model().scores(arrays)
    assert loaded.predict_scores(table).tobytes() == expected.tobytes()
    assert loaded.predict_scores(table.to_pandas()).tobytes() == expected.tobytes()
    assert (loaded.columns, loaded.classes, loaded.task) == (["x", "kind"], ("0", "1"), Task.BINARY_CLASSIFICATION)
    with pytest.raises(BadData, match="'x'"):
        loaded.predict_scores(table.drop_columns(["x"]))


def test_a_model_of_a_custom_trainer_is_not_loaded(registry):
    record = stored(registry, 1, kind=ModelKind.CUSTOM, image="mine:1")
    with pytest.raises(BadConfiguration, match="mine:1"):
        load_model(registry, record.version)


def test_a_changed_model_is_not_loaded(registry):
    record = stored(registry, 1)
    path_of(registry.layout.version(record.version).file("model.skops")).write_bytes(dump_model(model()) + b" ")
    with pytest.raises(BadData, match="SHA-256"):
        load_model(registry, record.version)
    with pytest.raises(NotFound):
        registry.read_file(record, "other")


def shout(values):
    return values


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (pickle.dumps(Ridge()), "cannot be read"),
        (b"", "cannot be read"),
        (skops.io.dumps(Pipeline([("f", FunctionTransformer(shout)), ("m", Ridge())])), "shout"),
        (skops.io.dumps(Ridge()), "Ridge"),
    ],
)
def test_files_that_are_no_model_are_not_loaded(data, words):
    with pytest.raises(BadData, match=words):
        read_pipeline(data)


def test_a_zip_that_is_no_model():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("other.txt", "hello")
    with pytest.raises(BadData, match="cannot be read"):
        read_pipeline(buffer.getvalue())
