"""Scores of models in a status; decimal numbers are text, as the Kubernetes API has no floating-point numbers."""

from __future__ import annotations

import math

from pydantic import Field

from modelmonitor_api.resource import Message, Text


def parse_number(text: str | None) -> float | None:
    """Return the number in a text that anybody may have written; None if it is none, or not finite."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


class ServedScore(Message):
    """The champion's score on labelled rows of the live window, compared with its score at promotion."""

    metric: Text = Field(description="Metric of the scores.")
    score: Text = Field(description="Score of the champion on the labelled rows.")
    low: Text | None = Field(None, description="Lower bound of the confidence interval of the score.")
    high: Text | None = Field(None, description="Upper bound of the confidence interval of the score.")
    promised: Text | None = Field(None, description="Score of the champion on the hold-out of its promotion.")
    rows: int = Field(description="Number of labelled rows scored.", ge=0)


class ScoreComparison(Message):
    """Scores of challenger and champion on the hold-out."""

    metric: Text = Field(description="Metric that decided.")
    challenger: Text = Field(description="Score of the challenger.")
    champion: Text | None = Field(None, description="Score of the champion; absent if there was none.")
    difference: Text | None = Field(
        None, description="Improvement of the challenger over the champion; negative if it is worse."
    )
    low: Text | None = Field(None, description="Lower bound of the confidence interval of the difference.")
    high: Text | None = Field(None, description="Upper bound of the confidence interval of the difference.")
    train_rows: int | None = Field(None, description="Number of rows in the challenger's training data.", ge=0)
    holdout_rows: int | None = Field(None, description="Number of rows in the hold-out.", ge=0)
