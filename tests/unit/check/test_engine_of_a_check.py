"""A check runs on any executor: profiles and moments, of both sources, with the same result."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelmonitor_api.spec import Sensitivity
from modelmonitor_trainer.check.pipeline import check_files, check_monitor
from modelmonitor_trainer.check.sources.files import Files
from modelmonitor_trainer.detect.result import to_json
from modelmonitor_trainer.profile.engine import ExecutorEngine, ThreadEngine
from modelmonitor_trainer.profile.tasks import ProfileTask
from modelmonitor_trainer.profile.window_moments import MomentsTask
from modelmonitor_trainer.storage.open import StoreConfig, open_store

NOW = dt.datetime(2013, 2, 10, 6, tzinfo=dt.UTC)


class Recorder(ThreadPoolExecutor):
    """Threads that record the types of the tasks that they run."""

    def __init__(self):
        super().__init__(2)
        self.kinds = set()

    def submit(self, fn, /, *args, **kwargs):
        self.kinds.add(type(args[0]))
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
def executor():
    with Recorder() as executor:
        yield executor


@pytest.fixture
def no_threads(monkeypatch):
    """Fail if a task runs on the threads of the default engine."""
    monkeypatch.setattr(ThreadEngine, "run", lambda *_, **__: pytest.fail("a task ran on another engine"))


def decided(result):
    return {key: value for key, value in to_json(result).items() if key != "timings"}


def test_a_check_of_files_runs_on_an_executor(files, executor, request):
    sides = Files(f"{files}/reference/*.parquet", f"{files}/current/*.parquet", correlations=True)
    expected = check_files(open_store(None), sides, Sensitivity(), 1.0, now=NOW)
    request.getfixturevalue("no_threads")
    engine = ExecutorEngine(executor, StoreConfig())
    result = check_files(open_store(None), sides, Sensitivity(), 1.0, now=NOW, engine=engine)
    assert decided(result) == decided(expected)
    assert result.timings.keys() == expected.timings.keys() >= {"windows", "reference", "current", "tests"}
    assert executor.kinds == {ProfileTask, MomentsTask}


def test_a_check_of_a_monitor_runs_on_an_executor(world, executor, request):
    world.spec["detectors"] = [
        {"name": "features", "type": "FeatureDrift"},
        {"name": "pairs", "type": "CorrelationDrift"},
    ]
    expected = check_monitor(world.store, world.request(), due=NOW, now=NOW)
    for info in world.store.list(f"{world.base}/results/"):
        world.store.delete(info.uri)  # profiles from the cache are not computed again
    request.getfixturevalue("no_threads")
    engine = ExecutorEngine(executor, StoreConfig())
    result = check_monitor(world.store, world.request(), due=NOW, now=NOW, engine=engine)
    assert decided(result) == decided(expected)
    assert executor.kinds == {ProfileTask, MomentsTask}
