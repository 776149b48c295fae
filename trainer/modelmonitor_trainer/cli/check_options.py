"""Options of the command check: the sources, the columns and formats of files, the sensitivity, the output."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelmonitor_trainer.cli.arguments import FAILURES, budget, column_type, fraction, separator, verdicts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelmonitor_trainer.data.object_format import FileFormat

#: Options of :func:`_add_file_options`.
FILE_OPTIONS = ("columns", "ignore", "type", "format", "separator", "encoding", "decimal", "null_values")


def add_options(check: argparse.ArgumentParser) -> None:
    """Add all options."""
    _add_source_options(check)
    _add_file_options(check)
    _add_sensitivity_options(check)
    _add_output_options(check)


def _add_source_options(check: argparse.ArgumentParser) -> None:
    """Add the options on what is compared."""
    source = check.add_mutually_exclusive_group(required=True)
    source.add_argument("-f", "--file", metavar="FILE", help="YAML file of a ModelMonitor (- is standard input)")
    source.add_argument("--request", metavar="FILE", help="request of the operator, for pods")
    source.add_argument("--reference", metavar="URI", help="file, folder or pattern to compare with; needs --current")
    check.add_argument("--current", metavar="URI", help="file, folder or pattern to compare")
    check.add_argument("--target", metavar="COL", help="column with the true outcome (files only)")
    check.add_argument("--prediction", metavar="COL", help="column with the prediction (files only)")
    check.add_argument(
        "--task",
        choices=["BinaryClassification", "MulticlassClassification", "Regression"],
        help="what the model predicts (default: inferred from the target; files only)",
    )
    check.add_argument(
        "--correlations",
        action="store_true",
        help="compare correlations, regardless of the number of rows (files only)",
    )
    check.add_argument(
        "--ablation", action="store_true", help="test which columns explain less of the target; slow (files only)"
    )


def _add_file_options(check: argparse.ArgumentParser) -> None:
    """Add the options on columns and formats of files; a monitor declares these in its spec."""
    check.add_argument(
        "--columns",
        metavar="COL",
        action="append",
        help="compare only these columns; repeat it, or separate them by commas (files only)",
    )
    check.add_argument(
        "--ignore",
        metavar="COL",
        action="append",
        help="leave columns out; repeat it, or separate them by commas (files only)",
    )
    check.add_argument(
        "--type",
        metavar="COL=TYPE",
        action="append",
        type=column_type,
        help="compare a column as Numeric or Categorical; repeat it for others (files only)",
    )
    check.add_argument(
        "--format",
        choices=["Parquet", "CSV", "JSONLines"],
        help="format of all files (default: from the suffix of each; files only)",
    )
    check.add_argument(
        "--separator",
        metavar="CHAR",
        type=separator,
        help="character between the values of CSV, or tab (default: recognized; files only)",
    )
    check.add_argument(
        "--encoding", metavar="NAME", help="encoding of CSV, such as cp1252 (default: recognized; files only)"
    )
    check.add_argument(
        "--decimal", metavar="MARK", help="decimal mark of numbers in CSV, . or , (default: recognized; files only)"
    )
    check.add_argument(
        "--null-values",
        metavar="WORD",
        action="append",
        help="words of CSV that mean a missing value, instead of the usual ones; repeat it, or separate them by commas "
        "(files only)",
    )


def _add_sensitivity_options(check: argparse.ArgumentParser) -> None:
    """Add the options that ``spec.sensitivity`` has for a monitor."""
    check.add_argument(
        "--false-alarms",
        metavar="N/DAYSd",
        type=budget,
        help="acceptable number of false alarms per days (default 1/90d)",
    )
    check.add_argument(
        "--checks-per-day",
        metavar="N",
        type=float,
        help="number of checks per day (default: that of spec.schedule with -f, otherwise 1)",
    )
    check.add_argument(
        "--minimum-effect", metavar="X", type=fraction, help="smallest change that counts (default 0.03)"
    )
    check.add_argument(
        "--independent-rows",
        action="store_true",
        help="rows are independent: files differ by chance alone, so one file on each side is enough",
    )
    check.add_argument(
        "--minimum-coverage",
        metavar="X",
        type=fraction,
        help="smallest share of files, days and columns that must be compared for NoDrift (default 0.9)",
    )


def _add_output_options(check: argparse.ArgumentParser) -> None:
    """Add the options on what is written, and on the exit code."""
    check.add_argument("--html", metavar="FILE", help="also write the report page to FILE")
    check.add_argument("--output", choices=["text", "json"], default="text", help="output format (default text)")
    check.add_argument(
        "--fail-on",
        metavar="VERDICTS",
        type=verdicts,
        action="append",
        default=[],
        help=f"exit with code 10 on any of these, separated by commas: {', '.join(FAILURES)}",
    )


def read_file_format(args: argparse.Namespace) -> FileFormat:
    """Return what is declared of the format of files.

    Raises
    ------
    BadConfiguration
        If an option is invalid.
    """
    from modelmonitor_api.resource import InvalidSpec, parse
    from modelmonitor_api.spec import CSVOptions, DataFormat
    from modelmonitor_trainer.data.object_format import FileFormat
    from modelmonitor_trainer.errors import BadConfiguration

    declared = {"separator": args.separator, "encoding": args.encoding, "decimal": args.decimal}
    if args.null_values is not None:
        declared["nullValues"] = [word for text in args.null_values for word in text.split(",")]
    try:
        csv = parse(CSVOptions, {name: value for name, value in declared.items() if value is not None})
    except InvalidSpec as error:
        raise BadConfiguration(f"an option on CSV is invalid: {error}") from error
    return FileFormat(DataFormat(args.format) if args.format else None, csv)


def list_file_options(args: argparse.Namespace) -> Iterator[str]:
    """Yield the given options on columns and formats, in command-line form."""
    for option in FILE_OPTIONS:
        value = getattr(args, option)
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            name, text = f"--{option.replace('_', '-')}", "=".join(one) if isinstance(one, tuple) else one
            yield from [f"{name}={text}"] if text.startswith("-") else [name, text]
