"""Words for the batches of a window: partitions of a monitor, or files on the command line.

Everything that reads "partition" or "file" in a message comes from here. No test and no threshold depends on it.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Wording:
    """The parts of messages that depend on the source of the data.

    Attributes
    ----------
    batches
        Plural noun for the batches of a window.
    windows
        Label of the windows in a progress bar.
    cluster, clusters
        Noun for the groups whose rows are alike.
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
    independent_rows
        How to declare that rows are independent.
    leave_out
        Columns → how to leave them out.
    decimal_commas
        How to declare that numbers have decimal commas.
    correlations_option
        Hint for correlations that are not compared unless requested.
    """

    batches: str
    windows: str
    cluster: str
    clusters: str
    violations: str
    no_rows: str
    corrupted: str
    longer_reference: str
    more_rows: str
    not_compared: Mapping[str, str]
    independent_rows: str
    leave_out: Callable[[Sequence[str]], str]
    decimal_commas: str
    correlations_option: str = ""


def _remove_features(columns: Sequence[str]) -> str:
    return f"Remove from model.features what is no feature: {', '.join(columns)}."


def _ignore_columns(columns: Sequence[str]) -> str:
    options = [",".join(columns)] if not any("," in column for column in columns) else columns
    return f"Leave out what is no feature: {' '.join(f'--ignore {shlex.quote(option)}' for option in options)}"


PARTITIONS = Wording(
    batches="partitions",
    windows="rows",
    cluster="day",
    clusters="days",
    violations="Violations of the feature contract",
    no_rows="the live window has no rows; is data still being written to it?",
    corrupted="The data violate the feature contract: {violations}. Training is blocked until they are fixed.",
    longer_reference="Choose a longer reference period.",
    more_rows=" Wait for them, or increase data.live.windowDays.",
    independent_rows="set sensitivity.independentRows",
    not_compared={
        "Feature": "one side has no values",
        "Target": "one side has no labels",
        "Prediction": "there are no logged predictions of this model from before the live window",
    },
    leave_out=_remove_features,
    decimal_commas="set spec.data.csv.decimal to a comma",
)
FILES = Wording(
    batches="files",
    windows="files",
    cluster="file",
    clusters="files",
    violations="Problems in the current files",
    no_rows="the current files have no rows",
    corrupted="The current files are corrupted, or do not match the reference: {violations}.",
    longer_reference="Add more reference files.",
    more_rows="",
    independent_rows="pass --independent-rows",
    not_compared={
        "Feature": "one side has no values",
        "Target": "one side has no values of the target",
        "Prediction": "one side has no predictions",
    },
    leave_out=_ignore_columns,
    decimal_commas="pass --decimal ,",
    correlations_option="request them with --correlations",
)
FILES_OF_DAYS = replace(FILES, cluster="day", clusters="days")
