"""What the programs ``modelmonitor`` and ``kubectl mmon`` share: their parser, and how they end.

Nothing heavy is imported before the arguments are parsed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence

Command = Callable[[argparse.Namespace], int]


def make_parser(program: str, description: str, epilog: str, modules: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a program.

    Each of the modules has ``add_commands(subparsers)``. A command is a parser whose default ``run`` is a function from
    the parsed arguments to the exit code.

    Parameters
    ----------
    program, description, epilog
        Name of the program, and the texts of its help.
    modules
        Modules of commands, in the order of the help.
    """
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name in modules:
        importlib.import_module(name).add_commands(subparsers)
    return parser


def run_arguments(
    parser: argparse.ArgumentParser,
    argv: Sequence[str] | None,
    run_safely: Callable[[Command, argparse.Namespace], int],
) -> int:
    """Parse arguments, run what they ask for, and return the exit code.

    Parameters
    ----------
    parser, argv
        Parser and arguments of the program.
    run_safely
        Runs a command, and reports its errors as the program does.
    """
    args = parser.parse_args(argv)
    if args.version:
        from modelmonitor_trainer import __version__

        print(f"{parser.prog} {__version__}")
        return 0
    if not hasattr(args, "run"):
        parser.print_help()
        return 2
    try:
        return run_safely(args.run, args)
    except KeyboardInterrupt:
        print(f"{parser.prog}: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of the output has closed it, such as `| head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def exit_with(code: int) -> None:
    """Exit with a code; return if it is 0.

    After an error, Arrow can still be reading ahead in threads of its own. The interpreter would abort if it tore down
    their queues, and a wrong code would make the operator repeat what can never succeed.
    """
    if code:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
