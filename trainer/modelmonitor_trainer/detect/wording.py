"""Words for the batches of a window: partitions of a monitor, or files on the command line.

Everything that reads "partition" or "file" in a message comes from here. No test and no threshold depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """The parts of messages that depend on the source of the data.

    Attributes
    ----------
    batches
        Plural noun for the batches of a window.
    clusters
        Plural noun for the groups whose rows are alike.
    violations
        Heading of the table of violations.
    no_rows
        Message for a current window without rows.
    corrupted
        Message of the verdict Corrupted, with ``{violations}``.
    longer_reference
        Hint for a reference that is too small.
    more_rows
        Hint for a current window that is too small.
    not_compared
        Role → why no column of that role was compared.
    correlations_option
        Hint for correlations that are not compared unless requested.
    """

    batches: str
    clusters: str
    violations: str
    no_rows: str
    corrupted: str
    longer_reference: str
    more_rows: str
    not_compared: Mapping[str, str]
    correlations_option: str = ""


PARTITIONS = Wording(
    batches="partitions",
    clusters="days",
    violations="What breaks the contract",
    no_rows="the live window has no rows; is anything still written to it?",
    corrupted="The data break their contract: {violations}. No training starts until they are put right.",
    longer_reference="Choose a longer reference period.",
    more_rows=" Wait for them, or lengthen data.live.windowDays.",
    not_compared={
        "Feature": "one of the sides has no values",
        "Target": "one of the sides has no labels",
        "Prediction": "there are no logged predictions of this model from before the live window",
    },
)
FILES = Wording(
    batches="files",
    clusters="files",
    violations="What is broken",
    no_rows="the current files have no rows",
    corrupted="The current files are broken, or not what the reference is: {violations}.",
    longer_reference="Give more reference files.",
    more_rows="",
    not_compared={
        "Feature": "one of the sides has no values",
        "Target": "one of the sides has no values of the target",
        "Prediction": "one of the sides has no predictions",
    },
    correlations_option="ask for it with --correlations",
)
