"""Serving on a real cluster: the scorer serves the champion, and the next check reads the rows that it logs."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from modelmonitor_api.names import (
    ANNOTATION_CHAMPION,
    ANNOTATION_CHECK_REQUESTED,
    ANNOTATION_RETRAIN_REQUESTED,
    ANNOTATION_ROLLBACK_TO,
    ConditionType,
    Reason,
)
from support.kind import ROOT, Kind
from support.lake import Lake

NAME = "served"


@pytest.fixture(scope="module")
def served(release: Kind, lake: Lake) -> Kind:
    """A monitor whose champion is rolled out to the example scorer."""
    folder = ROOT / "examples" / "scorer"
    script = release.kubectl(
        *("create", "configmap", "scorer", f"--from-file={folder / 'scorer.py'}", "--dry-run=client", "--output=yaml")
    )
    deployment = (folder / "deployment.yaml").read_text()
    for old, new in (
        ("s3.demo.svc", f"s3.{release.namespace}.svc"),
        ("s3://flights/", f"s3://{lake.bucket}/"),
        ("value: flight-delays", f"value: {NAME}"),
    ):
        assert old in deployment
        deployment = deployment.replace(old, new)
    for manifest in (script, deployment):
        release.kubectl("apply", "--server-side", "--filename", "-", text=manifest)
    lake.add_days(0, 30)
    monitor = lake.monitor(
        name=NAME,
        namespace=release.namespace,
        data={"reference": None},
        storage={"credentialsSecretRef": {"name": "s3"}},
        retraining={"cooldownSeconds": 0},
        promotion={"rollout": {"deploymentRef": {"name": "scorer"}}},
    )
    release.apply(monitor)
    return release


def rolled_out(kind: Kind) -> str | None:
    """Return the champion's version if the scorer serves it, otherwise None."""
    status = kind.get("modelmonitor", NAME).get("status", {})
    done = any(
        (c["type"], c["status"], c["reason"]) == (ConditionType.ROLLED_OUT, "True", Reason.ROLLOUT_AVAILABLE)
        for c in status.get("conditions", [])
    )
    served: str | None = status["rollout"]["version"] if done else None
    return served if served == status.get("champion", {}).get("version") else None


def infer(kind: Kind, day: str, temperatures: list[float]) -> dict[str, Any]:
    """Score flights of a day with the scorer."""
    rows = range(len(temperatures))
    columns: dict[str, tuple[str, list[Any]]] = {
        "id": ("BYTES", [f"{day}-{row}" for row in rows]),
        "temp": ("FP64", temperatures),
        "carrier": ("BYTES", ["AA" for _ in rows]),
        "day": ("BYTES", [day for _ in rows]),
    }
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}
        for name, (datatype, data) in columns.items()
    ]
    with kind.forwarded("service/scorer", 80) as port:
        url = f"http://127.0.0.1:{port}/v2/models/{NAME}/infer"
        with urllib.request.urlopen(url, json.dumps({"inputs": inputs}).encode(), timeout=120) as response:
            return dict(json.load(response))


def test_the_first_champion_is_served(served: Kind) -> None:
    version = served.wait("the first champion on the scorer", lambda: rolled_out(served))
    assert version.startswith("v1-")
    result = infer(served, "2013-01-31", [20.0, 80.0])
    assert result["model_version"] == version
    cold, warm = result["outputs"][0]["data"]
    assert cold < 0.5 < warm


def test_logged_rows_are_checked(served: Kind, lake: Lake) -> None:
    infer(served, "2013-02-01", [300.0] * 100)
    served.wait("the log", lambda: lake.keys("features/date=2013-02-01/"))
    served.kubectl("annotate", "modelmonitor", NAME, f"{ANNOTATION_CHECK_REQUESTED}=logged")

    def corrupted() -> bool:
        check = served.get("modelmonitor", NAME)["status"]["lastCheck"]
        return check["verdict"] == Reason.CORRUPTED and "2013-02-01" in check["message"]

    served.wait("the day in which 300 degrees were logged", corrupted)


def test_a_rollback_reaches_the_scorer(served: Kind, lake: Lake) -> None:
    for key in lake.keys("features/date=2013-02-01/"):
        lake.server.client.delete_object(Bucket=lake.bucket, Key=key)
    lake.add_days(31, 20, slope=-0.15)
    served.kubectl("annotate", "--overwrite", "modelmonitor", NAME, f"{ANNOTATION_CHECK_REQUESTED}=fixed")
    served.kubectl("annotate", "modelmonitor", NAME, f"{ANNOTATION_RETRAIN_REQUESTED}=reversed")
    served.wait("the second champion on the scorer", lambda: (rolled_out(served) or "").startswith("v2-"))
    cold, warm = infer(served, "2013-01-31", [20.0, 80.0])["outputs"][0]["data"]
    assert warm < 0.5 < cold
    served.kubectl("annotate", "modelmonitor", NAME, f"{ANNOTATION_ROLLBACK_TO}=previous")
    served.wait("the first champion on the scorer again", lambda: (rolled_out(served) or "").startswith("v1-"))
    template = served.get("deployment", "scorer")["spec"]["template"]
    assert template["metadata"]["annotations"][ANNOTATION_CHAMPION].startswith("v1-")
