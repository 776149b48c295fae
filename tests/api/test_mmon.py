"""``kubectl mmon`` on a real API server, with a real operator, a real kubectl and a real S3 server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from modelmonitor_api import names
from modelmonitor_api.messages import CheckRequest
from modelmonitor_api.names import ConditionType, FailureReason, Reason, Role
from support import jobs, monitors
from support.apiserver import ApiServer
from support.lake import Lake
from support.plugin import Plugin, with_secret
from support.pods import Pod
from support.processes import program
from support.s3 import S3Server
from support.scene import Scene, with_champion


def test_a_check_is_requested_and_waited_for(scene: Scene, mmon: Plugin) -> None:
    with_champion(scene)
    waiting = mmon.start("check", "flights", "--wait", "--fail-on", "Drift")
    verdict = monitors.check("Drift", champion=monitors.champion(), message="te\x1b[31mmp has drifted")
    scene.finish(Role.CHECK, verdict)
    output, _ = waiting.communicate(timeout=180)
    assert waiting.returncode == 10
    assert output.startswith("Drift. te [31mmp has drifted.")
    status = mmon.run("status", "flights")
    assert "Drift. te [31mmp has drifted." in status
    assert "\x1b" not in status
    assert "- NoDrift ×1, D Drift ×1" in status
    assert mmon.json("status", "flights")["verdict"] == "Drift"


def test_a_training_is_requested_and_its_outcome_is_explained(scene: Scene, mmon: Plugin) -> None:
    with_champion(scene, promotion={"mode": "Manual"})
    waiting = mmon.start("retrain", "flights", "--wait", "-o", "json")
    scene.finish(Role.TRAIN, monitors.run("AwaitingApproval", "v1-22222222"))
    output, _ = waiting.communicate(timeout=180)
    result = json.loads(output)
    assert (result["stage"], result["reason"], waiting.returncode) == ("Done", "AwaitingApproval", 0)
    assert "make v1-22222222 the champion" in mmon.run("status", "flights")
    decisions = mmon.json("explain", "flights")["decisions"]
    assert [entry["action"] for entry in decisions] == ["AwaitingApproval", "TrainingStarted"]

    waiting = mmon.start("promote", "flights", "--wait")
    scene.finish(Role.PROMOTE, monitors.run("Promoted", "v1-22222222"))
    assert waiting.communicate(timeout=180)[0].startswith("Promoted.")
    waiting = mmon.start("rollback", "flights", "--to", "v9-99999999", "--wait")
    scene.finish(Role.ROLLBACK, monitors.failure(FailureReason.NOT_FOUND, "there is no version v9-99999999"))
    assert "RollbackFailed. NotFound: there is no version v9-99999999." in waiting.communicate(timeout=180)[0]
    assert waiting.returncode == 10


def test_a_failed_check_ends_the_wait(scene: Scene, mmon: Plugin) -> None:
    with_champion(scene)
    waiting = mmon.start("check", "flights", "--wait")
    scene.finish(Role.CHECK, monitors.failure(FailureReason.CREDENTIALS_REFUSED, "the store refused the credentials"))
    output, _ = waiting.communicate(timeout=180)
    assert waiting.returncode == 10
    assert "CredentialsRefused. the store refused the credentials." in output
    doctor = mmon.json("doctor", "flights", "--no-data", code=10)
    finding = next(each for each in doctor["findings"] if each["subject"] == "Checks")
    assert finding["fix"].startswith("kubectl patch secret s3 -p")


def test_the_holds_are_those_of_the_operator(scene: Scene, mmon: Plugin) -> None:
    with_champion(scene, retraining={"mode": "DryRun"})
    scene.drift("1")
    condition = scene.wait_condition(ConditionType.TRAINING, "False", Reason.DRY_RUN)
    explanation = mmon.json("explain", "flights")
    decision = explanation["decision"]
    assert (decision["action"], decision["reason"]) == ("Hold", "DryRun")
    assert decision["message"] == condition["message"]
    assert [trigger["name"] for trigger in explanation["triggers"] if trigger["decides"]] == ["drift"]
    assert [hold["name"] for hold in explanation["holds"] if hold["state"] == "holds"] == ["dry_run"]


def test_a_monitor_is_paused_resumed_and_pinned(scene: Scene, mmon: Plugin) -> None:
    with_champion(scene)
    assert "is paused" in mmon.run("pause", "flights")
    scene.wait_condition(ConditionType.SUSPENDED, "True")
    assert "is paused, so nothing would start" in mmon.run("check", "flights", code=2)
    assert "is running" in mmon.run("resume", "flights")
    scene.wait_condition(ConditionType.SUSPENDED, "False")
    mmon.run("pin", "flights", "--reason", "audit")
    assert scene.wait_condition(ConditionType.PINNED, "True")["message"].endswith("audit")
    mmon.run("unpin", "flights")
    scene.wait(lambda: not scene.monitor()["metadata"].get("annotations", {}).get(names.ANNOTATION_PIN), "no pin")


def test_a_missing_monitor_is_answered_with_the_nearest_name(scene: Scene, mmon: Plugin) -> None:
    scene.create(monitors.monitor(suspend=True))
    assert "did you mean flights?" in mmon.run("status", "flight", code=2)
    assert "kubectl get mmon --all-namespaces lists all" in mmon.run("status", "zebra", code=2)


def test_a_page_is_found_and_fetched_with_the_rights_of_the_sample(
    scene: Scene, of_user: Plugin, lake: Lake, s3_server: S3Server, tmp_path: Path
) -> None:
    with_secret(scene, s3_server.environment)
    scene.create(lake.monitor(storage={"credentialsSecretRef": {"name": "s3"}}, retraining={"mode": "Manual"}))
    job = scene.running_job(Role.CHECK)
    pods = tmp_path / "pods"
    pods.mkdir()
    name = job["metadata"]["name"]
    verdict = Pod(jobs.request_of(job, CheckRequest), pods, s3_server.environment, job=name).wait()
    scene.finish(Role.CHECK, verdict)

    page = tmp_path / "page.html"
    location = of_user.json("report", "flights", "--html", str(page))
    assert location == {"uri": scene.status()["lastCheck"]["reportURI"], "file": str(page)}
    assert page.read_text().startswith('<!doctype html><meta http-equiv="Content-Security-Policy"')
    opened = of_user.run("report", "flights").strip()
    assert Path(opened).read_text() == page.read_text()
    assert Path(opened).parent.stat().st_mode & 0o077 == 0
    refused = of_user.run("report", "flights", "--training", "3", code=2)
    assert "no training 3 of" in refused
    assert "trainings with results: none" in refused

    findings = of_user.json("doctor", "flights")["findings"]
    by_subject: dict[str, list[str]] = {}
    for finding in findings:
        by_subject.setdefault(finding["subject"], []).append(finding["severity"])
    assert by_subject["Operator"] == ["Unknown"], "the sample gives no right on other namespaces"
    assert "Problem" not in {finding["severity"] for finding in findings}
    for subject in ("Credentials", "Object store", "Reference", "Columns", "Your permissions"):
        assert by_subject[subject] == ["Fine"], findings
    assert of_user.json("history", "flights", "--all")["decisions"] == scene.status().get("decisions", [])
    assert [point["verdict"] for point in of_user.json("status", "flights", "--checks", "30")["checks"]] == ["NoDrift"]
    of_user.run("explain", "flights")
    of_user.run("pause", "flights")


#: kubectl without a kubelet, which port-forward needs: it forwards to a server on this machine instead.
FORWARDING_KUBECTL = """#!{python}
import asyncio, os, sys

