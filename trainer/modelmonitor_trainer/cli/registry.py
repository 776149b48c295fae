"""Commands for the registry: versions, which lists it, and repair, which restores what was lost."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelmonitor_trainer.cli.arguments import add_file, add_output
from modelmonitor_trainer.cli.monitor_file import read_monitor

if TYPE_CHECKING:
    from modelmonitor_api.messages import MonitorRef
    from modelmonitor_api.spec import ModelMonitorSpec
    from modelmonitor_trainer.registry.inventory import DataDays, Inventory, VersionEntry
    from modelmonitor_trainer.registry.records import Pointer, ServingPeriod
    from modelmonitor_trainer.registry.registry import ModelRegistry
    from modelmonitor_trainer.registry.repair import Diagnosis


def add_commands(subparsers: Any) -> None:
    """Add the commands for the registry to the command line."""
    versions = subparsers.add_parser(
        "versions",
        help="list the versions of a monitor's model, and which served when",
        description="List the versions of a monitor's model: which is the champion, where a rollback leads, when each "
        "served, on which days it was trained, which have the same model, and what is damaged.",
    )
    add_file(versions)
    versions.add_argument(
        "--at", metavar="TIME", help="show which version served on a day or at a time, and what it was trained on"
    )
    versions.set_defaults(run=_versions)

    repair = subparsers.add_parser(
        "repair",
        help="report what is damaged in the results and what can be restored, and restore it",
        description="Report which objects of the registry are missing or damaged, and what can be restored from the "
        "others. Nothing is changed without --apply.",
    )
    add_file(repair)
    repair.add_argument("--apply", action="store_true", help="restore what can be restored")
    repair.add_argument(
        "--champion",
        metavar="VERSION",
        help="the version that serves, if the champion pointer is lost and what is there does not show it",
    )
    repair.set_defaults(run=_repair)
    for command in (versions, repair):
        add_output(command)


def open_registry(monitor: MonitorRef, spec: ModelMonitorSpec) -> ModelRegistry:
    """Return the registry of a monitor."""
    from modelmonitor_trainer.registry.registry import ModelRegistry
    from modelmonitor_trainer.storage.open import open_store

    return ModelRegistry.of(open_store(spec.storage), spec, monitor)


def local_job(now: dt.datetime) -> str:
    """Return the name of a decision made on a command line, where a Job of the operator has its own."""
    return f"local-{now:%Y%m%dT%H%M%S%fZ}"


def _versions(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.registry.inventory import take_inventory

    times = _times(args.at) if args.at else None
    registry = open_registry(*read_monitor(args.file))
    if times is not None:
        pointer = registry.serving()
        _warn_of_future(pointer)
        _print_periods(pointer.serving_periods(*times) if pointer else [], args)
        return 0
    inventory = take_inventory(registry)
    if args.output == "json":
        print(json.dumps(_inventory_to_json(inventory), indent=1, ensure_ascii=False))
        return 0
    _warn_of_future(inventory.pointer)
    _print_inventory(inventory)
    return 0


def _print_inventory(inventory: Inventory) -> None:
    from modelmonitor_trainer.text import listed

    if inventory.pointer_problem is not None:
        print(f"{inventory.pointer_problem}\n")
    damaged = [entry.name for entry in inventory.versions if entry.problems]
    if damaged:
        print(
            f"{len(damaged)} of {len(inventory.versions)} versions {'is' if len(damaged) == 1 else 'are'} damaged: "
            f"{listed(damaged, 5)}; modelmonitor repair reports what can be restored\n"
        )
    rows = [_row(entry) for entry in inventory.versions]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for entry, row in zip(inventory.versions, rows, strict=True):
        mark = "*" if entry.state == "Champion" else "!" if entry.problems else " "
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(f"{mark} {'  '.join(cells)}".rstrip())
        for problem in entry.problems:
            print(f"    damaged: {problem}")
    if not inventory.versions:
        print("there is no version yet; modelmonitor train creates one")
    pointer = inventory.pointer
    if pointer is None:
        return
    for line in _describe_decisions(pointer):
        print(f"\n{line}")
    if pointer.previous is not None:
        print(f"\nmodelmonitor rollback leads to {pointer.previous}")


def _describe_decisions(pointer: Pointer) -> list[str]:
    """Return what a person has decided about the champion, in sentences."""
    from modelmonitor_api.times import format_time

    decisions = (("pinned", pointer.pin), ("retired", pointer.retired))
    return [
        f"{pointer.version} has been {word} since {format_time(decision.since)}: {decision.comment}"
        for word, decision in decisions
        if decision is not None
    ]


def _row(entry: VersionEntry) -> tuple[str, ...]:
    """Return the cells of a version: name, state, when it served, outcome, score, days, and the same model."""
    record = entry.record
    served = _span(entry.served[-1]) if entry.served else ""
    if len(entry.served) > 1:
        served += f" and {len(entry.served) - 1} more"
    score = "" if record is None or record.score is None else f"{record.metric} {record.score:.4f}"
    return (
        entry.name,
        entry.state.lower(),
        served,
        f"{record.outcome} ({record.reason})" if record else "",
        score,
        f"trained on {_days(entry.days)}" if entry.days else "",
        f"same model as {entry.same_as}" if entry.same_as else "",
    )


def _days(days: DataDays) -> str:
    count = "" if days.count is None else f", {days.count} {'day' if days.count == 1 else 'days'}"
    return f"{days.first} to {days.last}{count}"


def _span(period: ServingPeriod) -> str:
    from modelmonitor_api.times import format_time

    start = format_time(period.since)
    return f"since {start}" if period.until is None else f"{start} to {format_time(period.until)}"


def _inventory_to_json(inventory: Inventory) -> dict[str, Any]:
    pointer = inventory.pointer
    return {
        "champion": pointer.to_wire() if pointer else None,
        "previous": pointer.previous if pointer else None,
        "pointerProblem": inventory.pointer_problem,
        "versions": [_entry_to_json(entry) for entry in inventory.versions],
    }


def _entry_to_json(entry: VersionEntry) -> dict[str, Any]:
    days = entry.days
    return {
        **(entry.record.to_wire() if entry.record else {}),
        "version": entry.name,
        "state": entry.state.value,
        "served": [_period_times(period) for period in entry.served],
        "trainedOn": {"start": str(days.first), "end": str(days.last), "days": days.count} if days else None,
        "sameAs": entry.same_as,
        "problems": list(entry.problems),
    }


def _period_times(period: ServingPeriod) -> dict[str, str | None]:
    from modelmonitor_api.times import format_time

    return {"since": format_time(period.since), "until": None if period.until is None else format_time(period.until)}


def _warn_of_future(pointer: Pointer | None) -> None:
    """Warn if the champion serves since a time that is yet to come, which no answer about the present can respect."""
    from modelmonitor_api.times import format_time

    if pointer is not None and pointer.starts()[0] > _now() + dt.timedelta(hours=1):
        print(
            f"modelmonitor: {pointer.version} is the champion since {format_time(pointer.since)}, in the future: "
            "the clock of the machine that made it the champion was wrong, or the clock of this machine is. The next "
            "change of the champion corrects it",
            file=sys.stderr,
        )


def _print_periods(periods: Sequence[ServingPeriod], args: argparse.Namespace) -> None:
    """Print which versions served, and what they were trained on."""
    from modelmonitor_api.times import format_time

    if args.output == "json":
        served = [period.tenure.to_wire() | _period_times(period) for period in periods]
        print(json.dumps({"at": args.at, "served": served}, indent=1, ensure_ascii=False))
        return
    for period in periods:
        tenure = period.tenure
        until = "still serves" if period.until is None else f"until {format_time(period.until)}"
        print(f"{tenure.version} served from {format_time(period.since)}, {until} ({tenure.action} by {tenure.by})")
        first, last = tenure.first_day or tenure.data_start, tenure.last_day or tenure.data_end
        window = last if first is None else f"{first} to {last}"
        rows = "" if tenure.train_rows is None else f", {tenure.train_rows:,} labelled rows"
        print(f"  trained on   {window}{rows}")
        for title, value in (("manifest", tenure.manifest_sha256), ("image", tenure.image)):
            if value is not None:
                print(f"  {title:<12} {value}")
        if tenure.score is not None:
            print(f"  {tenure.metric:<12} {tenure.score:.4f} on its hold-out")
    if not periods:
        print(f"no version served at {args.at}")


def _times(text: str) -> tuple[dt.datetime, dt.datetime]:
    """Return the start and the end of a day or a moment on the command line; without a time zone it is UTC."""
    from modelmonitor_trainer.errors import BadConfiguration

    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadConfiguration(f"--at {text!r} is not a time; write it like 2013-05-03 or 2013-05-03T12:00Z") from error
    time = time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)
    is_day = len(text) <= len("2013-05-03")
    return time, time + dt.timedelta(days=1) if is_day else time


def _repair(args: argparse.Namespace) -> int:
    from modelmonitor_trainer.registry.repair import choose_champion, diagnose, require_restorable, restore

    registry = open_registry(*read_monitor(args.file))
    diagnosis = diagnose(registry)
    if args.champion:
        now = _now()
        diagnosis = choose_champion(registry, diagnosis, args.champion, by=local_job(now), now=now)
    restored = None
    if args.apply:
        require_restorable(diagnosis)
        restored = restore(registry, diagnosis)
    if args.output == "json":
        print(json.dumps(_diagnosis_to_json(diagnosis, restored), indent=1, ensure_ascii=False))
    else:
        _print_diagnosis(diagnosis, restored)
    return 0


def _diagnosis_to_json(diagnosis: Diagnosis, restored: Pointer | None) -> dict[str, Any]:
    inventory, restorable = diagnosis.inventory, diagnosis.restorable
    return {
        "pointerProblem": inventory.pointer_problem,
        "restorable": restorable.to_wire() if restorable else None,
        "restored": restored is not None,
        "damaged": [_entry_to_json(entry) for entry in inventory.versions if entry.problems],
    }


def _print_diagnosis(diagnosis: Diagnosis, restored: Pointer | None) -> None:
    inventory = diagnosis.inventory
    if diagnosis.is_healthy:
        print("nothing is damaged")
        return
    if inventory.pointer_problem is not None:
        _print_restorable(inventory.pointer_problem, diagnosis.restorable, restored)
    for entry in inventory.versions:
        for problem in entry.problems:
            print(f"{entry.name} ({entry.state.lower()}): {problem}")
    if any(entry.problems for entry in inventory.versions):
        print(
            "\nFiles of a version cannot be restored from other objects: take them from a backup, or from an earlier "
            "object version if the bucket keeps them. A version without a usable model cannot be rolled back to."
        )


def _print_restorable(problem: str, restorable: Pointer | None, restored: Pointer | None) -> None:
    from modelmonitor_api.times import format_time

    print(f"{problem}\n")
    if restorable is None:
        print("Nothing shows which version was the champion. Choose the one that serves with --champion VERSION.\n")
        return
    print("The champion pointer was restored:" if restored else "The champion pointer can be restored:")
    for period in reversed(restorable.all_periods()):
        until = "" if period.until is None else f" to {format_time(period.until)}"
        message = f": {period.tenure.message}" if period.tenure.message else ""
        print(f"  {period.tenure.version} from {format_time(period.since)}{until}{message}")
    for line in _describe_decisions(restorable):
        print(f"  {line}")
    if restored is None:
        print("\nNothing was changed. To write it, repeat the command with --apply.\n")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
