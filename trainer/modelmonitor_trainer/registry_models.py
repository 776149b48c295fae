"""Model files: written and read without pickle, so that reading one cannot run code.

skops stores a pipeline as a schema and arrays, and creates only types that it trusts or that are named here.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import skops.io

from modelmonitor_api.spec import Feature, Task
from modelmonitor_trainer.failures import BadConfiguration, BadData
from modelmonitor_trainer.labels import feature_arrays
from modelmonitor_trainer.metrics import Array, Floats
from modelmonitor_trainer.pipeline import Model
from modelmonitor_trainer.registry_versions import MODEL_FILE, VersionRecord, read_file
from modelmonitor_trainer.storage import Store

_LOG = logging.getLogger(__name__)

#: What our estimators need beyond the types that skops trusts by itself: their trees, and the step with which
#: HistGradientBoosting checks its codes. None of them runs what a file says: a partial is created only of functions
#: that are trusted themselves.
TRUSTED_TYPES = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
    }
)


@dataclass(frozen=True)
class LoadedModel:
    """A version that can be asked.

    Attributes
    ----------
    record
        What it is.
    model
        Its pipeline.
    """

    record: VersionRecord
    model: Model

    @property
    def version(self) -> str:
        """Name of the version."""
        return self.record.version

    @property
    def features(self) -> Sequence[Feature]:
        """What it takes, in order."""
        return self.model.features

    @property
    def columns(self) -> list[str]:
        """The columns that it takes."""
        return [feature.name for feature in self.model.features]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes as text, in the order of its probabilities."""
        return self.model.classes

    @property
    def task(self) -> Task:
        """What it predicts."""
        return self.model.task

    def predict_scores(self, table: pa.Table) -> Floats:
        """Return what the model says of the rows of a table that has its columns.

        Returns
        -------
        (n,) or (n, k)
            Probability of the positive class, of all classes, or predicted values; see
            :mod:`~modelmonitor_trainer.metrics`.

        Raises
        ------
        BadData
            If a column is not of its declared type.
        """
        return self.predict_arrays(feature_arrays(table, self.features))

    def predict_arrays(self, arrays: Mapping[str, Array]) -> Floats:
        """Return the same of features that are arrays already."""
        return self.model.scores(arrays)


def dump_model(model: Model) -> bytes:
    """Return a fitted pipeline as the content of a file."""
    return bytes(skops.io.dumps(model.pipeline))


def load_model(store: Store, prefix: str, record: VersionRecord) -> LoadedModel:
    """Return a version of the built-in trainer, ready to be asked.

    Raises
    ------
    BadConfiguration
        If a trainer of the user's own made it: only that trainer can ask it.
    BadData
        If the file has changed or holds something that models do not.
    """
    if record.trainer == "Own":
        raise BadConfiguration(
            f"version {record.version} was made by the trainer image {record.image or '(unnamed)'}, and only that "
            "image can ask it; log its predictions and set model.predictionColumn to have its score followed"
        )
    return restore(read_file(store, prefix, record, MODEL_FILE), record)


def restore(data: bytes, record: VersionRecord) -> LoadedModel:
    """Return the model in the content of a file that has been checked against its SHA-256."""
    strange = sorted(set(skops.io.get_untrusted_types(data=data)) - TRUSTED_TYPES)
    if strange:
        raise BadData(
            f"the model of version {record.version} holds {', '.join(strange[:3])}, which models of the built-in "
            "trainer do not hold; it is not loaded"
        )
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pipeline = skops.io.loads(data, trusted=sorted(TRUSTED_TYPES))
    for warning in said:
        # Such as: written by another release of scikit-learn.
        _LOG.warning("loading version %s: %s", record.version, warning.message)
    model = Model(pipeline, tuple(record.features), record.task, tuple(record.classes))
    return LoadedModel(record, model)
