"""The final fit: once a challenger has passed the gate, its recipe is fitted once more, with the hold-out.

A hold-out shows that a recipe is good, and costs the newest labelled days. The gate has compared models that have not
seen them. The model that serves has, so it is judged by the champion watch, and here by a test that nothing went wrong.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, replace

from modelmonitor_api.spec import Strategy, Task
from modelmonitor_trainer.data.classes import class_indices, with_new_classes
from modelmonitor_trainer.data.labels import Dataset, load
from modelmonitor_trainer.data.manifest import Manifest
from modelmonitor_trainer.data.model_arrays import true_values
from modelmonitor_trainer.data.windows import Window
from modelmonitor_trainer.model.metrics import Undefined, aligned, bounded, metric_value, sign
from modelmonitor_trainer.model.pipeline import Model
from modelmonitor_trainer.registry.digest import fitted_digest
from modelmonitor_trainer.registry.layout import MODEL_FILE
from modelmonitor_trainer.registry.model_files import dump_model, read_pipeline
from modelmonitor_trainer.registry.records import StoredFile
from modelmonitor_trainer.train.holdout_scores import HoldoutScores
from modelmonitor_trainer.train.refit import fit_window
from modelmonitor_trainer.train.rows import Rows, arrays_of
from modelmonitor_trainer.train.run import Run, version_of
from modelmonitor_trainer.train.strategy import TrainingResult, WarmStartSource, train_by_strategy
from modelmonitor_trainer.train.unseen_rows import without_copies

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class FinalModel:
    """The model that serves.

    Attributes
    ----------
    window, rows
        First and last day that it was fitted to, and its labelled rows.
    file
        Its file, already written.
    fitted_sha256
        Digest of its fitted parameters.
    classes
        Classes in the order of its scores.
    """

    window: Window
    rows: int
    file: StoredFile
    fitted_sha256: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """How a challenger was fitted, to fit it once more.

    Attributes
    ----------
    run, manifest, rows
        Run, data manifest, and the rows of the comparison.
    result
        The fit that was compared.
    source
        The champion as the starting point of a warm start; None if there is none.
    """

    run: Run
    manifest: Manifest
    rows: Rows
    result: TrainingResult
    source: WarmStartSource | None

    def fit_final(self, compared: HoldoutScores) -> FinalModel | None:
        """Fit the recipe to the window that ends with the hold-out, and write the model.

        Parameters
        ----------
        compared
            Scores of the model that was compared.

        Returns
        -------
        FinalModel
            None if the new fit is worse on the rows that it was fitted to than the compared one on rows that it had not
            seen: then something is wrong with it.
        """
        window = final_window(self.manifest)
        if self.rows.since is not None:
            window = max(window[0], self.rows.since), window[1]
        dataset = without_copies(load(self.run.store, self.manifest, window, self.run.spec), self.run.spec)
        model = self._fit(dataset)
        stored = dump_model(model)
        if not self._is_sound(replace(model, pipeline=read_pipeline(stored)), compared):
            _LOG.warning("the final fit is worse than the model that was compared, which serves instead")
            return None
        file, content = self.run.registry.write_file(version_of(self.run, self.manifest), MODEL_FILE, stored)
        _LOG.info("fitted once more, to %s rows of %s through %s", f"{dataset.rows:,}", *window)
        return FinalModel(window, dataset.rows, file, fitted_digest(content), model.classes)

    def _fit(self, dataset: Dataset) -> Model:
        if self.result.strategy is not Strategy.WARM_START:
            return fit_window(self.run.spec, dataset, self.result.chosen)
        spec = self.run.spec
        classes, truth = self.rows.known_classes, self.rows.train_truth
        if spec.model.task is Task.REGRESSION:
            truth = true_values(dataset.target, spec.model.target)
        else:
            # A class that only the hold-out has cannot be learnt by continuing.
            every = with_new_classes(list(classes), dataset.target, spec.model.target)
            indices = class_indices(dataset.target, spec.model.target, every)
            known = (indices >= 0) & (indices < len(classes))
            dataset, truth = dataset.filter(known), indices[known]
        rows = replace(self.rows, train=dataset, train_truth=truth)
        return train_by_strategy(spec, rows, self.source).model

    def _is_sound(self, model: Model, compared: HoldoutScores) -> bool:
        """Whether a model that has seen the hold-out is as good on it as the one that has not."""
        promotion, rows = self.run.spec.promotion, self.rows
        scores = [
            aligned(own, classes, rows.classes)
            for own, classes in (
                (model.scores(arrays_of(rows.holdout, self.run.spec)), model.classes),
                (compared.scores, compared.classes),
            )
        ]
        try:
            seen, unseen = (metric_value(promotion.metric, rows.holdout_truth, one) for one in scores)
        except Undefined:
            return True
        margin = bounded(promotion.metric, float(promotion.non_inferiority_margin), unseen, None, 1.0)
        return sign(promotion.metric) * (seen - unseen) >= -margin


def final_window(manifest: Manifest) -> Window:
    """Return the window of the final fit: as long as the training window, and ending with the hold-out.

    >>> train, holdout = (dt.date(2013, 1, 1), dt.date(2013, 1, 10)), (dt.date(2013, 1, 11), dt.date(2013, 1, 14))
    >>> final_window(Manifest(None, train, holdout, (), (), (), ""))[0]
    datetime.date(2013, 1, 5)
    """
    moved = (manifest.holdout[1] - manifest.train[1]).days
    return manifest.train[0] + dt.timedelta(days=moved), manifest.holdout[1]
