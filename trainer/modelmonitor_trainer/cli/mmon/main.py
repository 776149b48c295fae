"""Program ``kubectl-mmon``, which kubectl runs as ``kubectl mmon``.

Nothing heavy is imported before the arguments are parsed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from modelmonitor_trainer.cli.program import Command, exit_with, make_parser, run_arguments

EPILOG = """exit codes:
  0    done; with --wait, it has ended with a result
  1    a bug in modelmonitor
  2    the request cannot be made: a wrong argument, no such monitor, no permission; the message says what to change
  3    the API server does not respond
  4    what --wait waited for has not ended within --timeout; it goes on
  10   doctor found a problem; what --wait waited for failed, or has a verdict that --fail-on names
  130  interrupted from the keyboard
"""

#: Modules that add commands, in the order of the help.
_COMMANDS = (
    "modelmonitor_trainer.cli.mmon.pages",
    "modelmonitor_trainer.cli.mmon.report",
    "modelmonitor_trainer.cli.mmon.requests",
    "modelmonitor_trainer.cli.mmon.switches",
    "modelmonitor_trainer.cli.mmon.ui",
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    return make_parser("kubectl mmon", "See and steer the ModelMonitors of a cluster.", EPILOG, _COMMANDS)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``kubectl mmon`` and return its exit code."""
    return run_arguments(build_parser(), argv, _run_safely)


def _run_safely(command: Command, args: argparse.Namespace) -> int:
    """Run a command; an error is one message on stderr, without control characters, and an exit code."""
    from modelmonitor_trainer.cluster.page import clean
    from modelmonitor_trainer.errors import ModelMonitorError

    try:
        return command(args)
    except ModelMonitorError as error:
        print(f"kubectl mmon: {clean(str(error))}", file=sys.stderr)
        return error.exit_code


def run() -> None:
    """Run ``kubectl mmon`` as a program, and exit with its code."""
    exit_with(main())


if __name__ == "__main__":
    run()
