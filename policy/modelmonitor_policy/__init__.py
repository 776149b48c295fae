"""Decision logic of ModelMonitor: pure functions from observations and a clock to what to start.

:func:`plan` is the only place that decides whether to check, train, promote or roll back. The operator executes its
intents as Jobs, and a replay over past data executes the same intents in process. The package imports neither
Kubernetes nor any other I/O, and the time is an argument everywhere.

The command line uses the schedules of this package, so that a monitor is tested at the same significance level on a
laptop and in a pod. Of its commands only ``replay`` plans; the others do what the user asks.
"""

from typing import TYPE_CHECKING

from modelmonitor_policy.decision import Action, Decision, decide
from modelmonitor_policy.facts import Facts, facts_of
from modelmonitor_policy.intents import (
    AutoRollback,
    Intent,
    RollbackCause,
    StartCheck,
    StartPromotion,
    StartRollback,
    StartTraining,
)
from modelmonitor_policy.observations import JobObservation
from modelmonitor_policy.plan import INITIAL_CHECK, plan, wake_at
from modelmonitor_policy.planned_jobs import PlannedJob, check_request, plan_job, plan_scheduled_check
from modelmonitor_policy.requests import Requests
from modelmonitor_policy.training_queue import TrainingLimits, TrainingTurn, find_startable
from modelmonitor_policy.transitions import apply_job_results, fail_lost_training, known_jobs, record_intent
from modelmonitor_policy.waiting import record_waiting_jobs

__version__: str
__all__ = [
    "INITIAL_CHECK",
    "Action",
    "AutoRollback",
    "Decision",
    "Facts",
    "Intent",
    "JobObservation",
    "PlannedJob",
    "Requests",
    "RollbackCause",
    "StartCheck",
    "StartPromotion",
    "StartRollback",
    "StartTraining",
    "TrainingLimits",
    "TrainingTurn",
    "apply_job_results",
    "check_request",
    "decide",
    "facts_of",
    "fail_lost_training",
    "find_startable",
    "known_jobs",
    "plan",
    "plan_job",
    "plan_scheduled_check",
    "record_intent",
    "record_waiting_jobs",
    "wake_at",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """Return ``__version__`` from the installed metadata, on access because reading it slows down imports."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("modelmonitor-policy")
