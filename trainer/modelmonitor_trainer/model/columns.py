"""Preprocessing: encodes, imputes and scales features; fitted to the training rows and stored with the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder

from modelmonitor_api.spec import (
    CategoricalEncoding,
    Feature,
    FeatureType,
    NumericImputation,
    Preprocessing,
    Scaling,
)
from modelmonitor_trainer.arrays import Array

#: Code of a missing or unknown category for estimators that do not accept NaN.
_NO_CATEGORY = -1
#: Folds of the cross-fitting of a target encoder: a row's own outcome must not influence its encoded value.
_ENCODER_FOLDS = 5


def columns_step(
    steps: Preprocessing, features: Sequence[Feature], *, takes_nan: bool, classifies: bool, seed: int
) -> ColumnTransformer:
    """Return the unfitted preprocessing step: numeric columns first, then categorical ones.

    Parameters
    ----------
    steps
        ``spec.retraining.estimator.preprocessing``.
    features
        Features of the model.
    takes_nan
        Whether the estimator accepts missing values.
    classifies
        Whether the estimator is a classifier.
    seed
        Seed of the cross-fitting of a target encoder.
    """
    numeric = [feature.name for feature in features if feature.type is FeatureType.NUMERIC]
    categorical = [feature.name for feature in features if feature.type is FeatureType.CATEGORICAL]
    return ColumnTransformer(
        [
            ("numeric", _numeric_steps(steps), numeric),
            ("categorical", _encoder(steps, takes_nan=takes_nan, classifies=classifies, seed=seed), categorical),
        ],
        remainder="drop",
        sparse_threshold=0.0,
    )


def frame(arrays: Mapping[str, Array], features: Sequence[Feature]) -> pd.DataFrame:
    """Return features as a data frame: float columns with NaN for non-finite values, and object columns with None."""
    return pd.DataFrame({feature.name: _column(arrays[feature.name], feature) for feature in features})


def missing_numbers(columns: ColumnTransformer, rows: pd.DataFrame) -> dict[str, int]:
    """Return the number of missing values of each numeric column that has some; empty if they are imputed."""
    _, steps, numeric = columns.transformers[0]
    if isinstance(steps, Pipeline) and "impute" in steps.named_steps:
        return {}
    return {str(name): int(count) for name, count in rows[numeric].isna().sum().items() if count}


def _column(values: Array, feature: Feature) -> pd.Series[Any]:
    if feature.type is FeatureType.CATEGORICAL:
        return pd.Series(values, dtype=object)
    numbers = np.asarray(values, dtype=np.float64)
    return pd.Series(np.where(np.isfinite(numbers), numbers, np.nan))


def _numeric_steps(steps: Preprocessing) -> Any:
    chain: list[tuple[str, Any]] = []
    if steps.numeric_imputation is not NumericImputation.NONE:
        chain.append(("impute", SimpleImputer(strategy=steps.numeric_imputation.value.lower())))
    if steps.scaling is Scaling.STANDARD:
        chain.append(("scale", StandardScaler()))
    return Pipeline(chain) if chain else "passthrough"


def _encoder(steps: Preprocessing, *, takes_nan: bool, classifies: bool, seed: int) -> Any:
    if steps.categorical_encoding is CategoricalEncoding.ONE_HOT:
        return OneHotEncoder(
            handle_unknown="infrequent_if_exist", max_categories=steps.max_categories, sparse_output=False
        )
    if steps.categorical_encoding is CategoricalEncoding.TARGET:
        folds = StratifiedKFold if classifies else KFold
        # Set explicitly, because integer outcomes of a regression would be taken for classes.
        target_type = "auto" if classifies else "continuous"
        return TargetEncoder(target_type=target_type, cv=folds(_ENCODER_FOLDS, shuffle=True, random_state=seed))
    missing = np.nan if takes_nan else _NO_CATEGORY
    return OrdinalEncoder(
        handle_unknown="use_encoded_value",
        unknown_value=missing,
        encoded_missing_value=missing,
        max_categories=steps.max_categories,
        dtype=np.float64,
    )
