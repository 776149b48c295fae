"""Errors cross process boundaries with their message and every attribute."""

from __future__ import annotations

import datetime as dt
import importlib
import pickle
import pkgutil

import pytest

import modelmonitor_trainer
from modelmonitor_api.spec import DataFormat
from modelmonitor_trainer import errors
from modelmonitor_trainer.data.tables import MissingColumn, Unreadable
from modelmonitor_trainer.registry.records import Decision, Pointer, Tenure
from modelmonitor_trainer.registry.recovery import PointerLost
from modelmonitor_trainer.registry.registry import ChampionChanged, ChampionPinned

NOW = dt.datetime(2013, 5, 1, tzinfo=dt.UTC)
TENURE = Tenure(version="v1-0a1b2c3d", since=NOW, action="Promoted", by="job")
POINTER = Pointer.model_validate(TENURE.model_dump() | {"history": [TENURE.model_dump()]})
BUILT = {
    ChampionChanged: lambda: ChampionChanged("v1-0a1b2c3d", None),
    ChampionPinned: lambda: ChampionPinned(POINTER, Decision(since=NOW, by="pin", comment="audit")),
    MissingColumn: lambda: MissingColumn("s3://b/k", "x", ["a", "b"]),
    PointerLost: lambda: PointerLost("s3://b/champion.json", "s3://b/tenures/1"),
    Unreadable: lambda: Unreadable("s3://b/k", DataFormat.CSV, "line 3"),
    errors.ObjectChanged: lambda: errors.ObjectChanged("it changed", "s3://b/k"),
    errors.PreconditionFailed: lambda: errors.PreconditionFailed("it exists", "s3://b/k"),
}


def subclasses(cls):
    return {cls}.union(*(subclasses(child) for child in cls.__subclasses__()))


def every_error():
    for package in ("storage", "data", "profile", "registry"):
        folder = importlib.import_module(f"modelmonitor_trainer.{package}")
        for module in pkgutil.iter_modules(folder.__path__):
            if not module.name.startswith("_"):  # the compiled kernel is no Python module
                importlib.import_module(f"{folder.__name__}.{module.name}")
    return sorted(
        (
            cls
            for cls in subclasses(errors.ModelMonitorError)
            if cls.__module__.startswith(modelmonitor_trainer.__name__)
        ),
        key=lambda cls: cls.__name__,
    )


@pytest.mark.parametrize("cls", every_error(), ids=lambda cls: cls.__name__)
def test_an_error_survives_pickling(cls):
    error = BUILT.get(cls, lambda: cls("what happened"))()
    error.detail = {"added": "later"}
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is cls
    assert (str(restored), restored.args, vars(restored)) == (str(error), error.args, vars(error))
    assert (restored.reason, restored.exit_code) == (error.reason, error.exit_code)


def test_every_error_with_a_constructor_of_its_own_is_tested():
    own = {cls for cls in every_error() if "__init__" in vars(cls)}
    assert own <= BUILT.keys()
