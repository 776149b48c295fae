"""Command line ``modelmonitor``: the parser, and what all commands share.

Nothing heavy is imported before the arguments are parsed, so that ``--help`` is fast.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Sequence

from modelmonitor_trainer.cli.program import Command, exit_with, make_parser, run_arguments

EPILOG = """exit codes:
  0    any verdict, including drift, unless --fail-on names it
  1    a bug in modelmonitor
  2    the configuration or the data are invalid; the message says what to change
  3    the object store is unavailable; try again
  10   the verdict of a check is one that --fail-on names
  143  stopped by SIGTERM
"""

#: Modules that add commands, in the order of the help.
_COMMANDS = (
    "modelmonitor_trainer.cli.check",
    "modelmonitor_trainer.cli.report",
    "modelmonitor_trainer.cli.init",
    "modelmonitor_trainer.cli.replay",
    "modelmonitor_trainer.cli.models",
    "modelmonitor_trainer.cli.registry",
    # Of a monitor in a cluster, as kubectl mmon has them; its other words are commands for files here.
    "modelmonitor_trainer.cli.mmon.pages",
    "modelmonitor_trainer.cli.mmon.switches",
    "modelmonitor_trainer.cli.mmon.ui",
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    description = "Keep machine-learning models fresh: check for drift, train, compare, promote, roll back."
    return make_parser("modelmonitor", description, EPILOG, _COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``modelmonitor`` and return its exit code."""
    # Imports allocate much and free little: collecting garbage meanwhile takes a tenth of the time of a small check.
    gc.set_threshold(100_000)
    return run_arguments(build_parser(), argv, run_safely)


def run_safely(command: Command, args: argparse.Namespace) -> int:
    """Run a command; an error is one message on stderr and an exit code."""
    from modelmonitor_api.names import ExitCode
    from modelmonitor_trainer.cli.pod import interruptible
    from modelmonitor_trainer.errors import ModelMonitorError
    from modelmonitor_trainer.text import printable

    try:
        with interruptible("another program ended this one; run the command again"):
            return command(args)
    except ModelMonitorError as error:
        # Not splitlines: names from data can have other ends of lines.
        lines = str(error).split("\n")
        print("\n".join(["modelmonitor: " + printable(lines[0]), *map(printable, lines[1:])]), file=sys.stderr)
        # Exit code 3 makes the operator retry a pod; for a script the data simply cannot be read.
        return ExitCode.BAD_CONFIGURATION if error.exit_code == ExitCode.UNAVAILABLE else error.exit_code


def run() -> None:
    """Run ``modelmonitor`` as a program, and exit with its code."""
    exit_with(main())


if __name__ == "__main__":
    run()
