"""A year of flights in a few minutes: drift, training, rejection, promotion, serving, corrupted data, rollback.

Each step prints what happened and the command that shows it. Steps that an earlier run has
completed are skipped. The exit code is 1 if a step fails.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

import pandas as pd
from flights import Day, corrupt, days, load
from lake import Lake
from serving import score

from cluster import (
    MONITOR,
    NAMESPACE,
    REPOSITORY,
    SHELL_SETUP,
    StepFailed,
    annotate,
    apply,
    forwarded,
    kubectl,
    monitor,
    run,
    shell_command,
    wait_for,
)

OUTPUT = REPOSITORY / "demo-output"
WINTER = (dt.date(2013, 1, 1), dt.date(2013, 3, 31))
SPRING = (dt.date(2013, 4, 1), dt.date(2013, 5, 4))
SUMMER = (dt.date(2013, 5, 5), dt.date(2013, 6, 2))
CORRUPTED = dt.date(2013, 6, 3)

Status = dict[str, Any]


def echo(text: str) -> None:
    """Print a line."""
    print(text, flush=True)


def heading(number: int, text: str) -> None:
    """Print the heading of a step."""
    echo(f"\n\033[1m{number}. {text}\033[0m" if sys.stdout.isatty() else f"\n{number}. {text}")


def show_command(*arguments: str) -> None:
    """Print the kubectl command that shows the result of a step."""
    echo(f"   inspect it with: {shell_command(*arguments)}")


def install() -> None:
    """Install the operator with Helm, and an S3 server in a namespace with the restricted Pod Security level."""
    s3_image = run(REPOSITORY / "hack" / "images.sh", "versitygw").strip()
    operator_image = run(REPOSITORY / "hack" / "images.sh", "operator").strip()
    digest = run("docker", "image", "inspect", "--format", "{{.Id}}", operator_image).strip()
    run("kubectl", "apply", "--filename", REPOSITORY / "hack" / "demo" / "namespace.yaml")
    apply("s3.yaml", S3_IMAGE=s3_image)
    output = run(
        *("helm", "upgrade", "--install", "modelmonitor", REPOSITORY / "charts" / "modelmonitor"),
        *("--namespace", "modelmonitor-system", "--create-namespace", "--wait", "--timeout", "120s"),
        *("--set-string", "image.tag=dev,trainerImage.tag=dev", "--set", f"watchNamespaces={{{NAMESPACE}}}"),
        *("--set", "rollouts.enabled=true"),
        # The tag stays the same, so a new image is recognised by its digest.
        *("--set-string", f"podAnnotations.modelmonitor\\.io/image={digest}"),
    )
    echo("   " + output.strip().replace("\n", "\n   "))
    kubectl("rollout", "status", "deployment/s3", "--timeout", "90s")
    deploy_scorer()


def deploy_scorer() -> None:
    """Deploy the example scorer, which becomes ready once there is a champion."""
    folder = REPOSITORY / "examples" / "scorer"
    config_map = kubectl(
        *("create", "configmap", "scorer", f"--from-file={folder / 'scorer.py'}", "--dry-run=client", "--output=yaml")
    )
    kubectl("apply", "--server-side", "--filename", "-", text=config_map)
    kubectl("apply", "--server-side", "--filename", str(folder / "deployment.yaml"))
    echo("   The scorer is deployed and waits for a champion")
    show_command("get", "deployment", "scorer")


def date_range(partitions: list[Day]) -> str:
    """Return the date range of consecutive partitions as text."""
    first, last = partitions[0].date, partitions[-1].date
    return f"{last:%-d %B %Y}" if first == last else f"{first:%-d %B} to {last:%-d %B %Y}"


def land_partitions(lake: Lake, partitions: list[Day]) -> None:
    """Upload the partitions that do not exist yet."""
    count = lake.land(partitions)
    existing = f"; {len(partitions) - count} already existed" if count < len(partitions) else ""
    echo(f"   {count} daily partitions of flights uploaded to S3, {date_range(partitions)}{existing}")


def score_flights(lake: Lake, partitions: list[Day]) -> None:
    """Score new flights with the deployed scorer, which logs them to S3, and upload their labels."""
    missing = lake.missing(partitions)
    if not missing:
        echo(f"   the flights of {date_range(partitions)} were scored and logged in an earlier run")
        return
    wait_for("a scorer that serves the champion", lambda status: served_version(status) is not None)
    late, versions = 0, set()
    with forwarded("service/scorer", 80) as port:
        for day in missing:
            late_flights, version = score(port, day)
            late += late_flights
            versions.add(version)
    flights = sum(len(day.features) for day in missing)
    echo(f"   {', '.join(sorted(versions))} scored {flights:,} flights of {date_range(missing)},")
    echo(f"   {late:,} of them as late, and logged them to S3 as daily partitions; their labels follow")
    lake.land_labels(missing)
    deadline = time.monotonic() + 60
    while lake.missing(missing):
        if time.monotonic() > deadline:
            logs = shell_command("logs", "deployment/scorer")
            raise StepFailed(
                f"the scorer has not logged the flights of {lake.missing(missing)[0].date}; its log: {logs}"
            )
        time.sleep(1)


def served_version(status: Status) -> str | None:
    """Return the version that the scorer serves if it is the champion, otherwise None."""
    rollout = status.get("rollout", {})
    available = rollout.get("reason") == "RolloutAvailable" and rollout["version"] == status["champion"]["version"]
    return rollout["version"] if available else None


def wait_for_rollout() -> None:
    """Wait until the scorer serves the champion, and print the rollout message."""
    status = wait_for("a scorer that serves the champion", lambda status: served_version(status) is not None)
    echo(f"   {status['rollout']['message']}")


def request_check(token: str) -> None:
    """Request a check now instead of waiting for the schedule. A token is handled only once."""
    echo(f"   $ {annotate('check-requested-at', token)}")


def check_job(token: str) -> Status | None:
    """Return the metadata of the Job of the check requested with `token`; it is kept for a week."""
    output = kubectl(
        *("get", "jobs", "--selector", f"modelmonitor.io/monitor={MONITOR},modelmonitor.io/role=check"),
        *("--output", "json"),
    )
    jobs = [job["metadata"] for job in json.loads(output)["items"]]
    return next((job for job in jobs if job.get("annotations", {}).get("modelmonitor.io/token") == token), None)


def check_completed(token: str) -> Callable[[Status], bool]:
    """Return a condition: the verdict of the check requested with `token` is in the status."""

    def completed(status: Status) -> bool:
        job = check_job(token)
        return job is not None and job["uid"] in [recent["uid"] for recent in status.get("recentJobs", [])]

    return completed


def training_ended(number: int) -> Callable[[Status], bool]:
    """Return a condition: training `number` has ended."""
    return lambda status: (
        status.get("lastTraining", {}).get("number", 0) > number
        or (
            status.get("lastTraining", {}).get("number") == number
            and status["lastTraining"].get("completionTime") is not None
        )
    )


def history_entry(status: Status, action: str, nth: int = 1) -> Status:
    """Return the `nth` entry of the history, from the oldest, with `action`.

    Raises
    ------
    StepFailed
        If there is none.
    """
    matching = [item for item in reversed(status.get("history", [])) if item["action"] == action]
    if len(matching) < nth:
        raise StepFailed(
            f"the history has fewer than {nth} {action} entries:\n{json.dumps(status.get('history'), indent=1)}"
        )
    return matching[nth - 1]


def print_entry(item: Status) -> None:
    """Print an entry of the history."""
    echo(f"   {item['action']} ({item['reason']}): {item['message']}")


def print_verdict(status: Status, token: str) -> None:
    """Print the verdict of the check requested with `token`, unless there has been a later check."""
    last, job = status["lastCheck"], check_job(token)
    if job is not None and last["jobName"] == job["name"]:
        echo(f"   {last['verdict']}: {last['message']}")
    else:
        echo("   this check was done in an earlier run; its report is listed below")


def winter(lake: Lake, flights: pd.DataFrame) -> None:
    """Upload the winter and apply the monitor: there is no champion yet, so the first model is trained."""
    land_partitions(lake, list(days(flights, *WINTER)))
    apply("monitor.yaml")
    echo(f"   $ {shell_command('apply', '--filename', str(REPOSITORY / 'hack' / 'demo' / 'monitor.yaml'))}")
    print_entry(history_entry(wait_for("the first training", training_ended(1)), "Promoted"))
    wait_for_rollout()
    show_command("describe", "mmon", MONITOR)


def spring(lake: Lake, flights: pd.DataFrame) -> None:
    """Score the spring flights: drift, a training that waits, and one on request whose challenger is rejected."""
    score_flights(lake, list(days(flights, *SPRING)))
    request_check("spring")
    status = wait_for("the check of spring", check_completed("spring"))
    print_verdict(status, "spring")
    status = wait_for(
        "the training that waits",
        lambda status: condition_reason(status, "Training") == "WaitingForNewData" or training_ended(2)(status),
    )
    echo(f"   {condition_message(status, 'Training')}")
    echo(f"   $ {annotate('retrain-requested-at', 'spring')}")
    print_entry(history_entry(wait_for("the training of spring", training_ended(2)), "Rejected"))
    show_command("get", "events", "--field-selector", "involvedObject.kind=ModelMonitor")


def summer(lake: Lake, flights: pd.DataFrame) -> None:
    """Score the flights of early summer: drift again, and a challenger that is better."""
    score_flights(lake, list(days(flights, *SUMMER)))
    request_check("summer")
    status = wait_for("the check of summer", check_completed("summer"))
    print_verdict(status, "summer")
    print_entry(history_entry(wait_for("the training of summer", training_ended(3)), "Promoted", nth=2))
    wait_for_rollout()
    show_command("get", "mmon", MONITOR, "--output", "jsonpath={.status.champion}")


def corruption(lake: Lake, flights: pd.DataFrame) -> None:
    """Score a day of corrupted data: it blocks training."""
    score_flights(lake, [corrupt(day) for day in days(flights, CORRUPTED, CORRUPTED)])
    request_check("corruption")
    status = wait_for("the check of the corrupted day", check_completed("corruption"))
    verdict = status["lastCheck"]
    if verdict["verdict"] != "Corrupted":
        raise StepFailed(f"the check did not report the corrupted day: {json.dumps(verdict, indent=1)}")
    print_verdict(status, "corruption")
    echo(f"   $ {annotate('retrain-requested-at', 'despite-corrupted-data')}")
    status = wait_for("the blocked training", lambda status: condition_reason(status, "Training") == "CorruptedData")
    echo(f"   {condition_message(status, 'Training')}")
    show_command("get", "mmon", MONITOR, "--output", 'jsonpath={.status.conditions[?(@.type=="Training")].message}')


def rollback() -> None:
    """Roll back manually to the previous version."""
    echo(f"   $ {annotate('rollback-to', 'previous')}")
    status = wait_for(
        "the rollback", lambda status: any(item["action"] == "RolledBack" for item in status.get("history", []))
    )
    print_entry(history_entry(status, "RolledBack"))
    wait_for_rollout()
    show_command("get", "mmon", MONITOR)


def condition_reason(status: Status, condition: str) -> str | None:
    """Return the reason of a condition."""
    return next((c["reason"] for c in status.get("conditions", []) if c["type"] == condition), None)


def condition_message(status: Status, condition: str) -> str | None:
    """Return the message of a condition."""
    return next((c["message"] for c in status.get("conditions", []) if c["type"] == condition), None)


def save_reports(lake: Lake) -> None:
    """Save the report pages and print their paths."""
    shutil.rmtree(OUTPUT, ignore_errors=True)  # may have reports of an earlier cluster
    OUTPUT.mkdir()
    for uri in lake.reports():
        echo(f"   {lake.fetch(uri, OUTPUT)}")


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    echo("To run the commands below in another shell, set it up first:")
    echo(f"   {SHELL_SETUP}")
    try:
        heading(1, "Install the operator with Helm")
        install()
        secret = json.loads(kubectl("get", "secret", "s3", "--output", "json"))["data"]
        keys = [base64.b64decode(secret[f"AWS_{name}"]).decode() for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
        flights = load()
        with forwarded("service/s3", 9000) as port:
            lake = Lake(port, *keys)
            heading(2, "Winter: apply a ModelMonitor; there is no champion yet, so the first model is trained")
            winter(lake, flights)
            heading(3, "Spring: drift, of which a training has too few days yet; one that is requested now is rejected")
            spring(lake, flights)
            heading(4, "Early summer: drift again; this time the challenger is better and is promoted")
            summer(lake, flights)
            heading(5, "Corrupted data: temperatures in degrees Celsius, and half of the humidity readings missing")
            corruption(lake, flights)
            heading(6, "Roll back manually to the previous version")
            rollback()
            heading(7, "Summary")
            echo(kubectl("get", "mmon").rstrip())
            echo("\nDecisions, oldest first:")
            for item in reversed(monitor()["status"]["history"]):
                echo(f"   {item['time']}  {item['action']:<18} {item.get('version', ''):<14} {item['message']}")
            echo("\nReport pages:")
            save_reports(lake)
    except StepFailed as error:
        echo(f"\nThe demo failed: {error}")
        return 1
    echo(f"\nThe demo took {time.monotonic() - started:.0f} s. Remove it with:")
    echo(f"   make -C {shlex.quote(str(REPOSITORY))} demo-down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
