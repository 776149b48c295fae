"""When to retrain: pure functions from facts and a clock to a decision.

The operator calls :func:`decide` on the cluster and the command line calls it over past
data. There is no other place where it is decided whether to train, so the two cannot differ.
"""

from typing import TYPE_CHECKING

from modelmonitor_policy.decision import Action, Decision, decide
from modelmonitor_policy.facts import ChampionSeen, CheckSeen, Facts, InFlight, TrainingSeen, WatchSeen
from modelmonitor_policy.gates import backoff
from modelmonitor_policy.watch import StepBack, promotion_token, step_back

__version__: str
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

if not TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """Return ``__version__`` from the installed metadata, on access because reading it slows down imports."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("modelmonitor-policy")
