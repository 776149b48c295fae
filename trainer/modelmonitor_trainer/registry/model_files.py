"""Model files, written and read without pickle, so that loading one cannot run code.

skops stores a pipeline as a schema and arrays, and creates only types that it trusts or that are listed here.
"""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import skops.io
from sklearn.pipeline import Pipeline

from modelmonitor_api.outcomes import ModelKind
from modelmonitor_api.spec import Feature, Task
from modelmonitor_trainer.arrays import Floats
from modelmonitor_trainer.data.model_arrays import feature_arrays
from modelmonitor_trainer.errors import BadConfiguration, BadData, NotFound, UnusableModel
from modelmonitor_trainer.model.pipeline import Model
from modelmonitor_trainer.registry.layout import MODEL_FILE
from modelmonitor_trainer.registry.records import VersionRecord
from modelmonitor_trainer.registry.registry import ModelRegistry
from modelmonitor_trainer.text import one_line

_LOG = logging.getLogger(__name__)

#: Types of the built-in estimators that skops does not trust by default: their trees, their calibration, the parts of a
#: target encoder, and the step with which HistGradientBoosting checks its codes. None of them runs code from a file: a
#: partial is created only of functions that are trusted themselves.
TRUSTED_TYPES = frozenset(
    {
        "functools.partial",
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.tree._tree.Tree",
        "sklearn.utils.validation.check_array",
    }
)


@dataclass(frozen=True)
class LoadedModel:
    """A version that is ready to predict.

    Attributes
    ----------
    version
        Its record.
    model
        Its pipeline.
    """

    version: VersionRecord
    model: Model

    @property
    def features(self) -> Sequence[Feature]:
        """Its features, in order."""
        return self.model.features

    @property
    def columns(self) -> list[str]:
        """Names of its features."""
        return [feature.name for feature in self.model.features]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes as text, in the order of the probabilities."""
        return self.model.classes

    @property
    def task(self) -> Task:
        """Its task."""
        return self.model.task

    def predict_scores(self, rows: pa.Table | pd.DataFrame, absent: Collection[str] = ()) -> Floats:
        """Score rows that have its columns.

        Parameters
        ----------
        rows
            As read (Arrow), or as models take them (a data frame: floats with NaN, text with None).
        absent
            Columns that are no longer written, and count as missing.

        Returns
        -------
        (n,) or (n, k)
            Probability of the positive class, of all classes, or predicted values; see
            :mod:`~modelmonitor_trainer.model.metrics`.

        Raises
        ------
        UnusableModel
            If a column is missing, or not of its declared type, or the model fails.
        """
        try:
            return self._scores(rows, absent)
        except BadData as error:
            raise UnusableModel(f"version {self.version.version} cannot score the rows: {error}") from error
        except Exception as error:
            # Files of a version can be years old, and libraries raise anything.
            raise UnusableModel(
                f"version {self.version.version} cannot score the rows ({type(error).__name__}: {one_line(error)}); "
                "compare the libraries in its environment.json with this image, or roll back to another version"
            ) from error

    def _scores(self, rows: pa.Table | pd.DataFrame, absent: Collection[str]) -> Floats:
        names = list(rows.column_names) if isinstance(rows, pa.Table) else list(rows.columns)
        for name in absent:
            if name not in names and isinstance(rows, pa.Table):
                rows = rows.append_column(name, pa.nulls(rows.num_rows))
                names.append(name)
        missing = [name for name in self.columns if name not in names]
        if missing:
            raise BadData(
                f"it needs the feature {missing[0]!r}, and the rows do not have it; keep it in model.features until "
                "another version is the champion"
            )
        if isinstance(rows, pa.Table):
            return self.model.scores(feature_arrays(rows, self.features))
        return self.model.scores({name: rows[name].to_numpy() for name in self.columns})


def dump_model(model: Model) -> bytes:
    """Return a fitted pipeline as the content of a file."""
    return bytes(skops.io.dumps(model.pipeline))


def load_model(registry: ModelRegistry, version: str) -> LoadedModel:
    """Return a version of the built-in trainer, ready to predict.

    Raises
    ------
    BadConfiguration
        If a custom trainer made it: only its image can predict with it.
    NotFound
        If there is no such version.
    UnusableModel
        If the file is missing, has changed, or contains types that models do not.
    """
    record = registry.version(version)
    if record.kind == ModelKind.CUSTOM:
        raise BadConfiguration(
            f"version {record.version} was made by the trainer image {record.image or '(unnamed)'}, and only that "
            "image can predict with it; log its predictions and set model.predictionColumn to monitor its score"
        )
    try:
        pipeline = read_pipeline(registry.read_file(record, MODEL_FILE))
    except (BadData, NotFound) as error:
        raise UnusableModel(f"version {record.version} cannot be loaded: {error}") from error
    return LoadedModel(record, Model(pipeline, tuple(record.features), record.task, tuple(record.classes)))


def read_pipeline(data: bytes) -> Pipeline:
    """Return the pipeline in the content of a file.

    Raises
    ------
    BadData
        If the file contains types that models do not.
    """
    try:
        untrusted = sorted(set(skops.io.get_untrusted_types(data=data)) - TRUSTED_TYPES)
    except (zipfile.BadZipFile, ValueError, KeyError) as error:
        raise BadData(
            f"the model file cannot be read ({error}); it is corrupt, or not written by the built-in trainer"
        ) from error
    if untrusted:
        raise BadData(
            f"the model file contains {', '.join(untrusted[:3])}, which models of the built-in trainer never contain; "
            "it is not loaded"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            pipeline = skops.io.loads(data, trusted=sorted(TRUSTED_TYPES))
        except Exception as error:
            # Damaged content reaches the constructors of libraries, which raise anything.
            raise BadData(
                f"the model file cannot be read ({type(error).__name__}: {one_line(error)}); it is corrupt, or was "
                "written by other releases of the libraries"
            ) from error
    for warning in caught:
        # Such as: written by another release of scikit-learn.
        _LOG.warning("loading the model: %s", warning.message)
    if not isinstance(pipeline, Pipeline):
        raise BadData(f"the model file contains {type(pipeline).__name__} instead of a pipeline; it is not loaded")
    return pipeline
