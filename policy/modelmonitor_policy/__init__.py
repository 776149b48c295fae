"""Pure decision logic of ModelMonitor: from observations and a clock to what to start.

Nothing in this package reads a clock, a file or a network, so the same code can decide on a cluster and over past data.
"""

from modelmonitor_policy.auto_rollback import AutoRollback, find_auto_rollback, promotion_token
from modelmonitor_policy.decision import Action, Decision, decide
from modelmonitor_policy.facts import Facts
from modelmonitor_policy.holds import backoff
from modelmonitor_policy.observations import (
    ChampionObservation,
    CheckObservation,
    JobInFlight,
    JobObservation,
    TrainingObservation,
    WatchObservation,
)

__version__ = "0.1.0"
__all__ = [
    "Action",
    "AutoRollback",
    "ChampionObservation",
    "CheckObservation",
    "Decision",
    "Facts",
    "JobInFlight",
    "JobObservation",
    "TrainingObservation",
    "WatchObservation",
    "backoff",
    "decide",
    "find_auto_rollback",
    "promotion_token",
]
