"""Command-line arguments: those that several commands share, and types.

A type returns a value from its text, or an error that argparse prints.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelmonitor_api.spec import FeatureType

_BUDGET = re.compile(r"^(\d+)/(\d+)d$")
#: Verdicts that --fail-on accepts: all but NoDrift. Importing the enum would make --help slow; a test compares both.
FAILURES = ("Drift", "Corrupted", "ChampionUnusable", "PerformanceDrop", "Inconclusive")


def add_file(parser: argparse.ArgumentParser) -> None:
    """Add the YAML file of the monitor to a command."""
    parser.add_argument(
        "-f", "--file", required=True, metavar="FILE", help="YAML file of the ModelMonitor (- is standard input)"
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the choice between text and JSON to a command."""
    parser.add_argument("--output", choices=["text", "json"], default="text", help="what to print (default text)")


def budget(text: str) -> tuple[int, int]:
    """Return a false-alarm budget, such as 1/90d, as a number of alarms and of days."""
    match = _BUDGET.match(text)
    if not match or not 1 <= int(match[1]) <= 1000 or not 1 <= int(match[2]) <= 3650:
        raise argparse.ArgumentTypeError(f"{text!r} is not a budget; write 1/90d for one false alarm in 90 days")
    return int(match[1]), int(match[2])


def column_type(text: str) -> tuple[str, FeatureType]:
    """Return a column and its type from COL=Categorical."""
    from modelmonitor_api.spec import FeatureType

    name, equals, kind = text.rpartition("=")
    if not equals or not name or kind not in set(FeatureType):
        raise argparse.ArgumentTypeError(f"{text!r} is not COL=Numeric or COL=Categorical")
    return name, FeatureType(kind)


def day(text: str) -> dt.date:
    """Return a day from 2013-01-31."""
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day; write 2013-01-31") from None


def price(text: str) -> float:
    """Return a price: a number that is not negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a price; write a number that is not negative")
    return value


def separator(text: str) -> str:
    """Return a separator of CSV; tab stands for a tab."""
    separator = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(separator) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one character; write tab for a tab")
    return separator


def verdicts(text: str) -> frozenset[str]:
    """Return the verdicts of a list with commas."""
    words = {word.strip() for word in text.split(",")}
    unknown = sorted(words - set(FAILURES))
    if unknown:
        raise argparse.ArgumentTypeError(
            f"{unknown[0]!r} is not a verdict to fail on; choose from {', '.join(FAILURES)}, separated by commas"
        )
    return frozenset(words)


def fraction(text: str) -> str:
    """Return a number between 0 and 1 as a decimal string, as in the spec."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return f"{value:.10f}".rstrip("0").rstrip(".")
