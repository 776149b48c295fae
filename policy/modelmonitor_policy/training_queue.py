"""Which trainings may start where their number is limited: those that were decided first."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class TrainingTurn:
    """A training that a monitor has decided on: trainings start in this order.

    Attributes
    ----------
    since
        When it was decided.
    namespace, monitor
        The monitor.
    """

    since: dt.datetime
    namespace: str
    monitor: str


@dataclass(frozen=True)
class TrainingLimits:
    """How many trainings may run at the same time; 0 means any number.

    Attributes
    ----------
    total
        In all namespaces of the operator.
    per_namespace
        In one namespace.
    """

    total: int = 0
    per_namespace: int = 0

    @property
    def unlimited(self) -> bool:
        """Whether any number may run."""
        return not (self.total or self.per_namespace)

    def describe(self) -> str:
        """Return the limits as the end of a sentence."""
        parts = [f"{self.total} in all namespaces"] if self.total else []
        if self.per_namespace:
            parts.append(f"{self.per_namespace} in one namespace")
        return f"the number of trainings at the same time is limited to {' and '.join(parts)}"


def find_startable(
    waiting: Iterable[TrainingTurn], running: Iterable[str], limits: TrainingLimits
) -> tuple[TrainingTurn, ...]:
    """Return the trainings that may start now, in their order.

    A namespace whose limit is reached does not keep the trainings of other namespaces from starting.

    Parameters
    ----------
    waiting
        The trainings that have been decided and have not started.
    running
        The namespace of each training that runs.
    limits
        How many may run.
    """
    by_namespace = Counter(running)
    total = by_namespace.total()
    startable: list[TrainingTurn] = []
    for turn in sorted(waiting):
        if limits.total and total >= limits.total:
            break
        if limits.per_namespace and by_namespace[turn.namespace] >= limits.per_namespace:
            continue
        startable.append(turn)
        by_namespace[turn.namespace] += 1
        total += 1
    return tuple(startable)
