"""The best champion so far: the last one that was better than its predecessor.

Successors that are "not worse" may each be a little worse. Compared with the champion alone, ten of them could be ten
margins worse, so a challenger is also compared with the champion from which these steps began.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from modelmonitor_trainer.errors import ModelMonitorError
from modelmonitor_trainer.registry.model_files import LoadedModel, load_model
from modelmonitor_trainer.registry.succession import best_champion
from modelmonitor_trainer.train.holdout_scores import ChampionScores, HoldoutScores
from modelmonitor_trainer.train.inconclusive import InconclusiveTraining
from modelmonitor_trainer.train.rows import Rows, refuse_other_classes
from modelmonitor_trainer.train.run import Run

_LOG = logging.getLogger(__name__)


def load_best(run: Run, champion: LoadedModel | None, columns: Collection[str]) -> LoadedModel | None:
    """Load the best champion so far; None if that is the champion, or it cannot be scored on the rows.

    Parameters
    ----------
    run
        The training.
    champion
        The present champion.
    columns
        Columns that the hold-out rows will have.
    """
    try:
        record = best_champion(champion.version if champion else None, run.registry.find_version)
        if record is None or record.kind != "Skops":
            return None
        model = run.spec.model
        if (record.task, record.target) != (model.task, model.target):
            return None
        loaded = load_model(run.registry, record.version)
    except ModelMonitorError as error:
        # It is one more safeguard: without it, the training compares with the champion only.
        _LOG.warning("the challenger is not compared with the best champion so far: %s", error)
        return None
    missing = set(loaded.columns) - set(columns)
    if missing:
        _LOG.info("%s is not scored, because it needs %s", record.version, ", ".join(sorted(missing)))
        return None
    return loaded


def score_best(model: LoadedModel | None, rows: Rows) -> ChampionScores | None:
    """Return the scores of the best champion so far on the hold-out; None if it cannot be scored."""
    if model is None:
        return None
    try:
        refuse_other_classes(model.version, rows)
    except InconclusiveTraining as inconclusive:
        _LOG.info("%s is not scored: %s", model.version.version, inconclusive)
        return None
    return ChampionScores(model.version, HoldoutScores(model.predict_scores(rows.holdout.table), model.classes))
