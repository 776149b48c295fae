"""Categories of a model under every spelling that a check takes for the same.

``docs/explanation/values.md`` defines which values are equal: true and 1, and 19.90 and 19.9, where the model knows
only one of them. Without this, a column that changes its type would be new to the model and ordinary for the check.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.compose import ColumnTransformer

from modelmonitor_api.spec import Feature, FeatureType
from modelmonitor_trainer.arrays import Array
from modelmonitor_trainer.data.canonical import words_of
from modelmonitor_trainer.profile.categories import Vocabulary, merge_spellings


def merged(rows: pd.DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """Return rows in which true and false have one spelling each, to fit a model to.

    Parameters
    ----------
    rows
        From :func:`~modelmonitor_trainer.model.columns.frame`.
    features
        Their features.
    """
    changed = {}
    for feature in features:
        if feature.type is not FeatureType.CATEGORICAL:
            continue
        codes, words = pd.factorize(rows[feature.name].to_numpy())
        counts = np.bincount(codes[codes >= 0], minlength=len(words)).tolist()
        known = merge_spellings(dict(zip(map(str, words), counts, strict=True)))
        if len(known) < len(words):
            changed[feature.name] = _taken(_resolve_words(Vocabulary.of(list(known)), words), codes)
    return rows.assign(**changed) if changed else rows


def respelled(rows: pd.DataFrame, columns: ColumnTransformer) -> pd.DataFrame:
    """Return rows with their categories spelled as a fitted model knows them.

    Parameters
    ----------
    rows
        From :func:`~modelmonitor_trainer.model.columns.frame`.
    columns
        The fitted preprocessing step of the model.
    """
    changed = {}
    for name, encoder, names in columns.transformers_:
        if name != "categorical" or not len(names):
            continue
        for column, categories in zip(names, encoder.categories_, strict=True):
            known = [word for word in categories if isinstance(word, str)]
            codes, words = pd.factorize(rows[column].to_numpy())
            if frozenset(words) <= frozenset(known):
                continue
            # Models of earlier releases know text as it was written.
            own = dict(zip(words_of(pa.array(known, pa.string())).to_pylist(), known, strict=True)) | dict(
                zip(known, known, strict=True)
            )
            resolved = _resolve_words(Vocabulary.of(known), words)
            changed[column] = _taken([own.get(word, word) for word in resolved], codes)
    return rows.assign(**changed) if changed else rows


def _resolve_words(vocabulary: Vocabulary, words: Array) -> list[str]:
    """Return words as a vocabulary spells them."""
    return list(vocabulary.resolve_aliases(pa.array([str(word) for word in words], pa.string())).to_pylist())


def _taken(words: Sequence[str], codes: Array) -> Array:
    """Return the words of codes, None for -1; (n,) of objects."""
    result: Array = np.array([*words, None], dtype=object)[codes]
    return result
