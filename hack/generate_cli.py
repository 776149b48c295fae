"""Print the reference page of the command line, generated from its argument parsers; `make manifests` writes it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from modelmonitor_api.names import ExitCode
from modelmonitor_trainer.cli.main import build_parser
from modelmonitor_trainer.text import as_sentence

HEAD = """<!-- Generated from the argument parsers by hack/generate_cli.py; do not edit. -->
# Command line

`modelmonitor` runs on a laptop, in a CI job and in the pods of a cluster. See [Install](../getting-started/install.md)
for how to get it. Commands that take `-f` read the YAML file of a ModelMonitor, the same file that you apply to a
cluster; on the command line, its locations can also be `file://` URIs. The option `--request` and the commands
`train-prepare` and `train-conclude` are what the pods of a cluster run.

S3 is accessed with the settings that the AWS tools use: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_PROFILE`,
`AWS_REGION`, and `AWS_ENDPOINT_URL` for a store other than AWS. With `-f`, the endpoint and the region come from
`spec.storage`.
"""

EXIT_CODES = (
    (
        ExitCode.OK,
        (
            "Success. A check that finds drift or corrupted data is a success, unless `--fail-on` names its verdict: "
            "without the option, read the verdict, not the code."
        ),
    ),
    (ExitCode.CRASHED, "A defect of ModelMonitor."),
    (
        ExitCode.BAD_CONFIGURATION,
        (
            "The configuration, the credentials or the data cannot be used, or the object store cannot be reached. The "
            "message on standard error says what to change."
        ),
    ),
    (
        ExitCode.UNAVAILABLE,
        (
            "In pods only: the object store cannot be reached, or an object was replaced while it was read. "
            "The Job starts another pod."
        ),
    ),
    (
        ExitCode.FAIL_ON,
        "The verdict of `check` is one that `--fail-on` names. The result is printed and written as usual.",
    ),
    (130, "Interrupted from the keyboard."),
    (ExitCode.INTERRUPTED, "Stopped by SIGTERM."),
)


#: Characters of a line of a usage.
_WIDTH = 90


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield HEAD
    parser = build_parser()
    commands = _commands(parser)
    yield "| Command | What it does |"
    yield "|---|---|"
    for name, (help_text, _) in commands.items():
        yield f"| [`{name}`](#{name}) | {as_sentence(help_text)} |"
    yield ""
    for name, (help_text, command) in commands.items():
        yield from (f"## {name}", "", as_sentence(command.description or help_text), "")
        yield from ("```", *_wrap(f"modelmonitor {name}", _usage(command)), "```", "")
        yield from _options(command)
    yield from ("## Exit codes", "", "| Code | Meaning |", "|---|---|")
    for code, meaning in EXIT_CODES:
        yield f"| {int(code)} | {meaning} |"
    yield ""


def _commands(parser: argparse.ArgumentParser) -> dict[str, tuple[str, argparse.ArgumentParser]]:
    """Return name → help text and parser of every command, in the order of the help."""
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    help_texts = {choice.dest: choice.help or "" for choice in action._choices_actions}
    return {name: (help_texts[name], command) for name, command in action.choices.items()}


def _wrap(command: str, parts: list[str]) -> Iterator[str]:
    """Yield a command with its options, wrapped at _WIDTH characters."""
    line = command
    for part in parts:
        if len(line) + 1 + len(part) > _WIDTH:
            yield line
            line = " " * len(command)
        line += f" {part}"
    yield line


def _usage(command: argparse.ArgumentParser) -> list[str]:
    """Return the options of a command; alternatives in parentheses."""
    groups = command._mutually_exclusive_groups
    parts: list[str] = []
    seen: set[str] = set()
    for action in command._actions:
        group = next((g for g in groups if action in g._group_actions), None)
        if isinstance(action, argparse._HelpAction) or action.dest in seen:
            continue
        members = group._group_actions if group is not None else [action]
        seen |= {member.dest for member in members}
        text = " | ".join(_invocation(member) for member in members)
        required = group.required if group is not None else action.required
        parts.append(f"({text})" if required and len(members) > 1 else text if required else f"[{text}]")
    return parts


def _invocation(action: argparse.Action) -> str:
    name = action.option_strings[0]
    return name if action.nargs == 0 else f"{name} {_value(action)}"


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        return "{" + ",".join(str(choice) for choice in action.choices) + "}"
    return str(action.metavar or action.dest.upper())


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    yield from ("| Option | Meaning |", "|---|---|")
    for action in command._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        value = "" if action.nargs == 0 else f" {_value(action)}"
        names = ", ".join(f"`{name}{value}`" for name in action.option_strings).replace("|", "\\|")
        yield f"| {names} | {as_sentence(action.help or '').replace('|', chr(92) + '|')} |"
    yield ""


if __name__ == "__main__":
    print(page(), end="")
