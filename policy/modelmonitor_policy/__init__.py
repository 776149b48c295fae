"""When to retrain: pure functions from facts and a clock to a decision.

The operator calls :func:`decide` on the cluster and the command line calls it over past
data. There is no other place where it is decided whether to train, so the two cannot differ.
"""

from modelmonitor_policy.decision import Action, Decision, decide
from modelmonitor_policy.facts import ChampionSeen, CheckSeen, Facts, InFlight, TrainingSeen
from modelmonitor_policy.gates import backoff

__version__ = "0.1.0"
__all__ = [
    "Action",
    "ChampionSeen",
    "CheckSeen",
    "Decision",
    "Facts",
    "InFlight",
    "TrainingSeen",
    "backoff",
    "decide",
]
