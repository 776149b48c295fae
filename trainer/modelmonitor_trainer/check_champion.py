"""The champion as a check sees it: its facts for the operator, and the objects that it was trained on."""

from __future__ import annotations

from modelmonitor_api.status import Champion
from modelmonitor_trainer.check_inputs import ChampionFacts
from modelmonitor_trainer.storage import Store


def find_champion(store: Store, prefix: str) -> tuple[Champion | None, ChampionFacts | None]:
    """Return the model in production and what it was trained on, or None twice."""
    if store.head(f"{prefix}champion.json") is None:
        return None, None
    raise NotImplementedError
