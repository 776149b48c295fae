"""When to retrain: pure functions from facts and a clock to a decision.

The operator calls :func:`decide` on the cluster and the command line calls it over past
data. There is no other place where it is decided whether to train, so the two cannot differ.
"""

from modelmonitor_policy.decision import Action, Decision, decide
from modelmonitor_policy.facts import ChampionSeen, CheckSeen, Facts, InFlight, TrainingSeen, WatchSeen
from modelmonitor_policy.gates import backoff
from modelmonitor_policy.watch import StepBack, promotion_token, step_back

__version__ = "0.1.0"
__all__ = [
    "Action",
    "ChampionSeen",
    "CheckSeen",
    "Decision",
    "Facts",
    "InFlight",
    "StepBack",
    "TrainingSeen",
    "WatchSeen",
    "backoff",
    "decide",
    "promotion_token",
    "step_back",
]
