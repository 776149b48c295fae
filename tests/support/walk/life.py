"""The life of a monitor in a world: real checks, trainings and gate under the real plan, on a simulated clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from modelmonitor_api.messages import CheckVerdict, MonitorRef, RunVerdict
from modelmonitor_api.names import Role
from modelmonitor_api.outcomes import RunOutcome
from modelmonitor_api.spec import ModelMonitorSpec
from modelmonitor_api.status import ModelMonitorStatus
from modelmonitor_policy import Decision
from modelmonitor_trainer.registry.model_files import LoadedModel, load_model
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.replay.arrival import Arrival
from modelmonitor_trainer.replay.jobs import run_job
from modelmonitor_trainer.replay.past_store import PastData, PastStore, ResultsFolder
from modelmonitor_trainer.replay.run import Range, simulate
from modelmonitor_trainer.replay.simulation import Event, SimulatedMonitor
from modelmonitor_trainer.storage.open import StoreConfig
from support.walk.landing import day_of, land, number_of, spec_of
from support.walk.worlds import World

#: Days after which a person removes a feature that is no longer written from the spec.
REPAIR = 5
_MONITOR = MonitorRef(namespace="default", name="walk", uid="walk")


@dataclass(frozen=True)
class Step:
    """A Job that has run, with what the monitor knew before and after it.

    Attributes
    ----------
    event
        The Job and its answer.
    spec
        The spec that it ran with.
    before, after
        The status before and after.
    decision
        What the condition Training says after it.
    """

    event: Event
    spec: ModelMonitorSpec
    before: ModelMonitorStatus
    after: ModelMonitorStatus
    decision: Decision

    @property
    def day(self) -> int:
        """The day on which it ran."""
        return number_of(self.event.time.date())

    @property
    def check(self) -> CheckVerdict | None:
        """Its verdict, if it is a check that has one."""
        return self.event.answer if isinstance(self.event.answer, CheckVerdict) else None

    @property
    def training(self) -> RunVerdict | None:
        """Its verdict, if it is a training that has one."""
        answer = self.event.answer
        return answer if isinstance(answer, RunVerdict) and self.event.job.role is Role.TRAIN else None

    @property
    def promoted(self) -> bool:
        """Whether it is a training whose version was promoted."""
        return self.training is not None and self.training.outcome is RunOutcome.PROMOTED


@dataclass(frozen=True)
class Life:
    """A world that has been lived.

    Attributes
    ----------
    world
        The world.
    steps
        Everything that happened, in order.
    registry
        The registry at the end.
    """

    world: World
    steps: tuple[Step, ...]
    registry: ModelRegistry

    @property
    def spec(self) -> ModelMonitorSpec:
        """The spec at the end."""
        return self.steps[-1].spec

    @property
    def checks(self) -> list[Step]:
        """All checks, also those without a verdict."""
        return [step for step in self.steps if step.event.job.role is Role.CHECK]

    @property
    def trainings(self) -> list[Step]:
        """All trainings, also those without a verdict."""
        return [step for step in self.steps if step.event.job.role is Role.TRAIN]

    @cached_property
    def models(self) -> dict[str, LoadedModel]:
        """The models that have been champions."""
        versions = {step.after.champion.version for step in self.steps if step.after.champion is not None}
        return {version: load_model(self.registry, version) for version in versions}

    def serving(self, day: int) -> str | None:
        """Return the version that serves the rows of a day: the champion when it begins."""
        midnight = dt.datetime.combine(day_of(day), dt.time(), dt.UTC)
        champion = None
        for step in self.steps:
            if step.event.time > midnight:
                break
            champion = step.after.champion
        return champion.version if champion is not None else None


def live_in(world: World, folder: Path, on_step: Callable[[Step], None] = lambda _: None) -> Life:
    """Land a world in a folder, and live it.

    Parameters
    ----------
    world
        The world.
    folder
        An empty folder.
    on_step
        Called after each event.
    """
    land(world, folder)
    spec = spec_of(world, folder)
    config = StoreConfig.of(spec.storage)
    root = spec.storage.results_uri
    store = PastStore(
        config.open(), PastData.list(config.open(), spec, Arrival.MODIFIED), ResultsFolder(root, f"{root}profiles/")
    )
    monitor = SimulatedMonitor(_MONITOR, spec, lambda job, now: run_job(store.at(now), job, now))
    steps = []
    for step in _steps(world, folder, monitor):
        steps.append(step)
        on_step(step)
    return Life(world, tuple(steps), ModelRegistry.of(store, monitor.spec, _MONITOR))


def _steps(world: World, folder: Path, monitor: SimulatedMonitor) -> Iterator[Step]:
    if world.lost is None:
        yield from _observed(monitor, 0, world.days - 1)
        return
    repaired = world.lost + REPAIR
    yield from _observed(monitor, 0, repaired - 1)
    monitor.spec = spec_of(world, folder, without="load")
    monitor.monitor = monitor.monitor.model_copy(update={"generation": 2})
    monitor.status = monitor.status.model_copy(update={"observed_generation": 2})
    yield from _observed(monitor, repaired, world.days - 1)


def _observed(monitor: SimulatedMonitor, first: int, last: int) -> Iterator[Step]:
    before = monitor.status
    for event in simulate(monitor, Range(day_of(first), day_of(last))):
        yield Step(event, monitor.spec, before, monitor.status, monitor.decision(event.time))
        before = monitor.status
