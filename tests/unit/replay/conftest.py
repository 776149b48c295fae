"""A monitor over ninety days of rows whose relationship changes, for replays."""

import datetime as dt
import os

import numpy as np
import pytest

from modelmonitor_api.messages import MonitorRef
from modelmonitor_trainer.replay.replay import ReplayRequest
from modelmonitor_trainer.replay.run import Range
from modelmonitor_trainer.replay.settings import Setting
from unit.check.conftest import FIRST, World

MONITOR = MonitorRef(namespace="default", name="mon", uid="local")
#: The relationship of rows and outcomes turns on this day.
CHANGE = FIRST + dt.timedelta(days=50)


class Past(World):
    """Ninety days; trainings every eight days."""

    def __init__(self, folder):
        super().__init__(folder)
        self.folder = folder
        self.spec["data"].pop("reference")
        self.spec["triggers"] = {"everyDays": 8, "onDrift": False, "onPerformance": True}
        self.spec["retraining"] = {
            "windowDays": 14,
            "minNewShare": "0",
            "estimator": {"name": "LogisticRegression"},
        }
        self.spec["promotion"] = {"metric": "ROCAUC", "holdoutDays": 5, "minHoldoutRows": 100}

    def rows(self, day, *, seed=None, count=240):
        rows, labels = super().rows(day, seed=seed, count=count)
        if day >= CHANGE:
            labels["late"] = np.logical_not(labels["late"])
        return rows, labels

    def request(self, *, first=42, last=66, name="results", **fields):
        """Return the request of a replay from one day of the year through another."""
        days = Range(FIRST + dt.timedelta(days=first - 1), FIRST + dt.timedelta(days=last - 1))
        return ReplayRequest(MONITOR, (Setting("own", self.parsed()),), days, self.folder / name, **fields)


def write_and_read(store, name):
    """A function for worker processes, in a module that they can import, however pytest was started."""
    uri = f"{store._results.root}{name}"
    store.write(uri, name.encode())
    return store.read(uri), os.getpid()


@pytest.fixture(scope="session")
def past(tmp_path_factory):
    past = Past(tmp_path_factory.mktemp("past"))
    past.land_days(1, 90)
    return past
