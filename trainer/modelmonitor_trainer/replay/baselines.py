"""Policies to compare a monitor with: never retrain, every so many days, and reactions without a gate."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelmonitor_api.spec import ModelMonitorSpec, Triggers, WatchAction
from modelmonitor_trainer.replay.candidates import Candidate
from modelmonitor_trainer.replay.settings import Setting

#: Periods in multiples of the grid.
_MULTIPLES = (1, 2, 4, 8)
#: Names of the policies; those of the periodic ones are "every N days".
_NEVER, _ON_DRIFT, _ON_DROP = "never retrain", "on drift, no gate", "on a drop, no gate"
#: Name of the cheapest schedule in hindsight.
ORACLE = "oracle"


@dataclass(frozen=True)
class FixedSchedule:
    """A policy that trains on fixed days, on the newest rows, with nothing held out and without a gate.

    Attributes
    ----------
    name
        Display name.
    models
        The models that serve, in order.
    """

    name: str
    models: tuple[Candidate, ...]


def is_policy_name(name: str) -> bool:
    """Return whether a policy has this name, which a setting to compare with must not have."""
    return name in {_NEVER, _ON_DRIFT, _ON_DROP, ORACLE} or re.fullmatch(r"every \d+ days", name) is not None


def grid_times(first: dt.date, last: dt.date, days: int) -> list[dt.datetime]:
    """Return the midnights, in UTC, at which models of the grid are trained."""
    count = max(0, (last - first).days) // days
    midnight = dt.datetime.combine(first, dt.time(), dt.UTC)
    return [midnight + dt.timedelta(days=days * index) for index in range(count + 1)]


def grid_days(first: dt.date, last: dt.date) -> int:
    """Return the days between trainings on the grid: whole weeks, so that there are at most about 26 trainings."""
    return 7 * max(1, -(-((last - first).days) // (26 * 7)))


def fixed_schedules(grid: Sequence[Candidate | None], days: int) -> list[FixedSchedule]:
    """Return the policies on the models of a grid.

    Parameters
    ----------
    grid
        The models; None where none could be trained.
    days
        Days between two models of the grid.
    """
    if not grid or grid[0] is None:
        return []
    schedules = [FixedSchedule(_NEVER, (grid[0],))]
    for multiple in _MULTIPLES:
        chosen = tuple(model for model in grid[::multiple] if model is not None)
        if len(chosen) > 1:
            schedules.append(FixedSchedule(f"every {multiple * days} days", chosen))
    return schedules


def reactive_settings(spec: ModelMonitorSpec) -> list[Setting]:
    """Return the settings that train on drift or on a drop of the score, and promote each model that is trained."""
    retraining = spec.retraining.model_copy(update={"min_new_share": "0"})
    promotion = spec.promotion.model_copy(
        update={"watch": spec.promotion.watch.model_copy(update={"action": WatchAction.NONE})}
    )
    plain = spec.model_copy(update={"retraining": retraining, "promotion": promotion})

    def reacting(name: str, *, on_drift: bool) -> Setting:
        triggers = Triggers(on_drift=on_drift, on_performance=not on_drift)
        return Setting(name, plain.model_copy(update={"triggers": triggers}), gated=False)

    return [reacting(_ON_DRIFT, on_drift=True), reacting(_ON_DROP, on_drift=False)]
