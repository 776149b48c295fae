"""A year of flights in a few minutes: drift, training, rejection, promotion, serving, corrupted data, rollback.

Each step prints what happened and the command that shows it. Steps that an earlier run has
done are skipped. The exit code is 1 if a step did not happen.
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
from serving import ask

from cluster import (
    MONITOR,
    NAMESPACE,
    REPOSITORY,
    SHELL_SETUP,
    NotSeen,
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
BROKEN = dt.date(2013, 6, 3)

Status = dict[str, Any]


def say(text: str) -> None:
    """Print a line."""
    print(text, flush=True)


def title(number: int, text: str) -> None:
    """Print the heading of a step."""
    say(f"\n\033[1m{number}. {text}\033[0m" if sys.stdout.isatty() else f"\n{number}. {text}")


def see(*arguments: str) -> None:
    """Print the kubectl command that shows what has just happened."""
    say(f"   see it: {shell_command(*arguments)}")


def install() -> None:
    """Install the operator with Helm, and an S3 server in a namespace that enforces restricted pods."""
    s3_image = run(REPOSITORY / "hack" / "images.sh", "versitygw").strip()
    operator_image = run(REPOSITORY / "hack" / "images.sh", "operator").strip()
    digest = run("docker", "image", "inspect", "--format", "{{.Id}}", operator_image).strip()
    run("kubectl", "apply", "--filename", REPOSITORY / "hack" / "demo" / "namespace.yaml")
    apply("s3.yaml", S3_IMAGE=s3_image)
    said = run(
        *("helm", "upgrade", "--install", "modelmonitor", REPOSITORY / "charts" / "modelmonitor"),
        *("--namespace", "modelmonitor-system", "--create-namespace", "--wait", "--timeout", "120s"),
        *("--set-string", "image.tag=dev,trainerImage.tag=dev", "--set", f"watchNamespaces={{{NAMESPACE}}}"),
        *("--set", "rollouts.enabled=true"),
        # The tag stays the same, so a new image is recognised by its digest.
        *("--set-string", f"podAnnotations.modelmonitor\\.io/image={digest}"),
    )
    say("   " + said.strip().replace("\n", "\n   "))
    kubectl("rollout", "status", "deployment/s3", "--timeout", "90s")
    deploy_scorer()


def deploy_scorer() -> None:
    """Deploy the example scorer; it is not ready before there is a champion."""
    folder = REPOSITORY / "examples" / "scorer"
    made = kubectl(
        *("create", "configmap", "scorer", f"--from-file={folder / 'scorer.py'}", "--dry-run=client", "--output=yaml")
    )
    kubectl("apply", "--server-side", "--filename", "-", text=made)
    kubectl("apply", "--server-side", "--filename", str(folder / "deployment.yaml"))
    say("   A scorer is deployed; it waits for a model")
    see("get", "deployment", "scorer")


def span(partitions: list[Day]) -> str:
    """Return which days some partitions are."""
    first, last = partitions[0].date, partitions[-1].date
    return f"{last:%-d %B %Y}" if first == last else f"{first:%-d %B} to {last:%-d %B %Y}"


def land(lake: Lake, partitions: list[Day]) -> None:
    """Land partitions, those that are not there yet."""
    count = lake.land(partitions)
    there = f"; {len(partitions) - count} were already there" if count < len(partitions) else ""
    say(f"   {count} daily partitions of flights landed on S3, {span(partitions)}{there}")


def fly(lake: Lake, partitions: list[Day]) -> None:
    """Ask the scorer about flights that it has not seen; it logs them, and their outcomes land later."""
    missing = lake.missing(partitions)
    if not missing:
        say(f"   the flights of {span(partitions)} were scored and logged in an earlier run")
        return
    wait_for("a scorer that serves the champion", lambda status: serving(status) is not None)
    late, versions = 0, set()
    with forwarded("service/scorer", 80) as port:
        for day in missing:
            found, version = ask(port, day)
            late += found
            versions.add(version)
    flights = sum(len(day.features) for day in missing)
    say(f"   {', '.join(sorted(versions))} scored {flights:,} flights of {span(missing)},")
    say(f"   {late:,} of them as late, and logged them to S3 as daily partitions; the outcomes follow")
    lake.land_labels(missing)
    deadline = time.monotonic() + 60
    while lake.missing(missing):
        if time.monotonic() > deadline:
            logs = shell_command("logs", "deployment/scorer")
            raise NotSeen(f"the scorer has not logged {lake.missing(missing)[0].date}: {logs}")
        time.sleep(1)


def serving(status: Status) -> str | None:
    """Return the version that the scorer serves, if that is the champion."""
    rollout = status.get("rollout", {})
    done = rollout.get("reason") == "RolloutAvailable" and rollout["version"] == status["champion"]["version"]
    return rollout["version"] if done else None


def tell_serving() -> None:
    """Wait until the scorer serves the champion, and print it."""
    status = wait_for("a scorer that serves the champion", lambda status: serving(status) is not None)
    say(f"   {status['rollout']['message']}")


def check(token: str) -> None:
    """Ask for a check now, as the schedule would next morning; asking twice is asking once."""
    say(f"   $ {annotate('check-requested-at', token)}")


def job_of(token: str) -> Status | None:
    """Return the metadata of the check that was asked for with `token`; its Job is there for a week."""
    asked = kubectl(
        *("get", "jobs", "--selector", f"modelmonitor.io/monitor={MONITOR},modelmonitor.io/role=check"),
        *("--output", "json"),
    )
    found = [job["metadata"] for job in json.loads(asked)["items"]]
    return next((job for job in found if job.get("annotations", {}).get("modelmonitor.io/token") == token), None)


def checked(token: str) -> Callable[[Status], bool]:
    """Return whether the check asked for with `token` has been taken into account."""

    def seen(status: Status) -> bool:
        job = job_of(token)
        return job is not None and job["uid"] in [recent["uid"] for recent in status.get("recentJobs", [])]

    return seen


def trained(number: int) -> Callable[[Status], bool]:
    """Return whether training `number` has ended."""
    return lambda status: (
        status.get("lastTraining", {}).get("number", 0) > number
        or (
            status.get("lastTraining", {}).get("number") == number
            and status["lastTraining"].get("completionTime") is not None
        )
    )


def entry(status: Status, action: str, nth: int = 1) -> Status:
    """Return the `nth` entry of the history, from the oldest, with `action`.

    Raises
    ------
    NotSeen
        Where there is none.
    """
    found = [item for item in reversed(status.get("history", [])) if item["action"] == action]
    if len(found) < nth:
        raise NotSeen(f"the history has no {action} number {nth}:\n{json.dumps(status.get('history'), indent=1)}")
    return found[nth - 1]


def tell(item: Status) -> None:
    """Print one entry of the history."""
    say(f"   {item['action']} ({item['reason']}): {item['message']}")


def tell_check(status: Status, token: str) -> None:
    """Print the verdict of the check requested with `token`, unless there has been a later one."""
    last, job = status["lastCheck"], job_of(token)
    if job is not None and last["jobName"] == job["name"]:
        say(f"   {last['verdict']}: {last['message']}")
    else:
        say("   this check was part of an earlier run; its report is listed below")


def winter(lake: Lake, flights: pd.DataFrame) -> None:
    """Land the winter and apply the monitor: there is no champion, so one is trained."""
    land(lake, list(days(flights, *WINTER)))
    apply("monitor.yaml")
    say(f"   $ {shell_command('apply', '--filename', str(REPOSITORY / 'hack' / 'demo' / 'monitor.yaml'))}")
    tell(entry(wait_for("the first training", trained(1)), "Promoted"))
    tell_serving()
    see("describe", "mmon", MONITOR)


def spring(lake: Lake, flights: pd.DataFrame) -> None:
    """Land the spring: drift, a training, and a challenger that is rejected."""
    fly(lake, list(days(flights, *SPRING)))
    check("spring")
    status = wait_for("the check of spring", checked("spring"))
    tell_check(status, "spring")
    tell(entry(wait_for("the training of spring", trained(2)), "Rejected"))
    see("get", "events", "--field-selector", "involvedObject.kind=ModelMonitor")


def summer(lake: Lake, flights: pd.DataFrame) -> None:
    """Land early summer: drift again, and a challenger that is better."""
    fly(lake, list(days(flights, *SUMMER)))
    check("summer")
    status = wait_for("the check of summer", checked("summer"))
    tell_check(status, "summer")
    tell(entry(wait_for("the training of summer", trained(3)), "Promoted", nth=2))
    tell_serving()
    see("get", "mmon", MONITOR, "--output", "jsonpath={.status.champion}")


def corruption(lake: Lake, flights: pd.DataFrame) -> None:
    """Land a corrupted day: it is refused as training data."""
    fly(lake, [corrupt(day) for day in days(flights, BROKEN, BROKEN)])
    check("corruption")
    status = wait_for("the check of the corrupted day", checked("corruption"))
    verdict = status["lastCheck"]
    if verdict["verdict"] != "Corrupted":
        raise NotSeen(f"the check did not report the corrupted day: {json.dumps(verdict, indent=1)}")
    tell_check(status, "corruption")
    say(f"   $ {annotate('retrain-requested-at', 'despite-corrupted-data')}")
    status = wait_for("the refusal to train", lambda status: reason(status, "Training") == "CorruptedData")
    say(f"   {message(status, 'Training')}")
    see("get", "mmon", MONITOR, "--output", 'jsonpath={.status.conditions[?(@.type=="Training")].message}')


def rollback() -> None:
    """Roll back manually to the previous version."""
    say(f"   $ {annotate('rollback-to', 'previous')}")
    status = wait_for(
        "the rollback", lambda status: any(item["action"] == "RolledBack" for item in status.get("history", []))
    )
    tell(entry(status, "RolledBack"))
    tell_serving()
    see("get", "mmon", MONITOR)


def reason(status: Status, condition: str) -> str | None:
    """Return the reason of a condition."""
    return next((c["reason"] for c in status.get("conditions", []) if c["type"] == condition), None)


def message(status: Status, condition: str) -> str | None:
    """Return the message of a condition."""
    return next((c["message"] for c in status.get("conditions", []) if c["type"] == condition), None)


def save_reports(lake: Lake) -> None:
    """Save the report pages and print where they are."""
    shutil.rmtree(OUTPUT, ignore_errors=True)  # pages of an earlier cluster would be mistaken for those of this one
    OUTPUT.mkdir()
    for uri in lake.reports():
        say(f"   {lake.fetch(uri, OUTPUT)}")


def main() -> int:
    """Run the demo; return the exit code."""
    started = time.monotonic()
    say("To run the commands below in another shell, set it up first:")
    say(f"   {SHELL_SETUP}")
    try:
        title(1, "Install the operator with Helm")
        install()
        secret = json.loads(kubectl("get", "secret", "s3", "--output", "json"))["data"]
        keys = [base64.b64decode(secret[f"AWS_{name}"]).decode() for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
        flights = load()
        with forwarded("service/s3", 9000) as port:
            lake = Lake(port, *keys)
            title(2, "Winter: apply a ModelMonitor; there is no champion, so one is trained")
            winter(lake, flights)
            title(3, "Spring: drift; a challenger is trained, compared on the same later rows, and rejected")
            spring(lake, flights)
            title(4, "Early summer: drift again; this challenger is better and is promoted")
            summer(lake, flights)
            title(
                5, "Corrupted data arrive: temperatures in degrees Celsius, and half of the humidity readings missing"
            )
            corruption(lake, flights)
            title(6, "Roll back manually to the previous version")
            rollback()
            title(7, "Summary")
            say(kubectl("get", "mmon").rstrip())
            say("\nDecisions, oldest first:")
            for item in reversed(monitor()["status"]["history"]):
                say(f"   {item['time']}  {item['action']:<18} {item.get('version', ''):<14} {item['message']}")
            say("\nReport pages:")
            save_reports(lake)
    except NotSeen as error:
        say(f"\nThe demo stopped here: {error}")
        return 1
    say(f"\nThe demo took {time.monotonic() - started:.0f} s. Remove it with:")
    say(f"   make -C {shlex.quote(str(REPOSITORY))} demo-down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