async def copy(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def connect(reader, writer):
    there = await asyncio.open_connection("127.0.0.1", {port})
    await asyncio.gather(copy(reader, there[1]), copy(there[0], writer), return_exceptions=True)

async def forward():
    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(f"Forwarding from 127.0.0.1:{{server.sockets[0].getsockname()[1]}} -> 9000", flush=True)
    await server.serve_forever()

if "port-forward" not in sys.argv:
    os.execv({kubectl!r}, sys.argv)
assert sys.argv[-2:] == ["service/s3", ":9000"], sys.argv
assert "--namespace=storage" in sys.argv, sys.argv
asyncio.run(forward())
"""


def test_a_page_of_a_store_within_the_cluster_is_fetched_through_a_forwarded_port(
    scene: Scene, api_server: ApiServer, s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    with_secret(scene, s3_server.environment)
    storage = {"endpoint": "http://s3.storage.svc:9000", "resultsURI": f"s3://{bucket}/results/"}
    created = scene.create(monitors.monitor(suspend=True, storage=storage))
    folder = f"results/{scene.namespace}/flights/checks/{created['metadata']['uid']}/20130401T060000Z-job/"
    s3_server.client.put_object(Bucket=bucket, Key=f"{folder}report.html", Body=b"<!doctype html><p>Drift")
    port = s3_server.endpoint.rpartition(":")[2]
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(FORWARDING_KUBECTL.format(python=sys.executable, port=port, kubectl=str(program("kubectl"))))
    kubectl.chmod(0o700)
    mmon = Plugin(api_server.kubeconfig, scene.namespace, tmp_path, f"{kubectl.parent}:")
    assert mmon.run("report", "flights", "--output", "-").endswith("<p>Drift\n")


def test_the_usual_mistakes_are_found(scene: Scene, mmon: Plugin, lake: Lake, s3_server: S3Server) -> None:
    with_secret(scene, {"AWS_ACCESS_KEY_ID": s3_server.access_key, "AWS_SECRET_KEY": "x"})
    live = {"uri": f"s3://{lake.bucket}/features/day=%Y-%m-%d/", "windowDays": 7}
    scene.create(lake.monitor(storage={"credentialsSecretRef": {"name": "s3"}}, data={"live": live}))
    scene.wait_ready()
    findings = mmon.json("doctor", "flights", code=10)["findings"]
    secret = next(each for each in findings if each["subject"] == "Credentials")
    assert "has no key AWS_SECRET_ACCESS_KEY" in secret["message"]
    assert "It has AWS_SECRET_KEY, which pods do not read" in secret["message"]
    assert '"AWS_SECRET_ACCESS_KEY"' in secret["fix"]
    operator = next(each for each in findings if each["subject"] == "Operator")
    assert operator["severity"] == "Problem", "it runs outside of the cluster here, and has no Deployment"

    scene.cluster.patch("Secret", "s3", scene.namespace, {"stringData": dict(s3_server.environment)})
    findings = mmon.json("doctor", "flights", code=10)["findings"]
    data = next(each for each in findings if each["subject"] == "Live data")
    assert data["severity"] == "Problem"
    assert "matches nothing" in data["message"]
    assert "date=2013-01-01" in data["message"]
